package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// ConsumerGroupDescribe (69) shows KIP-848 groups and their members. 1: member
// types. Topics that are not this instance's are dropped wherever they stand.
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
