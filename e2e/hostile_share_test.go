package e2e

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	canaryShare  = "hold-1f0c5a77" // the victim's share group
	canaryMember = "c1f0c5a7AAAAAAAAAAAAAA"
)

// shareGroups: records that the victim has acquired stay acquired, whatever is
// said in its group's and its member's name.
func shareGroups(t *testing.T, s *siege) {
	v := s.joinShare(t)
	var got *kmsg.ShareFetchResponse
	epoch := int32(0)
	again(t, "the victim has acquired its records", func() bool {
		if got = must[*kmsg.ShareFetchResponse](t, v, shareFetch(canaryShare, canaryMember, s.prize.id, epoch), 1); got.ErrorCode != 0 {
			epoch = 0
			return false
		}
		epoch++
		return len(got.Topics) == 1 && len(got.Topics[0].Partitions[0].AcquiredRecords) > 0
	})
	s.raidShares(t)
	// All three are still the victim's to accept, in its own session.
	resp := must[*kmsg.ShareAcknowledgeResponse](t, v, acknowledge(canaryShare, canaryMember, s.prize.id, epoch), 1)
	if resp.ErrorCode != 0 || len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("the victim accepts what it acquired: %+v", resp)
	}
	leave := shareHeartbeat(canaryShare, canaryMember, -1)
	must[*kmsg.ShareGroupHeartbeatResponse](t, s.login(t, s.victim, v.coordinator(t, canaryShare, 0)), leave, 1)
}

// raidShares says all that an attacker could, in all sessions that there could be.
func (s *siege) raidShares(t *testing.T) {
	for _, group := range []string{canaryShare, s.victim.id + "." + canaryShare, "gang-share"} {
		for _, epoch := range []int32{0, 1, 2, 3, -1} {
			for _, v := range []int16{1, 2} {
				c := s.login(t, s.attacker, s.prize.leader)
				if !c.serves(int16(kmsg.ShareFetch), v) {
					continue
				}
				got := must[*kmsg.ShareFetchResponse](t, c, shareFetch(group, canaryMember, s.prize.id, epoch), v)
				for _, topic := range got.Topics {
					if p := topic.Partitions[0]; p.ErrorCode != noTopicID || len(p.Records)+len(p.AcquiredRecords) > 0 {
						t.Errorf("ShareFetch v%d of %s epoch %d: %+v", v, group, epoch, got)
					}
				}
				if got.ErrorCode == 0 && epoch == 0 && len(got.Topics) != 1 {
					t.Errorf("ShareFetch v%d of %s epoch %d has no row for a foreign id: %+v", v, group, epoch, got)
				}
				ack := must[*kmsg.ShareAcknowledgeResponse](t, c, acknowledge(group, canaryMember, s.prize.id, epoch), v)
				if ack.ErrorCode == 0 && (len(ack.Topics) == 0 || ack.Topics[0].Partitions[0].ErrorCode != noTopicID) {
					t.Errorf("ShareAcknowledge v%d of %s epoch %d: %+v", v, group, epoch, ack)
				}
				_ = c.Close()
			}
		}
	}
	s.raidShareOffsets(t)
}

// raidShareOffsets reads, moves and removes the start offsets of a share group.
func (s *siege) raidShareOffsets(t *testing.T) {
	for _, group := range []string{canaryShare, s.victim.id + "." + canaryShare} {
		c := s.login(t, s.attacker, s.login(t, s.attacker, -1).coordinator(t, group, 0))
		describe := kmsg.NewPtrShareGroupDescribeRequest()
		describe.GroupIDs = []string{group}
		if got := must[*kmsg.ShareGroupDescribeResponse](t, c, describe, 1); got.Groups[0].ErrorCode == 0 && (got.Groups[0].GroupState != "Empty" || len(got.Groups[0].Members) > 0) {
			t.Errorf("ShareGroupDescribe of %s: %+v", group, got)
		}
		offsets := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		offsets.Groups = []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: group}}
		got := must[*kmsg.DescribeShareGroupOffsetsResponse](t, c, offsets, 0)
		if row := got.Groups[0]; row.ErrorCode == 0 && len(row.Topics) > 0 {
			t.Errorf("DescribeShareGroupOffsets of %s: %+v", group, got)
		}
		alter := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		alter.GroupID = group
		alter.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: canaryTopic + "x", Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{StartOffset: 3}}}}
		must[*kmsg.AlterShareGroupOffsetsResponse](t, c, alter, 0)
		remove := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
		remove.GroupID = group
		remove.Topics = []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: canaryTopic + "x"}}
		must[*kmsg.DeleteShareGroupOffsetsResponse](t, c, remove, 0)
	}
}

// joinShare makes the victim a member of its share group, and returns its
// connection to the leader of its topic.
func (s *siege) joinShare(t *testing.T) *raw {
	c := s.login(t, s.victim, s.login(t, s.victim, -1).coordinator(t, canaryShare, 0))
	set := kmsg.NewPtrIncrementalAlterConfigsRequest()
	set.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: canaryShare,
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "share.auto.offset.reset", Value: new("earliest")}},
	}}
	if got := must[*kmsg.IncrementalAlterConfigsResponse](t, c, set, 1); got.Resources[0].ErrorCode != 0 {
		t.Fatalf("%+v", got)
	}
	epoch := int32(0)
	again(t, "the victim is in its share group", func() bool {
		got := must[*kmsg.ShareGroupHeartbeatResponse](t, c, shareHeartbeat(canaryShare, canaryMember, epoch), 1)
		if got.ErrorCode == 0 {
			epoch = got.MemberEpoch
		}
		return got.ErrorCode == 0 && got.Assignment != nil && len(got.Assignment.TopicPartitions) > 0
	})
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return s.login(t, s.victim, s.prize.leader)
}

func shareHeartbeat(group, member string, epoch int32) *kmsg.ShareGroupHeartbeatRequest {
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch = group, member, epoch
	if epoch == 0 {
		req.SubscribedTopicNames = []string{canaryTopic}
	}
	return req
}

func shareFetch(group, member string, id [16]byte, epoch int32) *kmsg.ShareFetchRequest {
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &group, &member, epoch
	req.MaxWaitMillis, req.MaxBytes, req.MaxRecords, req.BatchSize = 100, 1<<20, 100, 100
	if epoch >= 0 {
		req.Topics = []kmsg.ShareFetchRequestTopic{{TopicID: id, Partitions: []kmsg.ShareFetchRequestTopicPartition{{}}}}
	}
	return req
}

// acknowledge accepts the three records of the victim's topic.
func acknowledge(group, member string, id [16]byte, epoch int32) *kmsg.ShareAcknowledgeRequest {
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &group, &member, epoch
	part := kmsg.NewShareAcknowledgeRequestTopicPartition()
	ack := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
	ack.FirstOffset, ack.LastOffset, ack.AcknowledgeTypes = 0, 2, []int8{1}
	part.AcknowledgementBatches = append(part.AcknowledgementBatches, ack)
	req.Topics = []kmsg.ShareAcknowledgeRequestTopic{{TopicID: id, Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{part}}}
	return req
}
