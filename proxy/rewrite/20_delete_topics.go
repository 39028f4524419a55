package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DeleteTopics (20). 1: throttle; 4: flexible; 5: error texts; 6: by id too,
// and a struct per topic in place of a name. A topic named by its id that may not
// be deleted shows its name only to those who may describe it (ControllerApis).
// Unlike there DELETE on the cluster is no right to every topic: no tool grants it,
// and where what no ACL speaks of is allowed, everybody would have it.
// One that is only shared with this instance is its owner's to delete: to those
// POLICY_VIOLATION.
func deleteTopics(x *Exchange, req *kmsg.DeleteTopicsRequest) (outcome[*kmsg.DeleteTopicsResponse], error) {
	var refused []placed[kmsg.DeleteTopicsResponseTopic]
	var asked int
	if x.Version >= 6 {
		refused = deleteTopicsByRow(x, req)
		asked = len(req.Topics)
	} else {
		req.TopicNames, refused = deleteTopicNames(x, req.TopicNames)
		asked = len(req.TopicNames)
	}
	unmap := func(resp *kmsg.DeleteTopicsResponse) error {
		for i := range resp.Topics {
			t := &resp.Topics[i]
			t.ErrorMessage = x.Text(t.ErrorCode, t.ErrorMessage)
			if err := x.unmapTopicOrNil(&t.Topic); err != nil {
				return err
			}
		}
		resp.Topics = splice(resp.Topics, refused)
		return nil
	}
	if asked == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrDeleteTopicsResponse()
		return answer(resp), unmap(resp)
	}
	return forward(unmap), nil
}

// deleteTopicNames maps the names of v1-5.
func deleteTopicNames(x *Exchange, names []string) (asked []string, refused []placed[kmsg.DeleteTopicsResponseTopic]) {
	asked, refused = forwardTopics(x, names,
		func(name *string) *string { return name },
		func(name *string, code int16) kmsg.DeleteTopicsResponseTopic {
			virtual := *name
			return refuseDelete(&virtual, topicID{}, x.deleteCode(virtual, code))
		})
	return chargeDeletes(x, asked, refused, func(physical string) string { return physical },
		func(physical string, code int16) kmsg.DeleteTopicsResponseTopic {
			return x.throttledDelete(physical, topicID{}, code)
		})
}

// deleteTopicsByRow maps the rows of v6 in place. An id that is not this
// instance's is UNKNOWN_TOPIC_ID; ids pass unchanged.
func deleteTopicsByRow(x *Exchange, req *kmsg.DeleteTopicsRequest) (refused []placed[kmsg.DeleteTopicsResponseTopic]) {
	ids := make([]topicID, 0, len(req.Topics))
	for _, t := range req.Topics {
		ids = append(ids, t.TopicID)
	}
	owned := x.ownTopics(ids)
	asked := make([]kmsg.DeleteTopicsRequestTopic, 0, len(req.Topics))
	for i, t := range req.Topics {
		byID := t.TopicID != topicID{}
		switch {
		case byID == (t.Topic != nil): // both or neither
			place(&refused, i, refuseDelete(t.Topic, t.TopicID, codeInvalidRequest))
			continue
		case byID:
			virtual, ok := owned[t.TopicID]
			if !ok {
				place(&refused, i, refuseDelete(nil, t.TopicID, codeUnknownTopicID))
				continue
			}
			if may := x.may(kmsg.ACLResourceTypeTopic, virtual); !may.Has(x.needs.Topic) {
				x.mention(virtual)
				place(&refused, i, refuseDelete(shown(virtual, may.Has(opDescribe)), t.TopicID, x.deleteCode(virtual, codeTopicDenied)))
				continue
			}
		default:
			physical, code := x.topic(*t.Topic, x.needs.Topic)
			if code != 0 {
				place(&refused, i, refuseDelete(t.Topic, topicID{}, x.deleteCode(*t.Topic, code)))
				continue
			}
			t.Topic = &physical
		}
		asked = append(asked, t)
	}
	req.Topics, refused = chargeDeletes(x, asked, refused,
		func(t kmsg.DeleteTopicsRequestTopic) string {
			if t.Topic == nil {
				return x.Space.Physical(tenancy.KindTopic, owned[t.TopicID])
			}
			return *t.Topic
		},
		func(t kmsg.DeleteTopicsRequestTopic, code int16) kmsg.DeleteTopicsResponseTopic {
			if t.Topic == nil {
				return refuseDelete(nil, t.TopicID, code)
			}
			return x.throttledDelete(*t.Topic, topicID{}, code)
		})
	return refused
}

// shown is a name, or null if it must not be shown.
func shown(name string, show bool) *string {
	if !show {
		return nil
	}
	return &name
}

// deleteCode is why a topic cannot be deleted: code, but for a shared one that
// the client may know of.
func (x *Exchange) deleteCode(virtual string, code int16) int16 {
	if code == codeTopicDenied && x.shared(virtual) && x.may(kmsg.ACLResourceTypeTopic, virtual).Has(opDescribe) {
		return codePolicyViolation
	}
	return code
}

func refuseDelete(name *string, id topicID, code int16) kmsg.DeleteTopicsResponseTopic {
	row := kmsg.NewDeleteTopicsResponseTopic()
	row.Topic, row.TopicID = name, id
	row.ErrorCode, row.ErrorMessage = code, standardText(code)
	return row
}
