package rewrite

import (
	"fmt"

	"weir/tenancy"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateTopics (19). 2: throttle; 4: -1 for the pool's partitions and replicas
// (KIP-464); 5: flexible, and answers tell what was made (KIP-525); 6:
// THROTTLING_QUOTA_EXCEEDED; 7: topic id.
//
// How often a topic is replicated, and where, is the pool's business: every
// legal replication factor becomes -1.
//
// CREATE on the topic or on the cluster is needed; what was made is only shown to
// those who may describe the topic's configs (ReplicationControlManager). Topics that
// do not fit within the instance's limits are refused with POLICY_VIOLATION, in the
// order of the request, also where it only validates (limits_room.go).
func createTopics(x *Exchange, req *kmsg.CreateTopicsRequest) (outcome[*kmsg.CreateTopicsResponse], error) {
	count := make(map[string]int, len(req.Topics))
	for _, t := range req.Topics {
		count[t.Topic]++
	}
	asked := make([]kmsg.CreateTopicsRequestTopic, 0, len(req.Topics))
	var refused []placed[kmsg.CreateTopicsResponseTopic]
	at := 0
	anyTopic := x.cluster(opCreate) == 0
	space, err := x.newRoom(x.Ctx, !req.ValidateOnly)
	if err != nil {
		return outcome[*kmsg.CreateTopicsResponse]{}, err
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		n := count[t.Topic]
		if n == 0 {
			continue // the duplicate was answered where it first stood
		}
		code, msg := checkNewTopic(x, t)
		if !anyTopic && !x.allows(t.Topic, x.needs.Topic) {
			code, msg = codeTopicDenied, new("Authorization failed.") // as ControllerApis
		}
		if n > 1 {
			code, msg = codeInvalidRequest, new("Duplicate topic name.") // as ControllerApis
			count[t.Topic] = 0
		}
		if code == 0 {
			code, msg = space.create(x.Space.Physical(tenancy.KindTopic, t.Topic), &t.NumPartitions)
		}
		if code == 0 && !req.ValidateOnly {
			if code = x.mutate(createCost(t), 6); code != 0 {
				msg = standardText(code)
			}
		}
		if code != 0 {
			place(&refused, at, refuseCreate(t.Topic, code, msg))
		} else {
			t.Topic = x.Space.Physical(tenancy.KindTopic, t.Topic)
			t.ReplicationFactor = -1
			asked = append(asked, *t)
		}
		at++
	}
	learn := !req.ValidateOnly
	unmap := func(resp *kmsg.CreateTopicsResponse) error {
		defer space.end() // once what was created shows
		if learn {
			x.awaitCreated(resp)
		}
		for i := range resp.Topics {
			if err := unmapCreated(x, &resp.Topics[i], learn); err != nil {
				return err
			}
		}
		resp.Topics = splice(resp.Topics, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrCreateTopicsResponse()
		return answer(resp), unmap(resp)
	}
	req.Topics = asked
	return forward(unmap), nil
}

// checkNewTopic judges a topic that a tenant wants to create; code 0 lets it
// pass. What it does not judge, the broker does.
func checkNewTopic(x *Exchange, t *kmsg.CreateTopicsRequestTopic) (code int16, msg *string) {
	if _, ok := x.physicalTopic(t.Topic); !ok {
		return codeInvalidTopic, standardText(codeInvalidTopic)
	}
	if x.shared(t.Topic) {
		return codeTopicExists, standardText(codeTopicExists) // also where its owner has deleted it
	}
	if len(t.ReplicaAssignment) > 0 {
		return codeAssignment, new("brokers cannot be chosen here; leave the assignment out")
	}
	if t.ReplicationFactor == 0 || t.ReplicationFactor < -1 {
		return codeReplication, new(fmt.Sprintf("replication factor must be positive or -1, not %d", t.ReplicationFactor))
	}
	if t.NumPartitions > maxPartitions {
		return codePolicyViolation, tooManyPartitions(t.NumPartitions)
	}
	for _, c := range t.Configs {
		if code, msg := x.checkConfig(kmsg.ConfigResourceTypeTopic, c.Name, c.Value); code != 0 {
			return code, msg
		}
	}
	return 0, nil
}

func refuseCreate(name string, code int16, msg *string) kmsg.CreateTopicsResponseTopic {
	row := kmsg.NewCreateTopicsResponseTopic()
	row.Topic, row.ErrorCode, row.ErrorMessage = name, code, msg
	row.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	return row
}

// awaitCreated lets the client find its new topics on whatever broker it asks next.
func (x *Exchange) awaitCreated(resp *kmsg.CreateTopicsResponse) {
	var names []string
	for _, t := range resp.Topics {
		if t.ErrorCode == 0 {
			names = append(names, t.Topic)
		}
	}
	if len(names) > 0 {
		x.Pool.AwaitTopics(x.Ctx, names)
	}
}

// unmapCreated maps the row of one topic; learn says that it exists now.
func unmapCreated(x *Exchange, t *kmsg.CreateTopicsResponseTopic, learn bool) error {
	virtual, err := x.virtualTopic(t.Topic)
	if err != nil {
		return err
	}
	if learn && t.ErrorCode == 0 {
		x.learnTopic(t.TopicID, t.Topic)
	}
	t.Topic = virtual
	t.ErrorMessage = x.Text(t.ErrorCode, t.ErrorMessage)
	if t.ErrorCode == 0 && !x.allows(virtual, opDescribeConfigs) {
		t.ConfigErrorCode = codeTopicDenied
		t.NumPartitions, t.ReplicationFactor, t.Configs = -1, -1, []kmsg.CreateTopicsResponseTopicConfig{}
	}
	kept := t.Configs[:0]
	for _, c := range t.Configs {
		if _, settable, visible := topicConfig(c.Name); visible {
			c.ReadOnly = c.ReadOnly || !settable
			kept = append(kept, c)
		}
	}
	t.Configs = kept
	return nil
}
