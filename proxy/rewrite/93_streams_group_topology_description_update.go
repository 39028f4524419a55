package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// StreamsGroupTopologyDescriptionUpdate (93) hands a topology's description to
// the broker, for people to read (KIP-1331). v0. As in Kafka it takes no right to
// the topics in it. Nothing is created or looked up by their names, so one that no
// topic may have gets the prefix like the others.
func streamsTopologyUpdate(x *Exchange, req *kmsg.StreamsGroupTopologyDescriptionUpdateRequest) (outcome[*kmsg.StreamsGroupTopologyDescriptionUpdateResponse], error) {
	group, code := x.group(req.Group, x.needs.Group)
	if code != 0 {
		resp := kmsg.NewPtrStreamsGroupTopologyDescriptionUpdateResponse()
		resp.ErrorCode, resp.ErrorMessage = code, standardText(code)
		return answer(resp), nil
	}
	req.Group = group
	eachNode(req.TopologyDescription.Subtopologies, req.TopologyDescription.GlobalStores, func(n *kmsg.TopologyDescriptionNode) { mapNode(x, n) })
	return forward(func(resp *kmsg.StreamsGroupTopologyDescriptionUpdateResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		return nil
	}), nil
}

// mapNode maps the topics of a node. A sink without a topic chooses one for each
// record. "" is no name and stays; as a sink's topic it is none.
func mapNode(x *Exchange, n *kmsg.TopologyDescriptionNode) {
	for i, name := range n.SourceTopics {
		if name != "" {
			n.SourceTopics[i] = x.Space.Physical(tenancy.KindTopic, name)
		}
	}
	switch {
	case n.SinkTopic == nil:
	case *n.SinkTopic == "":
		n.SinkTopic = nil
	default:
		n.SinkTopic = new(x.Space.Physical(tenancy.KindTopic, *n.SinkTopic))
	}
}
