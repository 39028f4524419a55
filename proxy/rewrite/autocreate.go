package rewrite

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// autoCreateTimeoutMillis is how long a broker may take to create topics that a
// Metadata request names; meanwhile the client waits for its metadata.
const autoCreateTimeoutMillis = 5000

// autoCreateTurn is how long topics are waited to be counted within limits. Short:
// answers of the connection wait behind, perhaps that of who has the turn.
const autoCreateTurn = 3 * time.Second

// createMissing creates the topics (virtual names) that the broker did not
// know, with the pool's default partitions and replicas, and says in their rows
// what came of it: their metadata if the pool has it by now, else
// LEADER_NOT_AVAILABLE, upon which clients ask again, but some only seconds
// later. The broker itself never creates: it would not know whose topic it is.
// As in Kafka CREATE on the topic or on the cluster is needed.
func (x *Exchange) createMissing(rows []kmsg.MetadataResponseTopic) {
	var space *room
	defer func() { space.end() }()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = autoCreateTimeoutMillis
	missing := make(map[string]*kmsg.MetadataResponseTopic)
	anyTopic := x.cluster(opCreate) == 0
	for i := range rows {
		row := &rows[i]
		if !x.toBeMade(row, anyTopic) {
			continue
		}
		if space == nil {
			var err error
			ctx, cancel := context.WithCancel(x.Ctx)
			defer cancel() // ends the turn too: not before the topics are there
			late := time.AfterFunc(autoCreateTurn, cancel)
			space, err = x.newRoom(ctx, true)
			late.Stop()
			if err != nil {
				return // the rows stay UNKNOWN_TOPIC_OR_PARTITION, which clients try again
			}
		}
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic = x.Space.Physical(tenancy.KindTopic, *row.Topic)
		t.NumPartitions, t.ReplicationFactor = -1, -1
		if code, _ := space.create(t.Topic, &t.NumPartitions); code != 0 {
			if code == codePolicyViolation { // else clients try again
				row.ErrorCode, row.TopicID = code, topicID{}
			}
			continue
		}
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
	if resp, ok := raw.(*kmsg.CreateTopicsResponse); ok {
		x.fillIn(x.created(resp, missing), missing)
	}
}

// toBeMade reports whether the topic of a row is to be created; the row says why not.
func (x *Exchange) toBeMade(row *kmsg.MetadataResponseTopic, anyTopic bool) bool {
	if row.ErrorCode != codeUnknownTopic || row.Topic == nil || x.shared(*row.Topic) {
		return false
	}
	if !anyTopic && !x.allows(*row.Topic, opCreate) {
		row.ErrorCode, row.TopicID = codeTopicDenied, topicID{}
		return false
	}
	// Throttled, it is unknown for now: clients ask again (as DefaultAutoTopicCreationManager).
	return x.Mutations == nil || x.Mutations.Spend(defaultPartitions, true)
}

// created says in the rows what came of each topic, and returns those that are there.
func (x *Exchange) created(resp *kmsg.CreateTopicsResponse, rows map[string]*kmsg.MetadataResponseTopic) (made []string) {
	for _, t := range resp.Topics {
		row := rows[t.Topic]
		if row == nil {
			continue
		}
		if t.ErrorCode == 0 || t.ErrorCode == codeTopicExists {
			made = append(made, t.Topic)
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
	return made
}

// fillIn replaces the rows of topics that have just been made by what the pool
// says of them once its brokers know them.
func (x *Exchange) fillIn(made []string, rows map[string]*kmsg.MetadataResponseTopic) {
	if len(made) == 0 {
		return
	}
	x.Pool.AwaitTopics(x.Ctx, made)
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range made {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	raw, err := x.Pool.Request(x.Ctx, req)
	resp, ok := raw.(*kmsg.MetadataResponse)
	if err != nil || !ok {
		return
	}
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 || t.Topic == nil || rows[*t.Topic] == nil {
			continue
		}
		row := rows[*t.Topic]
		row.ErrorCode, row.TopicID, row.Partitions = 0, t.TopicID, t.Partitions
	}
}
