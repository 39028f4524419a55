package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// ShareGroupDescribe (77) shows share groups and their members. v1. Topics that
// are not this instance's are dropped wherever they stand; a group with a topic
// that the client may not see is refused as a whole (KafkaApis).
func shareGroupDescribe(x *Exchange, req *kmsg.ShareGroupDescribeRequest) (outcome[*kmsg.ShareGroupDescribeResponse], error) {
	asked, refused := refuseGroups(x, req.GroupIDs, func(group string, code int16) kmsg.ShareGroupDescribeResponseGroup {
		row := kmsg.NewShareGroupDescribeResponseGroup()
		row.GroupID, row.ErrorCode = group, code
		return row
	})
	unmap := func(resp *kmsg.ShareGroupDescribeResponse) error {
		rows := own(x, tenancy.KindGroup, resp.Groups, func(g *kmsg.ShareGroupDescribeResponseGroup) *string { return &g.GroupID })
		for i := range rows {
			describedShareGroup(x, &rows[i], req.IncludeAuthorizedOperations)
		}
		resp.Groups = splice(rows, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrShareGroupDescribeResponse()
		return answer(resp), unmap(resp)
	}
	req.GroupIDs = asked
	return forward(unmap), nil
}

// hiddenTopics is KafkaApis' text for a group whose topics the client may not see.
const hiddenTopics = "The group has described topic(s) that the client is not authorized to describe."

func describedShareGroup(x *Exchange, g *kmsg.ShareGroupDescribeResponseGroup, withOperations bool) {
	g.ErrorMessage = x.Text(g.ErrorCode, g.ErrorMessage)
	g.AuthorizedOperations = x.operations(withOperations && g.ErrorCode == 0, kmsg.ACLResourceTypeGroup, g.GroupID)
	for i := range g.Members {
		m := &g.Members[i]
		m.ClientHost = gatewayClientHost
		m.SubscribedTopicNames = own(x, tenancy.KindTopic, m.SubscribedTopicNames, func(name *string) *string { return name })
		m.Assignment.TopicPartitions = own(x, tenancy.KindTopic, m.Assignment.TopicPartitions,
			func(t *kmsg.ShareGroupDescribeResponseGroupMemberAssignmentTopicPartition) *string { return &t.Topic })
		for _, t := range m.Assignment.TopicPartitions {
			if !x.allows(t.Topic, x.needs.Topic) {
				row := kmsg.NewShareGroupDescribeResponseGroup()
				row.GroupID, row.ErrorCode, row.ErrorMessage = g.GroupID, codeTopicDenied, new(hiddenTopics)
				*g = row
				return
			}
		}
	}
}
