package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// StreamsGroupDescribe (89) shows Kafka Streams groups, their members and their
// topology. 1: the topology's description, and the assignor (KIP-1357). Topics
// that are not this instance's are dropped wherever they stand.
func streamsGroupDescribe(x *Exchange, req *kmsg.StreamsGroupDescribeRequest) (outcome[*kmsg.StreamsGroupDescribeResponse], error) {
	asked, refused := refuseGroups(x, req.Groups, func(group string, code int16) kmsg.StreamsGroupDescribeResponseGroup {
		row := kmsg.NewStreamsGroupDescribeResponseGroup()
		row.Group, row.ErrorCode, row.ErrorMessage = group, code, standardText(code)
		return row
	})
	unmap := func(resp *kmsg.StreamsGroupDescribeResponse) error {
		rows := own(x, tenancy.KindGroup, resp.Groups, func(g *kmsg.StreamsGroupDescribeResponseGroup) *string { return &g.Group })
		for i := range rows {
			describedStreamsGroup(x, &rows[i], req.IncludeAuthorizedOperations)
		}
		resp.Groups = splice(rows, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrStreamsGroupDescribeResponse()
		return answer(resp), unmap(resp)
	}
	req.Groups = asked
	return forward(unmap), nil
}

// describedStreamsGroup maps one group. Of a group whose topology has a topic
// that the client may not describe nothing is told, as in Kafka.
func describedStreamsGroup(x *Exchange, g *kmsg.StreamsGroupDescribeResponseGroup, withOperations bool) {
	if g.Topology != nil {
		for i := range g.Topology.Subtopologies {
			if !unmapSubtopology(x, &g.Topology.Subtopologies[i]) {
				row := kmsg.NewStreamsGroupDescribeResponseGroup()
				row.Group, row.ErrorCode = g.Group, codeTopicDenied
				row.ErrorMessage = new("The described group uses topics that the client is not authorized to describe.")
				*g = row
				return
			}
		}
	}
	g.ErrorMessage = x.Text(g.ErrorCode, g.ErrorMessage)
	g.AuthorizedOperations = x.operations(withOperations && g.ErrorCode == 0, kmsg.ACLResourceTypeGroup, g.Group)
	for i := range g.Members {
		g.Members[i].ClientHost = gatewayClientHost
	}
	if d := g.TopologyDescription; d != nil {
		eachNode(d.Subtopologies, d.GlobalStores, func(n *kmsg.TopologyDescriptionNode) { unmapNode(x, n) })
	}
}

// unmapSubtopology maps the topics of a subtopology; it is false if one of them
// must not be described.
func unmapSubtopology(x *Exchange, s *kmsg.StreamsGroupDescribeResponseGroupTopologySubtopology) (may bool) {
	may = true
	judged := func(name *string) *string {
		if virtual, ok := x.Space.Virtual(tenancy.KindTopic, *name); ok {
			may = may && x.allows(virtual, x.needs.Topic)
		}
		return name
	}
	info := func(t *kmsg.TopicInfo) *string { return judged(&t.Topic) }
	s.SourceTopics = own(x, tenancy.KindTopic, s.SourceTopics, judged)
	s.RepartitionSinkTopics = own(x, tenancy.KindTopic, s.RepartitionSinkTopics, judged)
	s.StateChangelogTopics = own(x, tenancy.KindTopic, s.StateChangelogTopics, info)
	s.RepartitionSourceTopics = own(x, tenancy.KindTopic, s.RepartitionSourceTopics, info)
	return may
}

// eachNode calls fn for every node of a topology's description.
func eachNode(subtopologies []kmsg.TopologyDescriptionSubtopology, stores []kmsg.TopologyDescriptionGlobalStore, fn func(*kmsg.TopologyDescriptionNode)) {
	for i := range subtopologies {
		for j := range subtopologies[i].Nodes {
			fn(&subtopologies[i].Nodes[j])
		}
	}
	for i := range stores {
		fn(&stores[i].Source)
		fn(&stores[i].Processor)
	}
}

// unmapNode maps the topics of a node.
func unmapNode(x *Exchange, n *kmsg.TopologyDescriptionNode) {
	n.SourceTopics = own(x, tenancy.KindTopic, n.SourceTopics, func(name *string) *string { return name })
	if n.SinkTopic == nil {
		return
	}
	virtual, ok := x.Space.Virtual(tenancy.KindTopic, *n.SinkTopic)
	n.SinkTopic = &virtual
	if !ok {
		n.SinkTopic = nil
	}
}
