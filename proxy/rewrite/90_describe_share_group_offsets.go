package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DescribeShareGroupOffsets (90) shows from where share groups read. 1: lag
// (KIP-1226). Null topics are all: of those a topic that the client may not see
// is left out, where one that it named is refused (KafkaApis).
func describeShareGroupOffsets(x *Exchange, req *kmsg.DescribeShareGroupOffsetsRequest) (outcome[*kmsg.DescribeShareGroupOffsetsResponse], error) {
	asked := make([]kmsg.DescribeShareGroupOffsetsRequestGroup, 0, len(req.Groups))
	var local []placed[kmsg.DescribeShareGroupOffsetsResponseGroup]
	// For each time that a (physical) group is forwarded.
	forwarded := map[string][]shareOffsetsAsked{}
	for i, group := range req.Groups {
		whole, ask := shareOffsetsGroup(x, &group)
		if whole != nil {
			place(&local, i, *whole)
			continue
		}
		forwarded[group.GroupID] = append(forwarded[group.GroupID], ask)
		asked = append(asked, group)
	}
	unmap := func(resp *kmsg.DescribeShareGroupOffsetsResponse) error {
		for i := range resp.Groups {
			g, ask := &resp.Groups[i], shareOffsetsAsked{every: true}
			if asks := forwarded[g.GroupID]; len(asks) > 0 {
				ask, forwarded[g.GroupID] = asks[0], asks[1:]
			}
			ask.unmap(x, g)
		}
		rows := own(x, tenancy.KindGroup, resp.Groups, func(g *kmsg.DescribeShareGroupOffsetsResponseGroup) *string { return &g.GroupID })
		resp.Groups = splice(rows, local)
		return nil
	}
	if len(asked) == 0 && len(local) > 0 {
		resp := kmsg.NewPtrDescribeShareGroupOffsetsResponse()
		return answer(resp), unmap(resp)
	}
	req.Groups = asked
	return forward(unmap), nil
}

// shareOffsetsAsked is what the way back must know of one group's way there.
type shareOffsetsAsked struct {
	every   bool // topic was asked for
	refused []placed[kmsg.DescribeShareGroupOffsetsResponseGroupTopic]
}

// shareOffsetsGroup maps one group in place. It returns the group's row if all of
// it is refused.
func shareOffsetsGroup(x *Exchange, g *kmsg.DescribeShareGroupOffsetsRequestGroup) (*kmsg.DescribeShareGroupOffsetsResponseGroup, shareOffsetsAsked) {
	row := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
	row.GroupID = g.GroupID
	group, code := x.group(g.GroupID, x.needs.Group)
	if code != 0 {
		row.ErrorCode = code
		return &row, shareOffsetsAsked{}
	}
	g.GroupID = group
	if g.Topics == nil {
		return nil, shareOffsetsAsked{every: true}
	}
	asked, refused := refuseTopics(x, g.Topics, false,
		func(t *kmsg.DescribeShareGroupOffsetsRequestGroupTopic) (*string, *topicID) { return &t.Topic, nil }, shareOffsetsRefusal)
	if len(asked) == 0 && len(refused) > 0 {
		row.Topics = splice(nil, refused)
		return &row, shareOffsetsAsked{}
	}
	g.Topics = asked
	return nil, shareOffsetsAsked{refused: refused}
}

func shareOffsetsRefusal(t *kmsg.DescribeShareGroupOffsetsRequestGroupTopic, code int16) kmsg.DescribeShareGroupOffsetsResponseGroupTopic {
	row := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
	row.Topic = t.Topic
	for _, p := range t.Partitions {
		part := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
		part.Partition, part.StartOffset, part.ErrorCode, part.ErrorMessage = p, -1, code, standardText(code)
		row.Partitions = append(row.Partitions, part)
	}
	return row
}

// unmap makes the broker's row the client's, but for the group's own name.
func (a shareOffsetsAsked) unmap(x *Exchange, g *kmsg.DescribeShareGroupOffsetsResponseGroup) {
	g.ErrorMessage = x.Text(g.ErrorCode, g.ErrorMessage)
	for i := range g.Topics {
		for j := range g.Topics[i].Partitions {
			p := &g.Topics[i].Partitions[j]
			p.ErrorMessage = x.Text(p.ErrorCode, p.ErrorMessage)
		}
	}
	refused := a.refused
	if g.ErrorCode != 0 {
		refused = nil // Kafka fails a group as a whole, without rows
	}
	g.Topics = answeredTopics(x, g.Topics, false,
		func(t *kmsg.DescribeShareGroupOffsetsResponseGroupTopic) (*string, *topicID) { return &t.Topic, nil }, refused)
	if a.every {
		g.Topics = describable(x, g.Topics, func(t *kmsg.DescribeShareGroupOffsetsResponseGroupTopic) string { return t.Topic })
	}
}
