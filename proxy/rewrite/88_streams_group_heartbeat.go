package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// StreamsGroupHeartbeat (88) is all that a member of a Kafka Streams group says
// and hears (KIP-1071). 1: a wider recovery lag, and whether the broker wants the
// topology's description. A member that joins sends its topology, of which the
// broker creates the internal topics (streams_topology.go); later heartbeats name
// tasks by subtopology and no topic.
func streamsGroupHeartbeat(x *Exchange, req *kmsg.StreamsGroupHeartbeatRequest) (outcome[*kmsg.StreamsGroupHeartbeatResponse], error) {
	group, code := x.group(req.Group, x.needs.Group)
	msg := standardText(code)
	if code == 0 && req.Topology != nil {
		code, msg = mapTopology(x, req.Topology)
	}
	if code == 0 && req.MemberEpoch == joining {
		if code = x.groupLimit(group, codeGroupLimit); code != 0 {
			msg = x.groupLimitText()
		}
	}
	if code != 0 {
		resp := kmsg.NewPtrStreamsGroupHeartbeatResponse()
		resp.ErrorCode, resp.ErrorMessage = code, msg
		return answer(resp), nil
	}
	req.Group = group
	return forward(func(resp *kmsg.StreamsGroupHeartbeatResponse) error {
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		for i := range resp.Status {
			s := &resp.Status[i]
			s.StatusDetail = x.statusDetail(s.StatusCode, s.StatusDetail)
		}
		for i := range resp.PartitionsByUserEndpoint {
			// The endpoint is what the application itself said (application.server).
			e := &resp.PartitionsByUserEndpoint[i]
			e.ActivePartitions = own(x, tenancy.KindTopic, e.ActivePartitions,
				func(p *kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpointActivePartition) *string {
					return &p.Topic
				})
			e.StandbyPartitions = own(x, tenancy.KindTopic, e.StandbyPartitions,
				func(p *kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpointStandbyPartition) *string {
					return &p.Topic
				})
		}
		return nil
	}), nil
}

// statusDetail is Text for a status: the broker's words name the topics that are
// missing, and why they could not be created.
func (x *Exchange) statusDetail(status int8, detail string) string {
	if text, ok := x.told(detail); ok {
		return text
	}
	switch status { // StreamsGroupHeartbeatResponse.Status
	case 0:
		return "The member's topology is not the group's newest."
	case 1:
		return "Source topics are missing."
	case 2:
		return "Topics are incorrectly partitioned."
	case 3:
		return "Internal topics are missing."
	case 4:
		return "A member has requested a shutdown of the application."
	case 5:
		return "The assignment is delayed."
	}
	return *standardText(kerr.UnknownServerError.Code)
}
