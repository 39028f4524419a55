package rewrite

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// OffsetFetch (9) reads groups' offsets. 2: null topics are all, top-level
// error; 5: leader epoch; 6: flexible; 7: require stable; 8: a batch of groups
// (KIP-709); 9: KIP-848 members; 10: topics by id. A topic that is not this
// instance's, or that the client may not describe, is dropped from an answer to
// "all".
func offsetFetch(x *Exchange, req *kmsg.OffsetFetchRequest) (outcome[*kmsg.OffsetFetchResponse], error) {
	if x.Version >= 8 {
		return offsetFetchGroups(x, req)
	}
	group, code := x.group(req.Group, x.needs.Group)
	if code != 0 {
		return answer(offsetFetchFailed(x, req, code)), nil
	}
	req.Group = group
	every := req.Topics == nil
	var refused []placed[kmsg.OffsetFetchResponseTopic]
	unmap := func(resp *kmsg.OffsetFetchResponse) error {
		resp.Topics = answeredTopics(x, resp.Topics, false,
			func(t *kmsg.OffsetFetchResponseTopic) (*string, *topicID) { return &t.Topic, nil }, refused)
		if every {
			resp.Topics = describable(x, resp.Topics, func(t *kmsg.OffsetFetchResponseTopic) string { return t.Topic })
		}
		return nil
	}
	if every {
		return forward(unmap), nil
	}
	req.Topics, refused = refuseTopics(x, req.Topics, false,
		func(t *kmsg.OffsetFetchRequestTopic) (*string, *topicID) { return &t.Topic, nil }, offsetFetchRefusal)
	if len(req.Topics) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrOffsetFetchResponse()
		return answer(resp), unmap(resp)
	}
	return forward(unmap), nil
}

// offsetFetchFailed fails all that was asked for, where the version has the
// code: in every partition, from v2 on at the top level, from v8 on in each group.
func offsetFetchFailed(x *Exchange, req *kmsg.OffsetFetchRequest, code int16) *kmsg.OffsetFetchResponse {
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.ErrorCode = code
	if x.Version < 2 {
		for i := range req.Topics {
			resp.Topics = append(resp.Topics, offsetFetchRefusal(&req.Topics[i], code))
		}
	}
	for _, group := range req.Groups {
		row := kmsg.NewOffsetFetchResponseGroup()
		row.Group, row.ErrorCode = group.Group, code
		resp.Groups = append(resp.Groups, row)
	}
	return resp
}

func offsetFetchRefusal(t *kmsg.OffsetFetchRequestTopic, code int16) kmsg.OffsetFetchResponseTopic {
	row := kmsg.NewOffsetFetchResponseTopic()
	row.Topic = t.Topic
	for _, p := range t.Partitions {
		part := kmsg.NewOffsetFetchResponseTopicPartition()
		part.Partition, part.Offset, part.Metadata, part.ErrorCode = p, -1, new(string), code
		row.Partitions = append(row.Partitions, part)
	}
	return row
}

// offsetFetchAsked is what a group was asked for: everything, or some topics, of
// which some were refused.
type offsetFetchAsked struct {
	every   bool
	refused []placed[kmsg.OffsetFetchResponseGroupTopic]
}

// offsetFetchGroups is OffsetFetch from v8 on. forwarded holds what was asked,
// for each time that a (physical) group is forwarded.
func offsetFetchGroups(x *Exchange, req *kmsg.OffsetFetchRequest) (outcome[*kmsg.OffsetFetchResponse], error) {
	byID := x.Version >= 10
	asked := make([]kmsg.OffsetFetchRequestGroup, 0, len(req.Groups))
	var local []placed[kmsg.OffsetFetchResponseGroup]
	forwarded := map[string][]offsetFetchAsked{}
	for i, group := range req.Groups {
		whole, rows := offsetFetchGroup(x, byID, &group)
		if whole != nil {
			local = append(local, placed[kmsg.OffsetFetchResponseGroup]{i, *whole})
			continue
		}
		forwarded[group.Group] = append(forwarded[group.Group], offsetFetchAsked{group.Topics == nil, rows})
		asked = append(asked, group)
	}
	unmap := func(resp *kmsg.OffsetFetchResponse) error {
		for i := range resp.Groups {
			g := &resp.Groups[i]
			g.Topics = offsetFetchOwned(x, byID, g.Topics)
			all := forwarded[g.Group]
			if len(all) == 0 {
				continue
			}
			if all[0].every {
				g.Topics = offsetFetchDescribable(x, byID, g.Topics)
			}
			if g.ErrorCode == 0 {
				g.Topics = splice(g.Topics, all[0].refused)
			}
			forwarded[g.Group] = all[1:]
		}
		groups := own(x, tenancy.KindGroup, resp.Groups, func(g *kmsg.OffsetFetchResponseGroup) *string { return &g.Group })
		resp.Groups = splice(groups, local)
		return nil
	}
	if len(asked) == 0 && len(local) > 0 {
		resp := kmsg.NewPtrOffsetFetchResponse()
		return answer(resp), unmap(resp)
	}
	req.Groups = asked
	return forward(unmap), nil
}

// offsetFetchGroup maps one group of a batch in place. It returns the group's
// row if all of it is refused, else the rows of those topics that are.
func offsetFetchGroup(x *Exchange, byID bool, g *kmsg.OffsetFetchRequestGroup) (*kmsg.OffsetFetchResponseGroup, []placed[kmsg.OffsetFetchResponseGroupTopic]) {
	row := kmsg.NewOffsetFetchResponseGroup()
	row.Group = g.Group
	group, code := x.group(g.Group, x.needs.Group)
	if code != 0 {
		row.ErrorCode = code
		return &row, nil
	}
	g.Group = group
	if g.Topics == nil {
		return nil, nil
	}
	asked, refused := refuseTopics(x, g.Topics, byID,
		func(t *kmsg.OffsetFetchRequestGroupTopic) (*string, *topicID) { return &t.Topic, &t.TopicID }, offsetFetchGroupRefusal)
	if len(asked) == 0 && len(refused) > 0 {
		row.Topics = splice(nil, refused)
		return &row, nil
	}
	g.Topics = asked
	return nil, refused
}

func offsetFetchGroupRefusal(t *kmsg.OffsetFetchRequestGroupTopic, code int16) kmsg.OffsetFetchResponseGroupTopic {
	row := kmsg.NewOffsetFetchResponseGroupTopic()
	row.Topic, row.TopicID = t.Topic, t.TopicID
	for _, p := range t.Partitions {
		part := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		part.Partition, part.Offset, part.LeaderEpoch, part.Metadata, part.ErrorCode = p, -1, -1, new(string), code
		row.Partitions = append(row.Partitions, part)
	}
	return row
}

// offsetFetchOwned keeps the topics that are this instance's, under its names.
func offsetFetchOwned(x *Exchange, byID bool, rows []kmsg.OffsetFetchResponseGroupTopic) []kmsg.OffsetFetchResponseGroupTopic {
	if !byID {
		return own(x, tenancy.KindTopic, rows, func(t *kmsg.OffsetFetchResponseGroupTopic) *string { return &t.Topic })
	}
	return ownIDs(x, rows, func(t *kmsg.OffsetFetchResponseGroupTopic) topicID { return t.TopicID })
}

// offsetFetchDescribable keeps those of them that the client may describe. Not
// for topics that were asked for: to leave one out says that it has no offset.
func offsetFetchDescribable(x *Exchange, byID bool, rows []kmsg.OffsetFetchResponseGroupTopic) []kmsg.OffsetFetchResponseGroupTopic {
	if !byID {
		return describable(x, rows, func(t *kmsg.OffsetFetchResponseGroupTopic) string { return t.Topic })
	}
	return slices.DeleteFunc(rows, func(t kmsg.OffsetFetchResponseGroupTopic) bool { return x.topicByID(t.TopicID, opDescribe) != 0 })
}
