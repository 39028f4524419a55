package rewrite

import "github.com/twmb/franz-go/pkg/kmsg"

// autoCreateTimeoutMillis is how long a broker may take to create topics that a
// Metadata request names; meanwhile the client waits for its metadata.
const autoCreateTimeoutMillis = 5000

// createMissing creates the topics (virtual names) that the broker did not
// know, with the pool's default partitions and replicas, and says in their rows
// what came of it: LEADER_NOT_AVAILABLE, upon which clients ask again. The
// broker itself never creates: it would not know whose topic it is.
func (x *Exchange) createMissing(rows []kmsg.MetadataResponseTopic) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = autoCreateTimeoutMillis
	missing := make(map[string]*kmsg.MetadataResponseTopic)
	for i := range rows {
		row := &rows[i]
		if row.ErrorCode != codeUnknownTopic || row.Topic == nil {
			continue
		}
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic = x.Space.Physical(*row.Topic)
		t.NumPartitions, t.ReplicationFactor = -1, -1
		req.Topics = append(req.Topics, t)
		missing[t.Topic] = row
	}
	if len(missing) == 0 {
		return
	}
	raw, err := x.Pool.Request(x.Ctx, req)
	if err != nil {
		return // the rows stay UNKNOWN_TOPIC_OR_PARTITION, which clients try again
	}
	resp, ok := raw.(*kmsg.CreateTopicsResponse)
	if !ok {
		return
	}
	for _, t := range resp.Topics {
		row := missing[t.Topic]
		if row == nil {
			continue
		}
		switch t.ErrorCode {
		case 0:
			x.learnTopic(t.TopicID, t.Topic)
			row.ErrorCode = codeNoLeader
		case codeTopicExists: // another client was faster
			row.ErrorCode = codeNoLeader
		case codeInvalidTopic, codePolicyViolation:
			row.ErrorCode = t.ErrorCode
		}
	}
}
