package rewrite

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// ConsumerGroupDescribe (69) shows KIP-848 groups and their members. 1: member
// types. Topics that are not this instance's are dropped wherever they stand. A
// group with a topic assigned that the client may not describe is shown as
// nothing but TOPIC_AUTHORIZATION_FAILED, as in KafkaApis.
func consumerGroupDescribe(x *Exchange, req *kmsg.ConsumerGroupDescribeRequest) (outcome[*kmsg.ConsumerGroupDescribeResponse], error) {
	asked, refused := refuseGroups(x, req.Groups, func(group string, code int16) kmsg.ConsumerGroupDescribeResponseGroup {
		row := kmsg.NewConsumerGroupDescribeResponseGroup()
		row.Group, row.ErrorCode, row.ErrorMessage = group, code, standardText(code)
		return row
	})
	unmap := func(resp *kmsg.ConsumerGroupDescribeResponse) error {
		rows := own(x, tenancy.KindGroup, resp.Groups, func(g *kmsg.ConsumerGroupDescribeResponseGroup) *string { return &g.Group })
		for i := range rows {
			g := &rows[i]
			g.ErrorMessage = x.Text(g.ErrorCode, g.ErrorMessage)
			g.AuthorizedOperations = x.operations(req.IncludeAuthorizedOperations && g.ErrorCode == 0, kmsg.ACLResourceTypeGroup, g.Group)
			for j := range g.Members {
				describedMember(x, &g.Members[j])
			}
			if slices.ContainsFunc(g.Members, func(m kmsg.ConsumerGroupDescribeResponseGroupMember) bool { return !mayDescribeMember(x, m) }) {
				denied := kmsg.NewConsumerGroupDescribeResponseGroup()
				denied.Group, denied.ErrorCode = g.Group, codeTopicDenied
				denied.ErrorMessage = new(hiddenTopics)
				*g = denied
			}
		}
		resp.Groups = splice(rows, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrConsumerGroupDescribeResponse()
		return answer(resp), unmap(resp)
	}
	req.Groups = asked
	return forward(unmap), nil
}

// mayDescribeMember reports whether the session may describe every topic that is
// assigned to a member, whose names are virtual, or will be.
func mayDescribeMember(x *Exchange, m kmsg.ConsumerGroupDescribeResponseGroupMember) bool {
	return !slices.ContainsFunc(slices.Concat(m.Assignment.TopicPartitions, m.TargetAssignment.TopicPartitions),
		func(t kmsg.AssignmentTopicPartition) bool { return !x.allows(t.Topic, x.needs.Topic) })
}

func describedMember(x *Exchange, m *kmsg.ConsumerGroupDescribeResponseGroupMember) {
	m.ClientHost = gatewayClientHost
	m.SubscribedTopics = own(x, tenancy.KindTopic, m.SubscribedTopics, func(name *string) *string { return name })
	if p := m.SubscribedTopicRegex; p != nil && *p != "" {
		m.SubscribedTopicRegex = nil
		if pattern, ok := x.virtualPattern(*p); ok {
			m.SubscribedTopicRegex = &pattern
		}
	}
	for _, a := range []*kmsg.Assignment{&m.Assignment, &m.TargetAssignment} {
		a.TopicPartitions = own(x, tenancy.KindTopic, a.TopicPartitions, func(t *kmsg.AssignmentTopicPartition) *string { return &t.Topic })
	}
}
