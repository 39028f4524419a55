package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ShareAcknowledge (79) says what became of records that a ShareFetch brought,
// within the same session. v1-2; 2 renews locks (KIP-1222). Unlike fetched
// topics, every acknowledged one is named and checked each time. The request
// goes on even without topics: it takes the session to its next epoch.
func shareAcknowledge(x *Exchange, req *kmsg.ShareAcknowledgeRequest) (outcome[*kmsg.ShareAcknowledgeResponse], error) {
	key, code := mapShareAcknowledge(x, req)
	if code != 0 {
		resp := kmsg.NewPtrShareAcknowledgeResponse()
		resp.ErrorCode = code
		return answer(resp), nil
	}
	epoch := req.ShareSessionEpoch
	var refused []placed[kmsg.ShareAcknowledgeResponseTopic]
	req.Topics, refused = refuseTopics(x, req.Topics, true,
		func(t *kmsg.ShareAcknowledgeRequestTopic) (*string, *topicID) { return nil, &t.TopicID }, shareAcknowledgeRefusal)
	return forward(func(resp *kmsg.ShareAcknowledgeResponse) error {
		x.leaveShareSession(key, epoch, resp.ErrorCode)
		resp.ErrorMessage = x.Text(resp.ErrorCode, resp.ErrorMessage)
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				p := &resp.Topics[i].Partitions[j]
				p.ErrorMessage = x.Text(p.ErrorCode, p.ErrorMessage)
			}
		}
		resp.Topics = ownIDs(x, resp.Topics, func(t *kmsg.ShareAcknowledgeResponseTopic) topicID { return t.TopicID })
		if resp.ErrorCode == 0 { // else Kafka fails as a whole, without rows
			resp.Topics = splice(resp.Topics, refused)
		}
		for i := range resp.NodeEndpoints {
			e := &resp.NodeEndpoints[i]
			e.Host, e.Port = x.Address(e.NodeID)
		}
		return nil
	}), nil
}

// mapShareAcknowledge maps the group in place and finds the session; code is not
// 0 if the request must not be forwarded.
func mapShareAcknowledge(x *Exchange, req *kmsg.ShareAcknowledgeRequest) (key shareKey, code int16) {
	if req.GroupID == nil {
		return key, kerr.InvalidRequest.Code
	}
	key.group = *req.GroupID
	if req.MemberID != nil {
		key.member = *req.MemberID
	}
	physical, code := x.group(key.group, x.needs.Group)
	if code != 0 {
		return key, code
	}
	req.GroupID = &physical
	if req.ShareSessionEpoch != epochInitial { // which the broker refuses
		if _, ok := x.shareSession(key); !ok {
			return key, kerr.ShareSessionNotFound.Code
		}
	}
	return key, 0
}

func shareAcknowledgeRefusal(t *kmsg.ShareAcknowledgeRequestTopic, code int16) kmsg.ShareAcknowledgeResponseTopic {
	row := kmsg.NewShareAcknowledgeResponseTopic()
	row.TopicID = t.TopicID
	for _, p := range t.Partitions {
		part := kmsg.NewShareAcknowledgeResponseTopicPartition()
		part.Partition, part.ErrorCode = p.Partition, code
		part.CurrentLeader.LeaderID, part.CurrentLeader.LeaderEpoch = -1, -1
		row.Partitions = append(row.Partitions, part)
	}
	return row
}
