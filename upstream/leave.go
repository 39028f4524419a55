package upstream

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaving is the member epoch with which a member says goodbye for good, also
// a static one (KIP-848, KIP-932, KIP-1071).
const leaving int32 = -1

// empty makes every member of a group leave, in the way of the group's type
// ("" before ListGroups v5: classic). Whatever an answer refuses shows when the
// group is deleted, so only failures to ask are errors.
func (c coordinator) empty(ctx context.Context, group, groupType string) error {
	var leaves []kmsg.Request
	var err error
	switch strings.ToLower(groupType) {
	case "consumer":
		leaves, err = c.consumerLeaves(ctx, group)
	case "share":
		leaves, err = c.shareLeaves(ctx, group)
	case "streams":
		leaves, err = c.streamsLeaves(ctx, group)
	default:
		leaves, err = c.classicLeaves(ctx, group)
	}
	if err != nil {
		return err
	}
	for _, leave := range leaves {
		if _, err := c.ask(ctx, leave); err != nil {
			return err
		}
	}
	return nil
}

func (c coordinator) classicLeaves(ctx context.Context, group string) (leaves []kmsg.Request, err error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	answer, err := c.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, g := range answer.(*kmsg.DescribeGroupsResponse).Groups {
		for _, m := range g.Members {
			leaves = append(leaves, classicLeave(group, m.MemberID, m.InstanceID))
		}
	}
	return leaves, nil
}

// classicLeave is for one member, since v0 to v2 know no more than one.
func classicLeave(group, member string, instance *string) kmsg.Request {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = group, member
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.InstanceID = member, instance
	req.Members = append(req.Members, m)
	return req
}

func (c coordinator) consumerLeaves(ctx context.Context, group string) (leaves []kmsg.Request, err error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	answer, err := c.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, g := range answer.(*kmsg.ConsumerGroupDescribeResponse).Groups {
		for _, m := range g.Members {
			if m.MemberType == 0 { // a classic member in a group that was upgraded online
				leaves = append(leaves, classicLeave(group, m.MemberID, m.InstanceID))
				continue
			}
			beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			beat.Group, beat.MemberID, beat.InstanceID, beat.MemberEpoch = group, m.MemberID, m.InstanceID, leaving
			leaves = append(leaves, beat)
		}
	}
	return leaves, nil
}

func (c coordinator) shareLeaves(ctx context.Context, group string) (leaves []kmsg.Request, err error) {
	req := kmsg.NewPtrShareGroupDescribeRequest()
	req.GroupIDs = []string{group}
	answer, err := c.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, g := range answer.(*kmsg.ShareGroupDescribeResponse).Groups {
		for _, m := range g.Members {
			beat := kmsg.NewPtrShareGroupHeartbeatRequest()
			beat.GroupID, beat.MemberID, beat.MemberEpoch = group, m.MemberID, leaving
			leaves = append(leaves, beat)
		}
	}
	return leaves, nil
}

func (c coordinator) streamsLeaves(ctx context.Context, group string) (leaves []kmsg.Request, err error) {
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups = []string{group}
	answer, err := c.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, g := range answer.(*kmsg.StreamsGroupDescribeResponse).Groups {
		for _, m := range g.Members {
			if m.IsClassic {
				leaves = append(leaves, classicLeave(group, m.MemberID, m.InstanceID))
				continue
			}
			beat := kmsg.NewPtrStreamsGroupHeartbeatRequest()
			beat.Group, beat.MemberID, beat.InstanceID, beat.MemberEpoch = group, m.MemberID, m.InstanceID, leaving
			leaves = append(leaves, beat)
		}
	}
	return leaves, nil
}
