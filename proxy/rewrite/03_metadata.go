package rewrite

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Metadata (3) says which topics there are and which brokers lead them. 1: null
// for all topics, [] for none; 2: cluster id; 4: auto-creation may be declined;
// 8: authorized operations (of the cluster up to 10); 9: flexible; 10: topic
// ids in answers; 12: and in requests; 13: top-level error (KIP-1102).
//
// "All" never reaches a broker: it is asked for this instance's topics by name,
// less those that the ACLs keep from the client, which must not know of them.
func metadata(x *Exchange, req *kmsg.MetadataRequest) (outcome[*kmsg.MetadataResponse], error) {
	m := metadataMap{
		x:          x,
		autoCreate: x.AutoCreate && (req.AllowAutoTopicCreation || x.Version < 4),
		askedTopic: req.IncludeTopicAuthorizedOperations,
		askedAll:   req.IncludeClusterAuthorizedOperations,
	}
	req.AllowAutoTopicCreation = false
	ids := slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.TopicID != topicID{} })
	switch {
	case req.Topics == nil || x.Version == 0 && len(req.Topics) == 0:
		if err := m.all(req); err != nil {
			return outcome[*kmsg.MetadataResponse]{}, err
		}
	case x.Version < 12 && (ids || slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.Topic == nil })):
		return answer(m.idsTooEarly(req)), nil
	case ids:
		m.byID(req)
	default:
		m.byName(req)
	}
	if x.Version == 0 && len(req.Topics) == 0 {
		// [] would mean every topic of the pool.
		resp := m.noTopics()
		return answer(resp), m.unmap(resp)
	}
	return forward(m.unmap), nil
}

// metadataMap is what the way back must know of the way there.
type metadataMap struct {
	x          *Exchange
	every      bool // all topics were asked for
	autoCreate bool
	askedTopic bool // for authorized operations
	askedAll   bool
	refused    []placed[kmsg.MetadataResponseTopic]
}

// all asks for every topic of the instance by name.
func (m *metadataMap) all(req *kmsg.MetadataRequest) error {
	names, err := m.x.listTopics()
	if err != nil {
		return &Error{Reason: ReasonNoUpstream, Err: fmt.Errorf("listing topics for Metadata: %w", err)}
	}
	m.every = true
	req.Topics = make([]kmsg.MetadataRequestTopic, 0, len(names))
	for _, name := range m.x.describableNames(names) {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	return nil
}

// byName maps names; like a broker it answers each name once.
func (m *metadataMap) byName(req *kmsg.MetadataRequest) {
	asked := make([]kmsg.MetadataRequestTopic, 0, len(req.Topics))
	seen := make(map[string]bool, len(req.Topics))
	place := 0
	for _, t := range req.Topics {
		if t.Topic == nil { // and no id: the id zero, which is nobody's
			m.refuse(place, t.Topic, t.TopicID, codeUnknownTopicID)
			place++
			continue
		}
		if seen[*t.Topic] {
			continue
		}
		seen[*t.Topic] = true
		physical, code := m.x.topic(*t.Topic, m.x.needs.Topic)
		switch code {
		case 0:
			t.Topic = &physical
			asked = append(asked, t)
		case codeTopicDenied:
			m.refuse(place, t.Topic, topicID{}, code)
		default:
			m.refuse(place, t.Topic, t.TopicID, codeInvalidTopic)
		}
		place++
	}
	req.Topics = asked
}

// byID keeps the ids of this instance's topics. As in Kafka a name is ignored
// as soon as one id is given.
func (m *metadataMap) byID(req *kmsg.MetadataRequest) {
	ids := make([]topicID, 0, len(req.Topics))
	for _, t := range req.Topics {
		ids = append(ids, t.TopicID)
	}
	owned := m.x.ownTopics(ids)
	asked := make([]kmsg.MetadataRequestTopic, 0, len(req.Topics))
	seen := make(map[topicID]bool, len(req.Topics))
	for _, t := range req.Topics {
		if t.TopicID == (topicID{}) || seen[t.TopicID] {
			continue
		}
		seen[t.TopicID] = true
		virtual, ok := owned[t.TopicID]
		if !ok || !m.x.allows(virtual, m.x.needs.Topic) {
			code := codeUnknownTopicID
			if ok {
				code = codeTopicDenied // to Kafka an id is no secret
			}
			m.refuse(len(seen)-1, nil, t.TopicID, code)
			continue
		}
		t.Topic = nil
		asked = append(asked, t)
	}
	req.Topics = asked
}

func (m *metadataMap) refuse(at int, name *string, id topicID, code int16) {
	row := kmsg.NewMetadataResponseTopic()
	row.ErrorCode, row.Topic, row.TopicID = code, name, id
	place(&m.refused, at, row)
}

// idsTooEarly is what MetadataRequest.getErrorResponse makes of ids or null
// names before v12, which KafkaApis refuses.
func (m *metadataMap) idsTooEarly(req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ControllerID = noNode
	for _, t := range req.Topics {
		row := kmsg.NewMetadataResponseTopic()
		row.ErrorCode, row.TopicID = codeInvalidRequest, t.TopicID
		row.Topic = cmp.Or(t.Topic, new(string))
		resp.Topics = append(resp.Topics, row)
	}
	return resp
}

// noTopics is the broker's answer to a request for no topic, from what the pool
// last said of itself.
func (m *metadataMap) noTopics() *kmsg.MetadataResponse {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ControllerID = m.x.Pool.Controller()
	for _, b := range m.x.Pool.Brokers() {
		row := kmsg.NewMetadataResponseBroker()
		row.NodeID, row.Rack = b.Node, b.Rack
		resp.Brokers = append(resp.Brokers, row)
	}
	return resp
}

// unmap makes the broker's answer the client's.
func (m *metadataMap) unmap(resp *kmsg.MetadataResponse) error {
	live := make([]int32, 0, len(resp.Brokers))
	for i := range resp.Brokers {
		b := &resp.Brokers[i]
		b.Host, b.Port = m.x.Address(b.NodeID)
		live = append(live, b.NodeID)
	}
	resp.ClusterID = &m.x.ClusterID
	resp.ControllerID = m.x.controller(resp.ControllerID, live)
	resp.AuthorizedOperations = m.x.operations(m.askedAll, kmsg.ACLResourceTypeCluster, clusterName)
	kept := resp.Topics[:0]
	for _, t := range resp.Topics {
		if m.every && t.ErrorCode == codeUnknownTopic {
			continue // deleted since it was listed
		}
		if err := m.unmapTopic(&t); err != nil {
			return err
		}
		kept = append(kept, t)
	}
	if m.autoCreate {
		m.x.createMissing(kept)
	}
	resp.Topics = splice(kept, m.refused)
	return nil
}

// unmapTopic maps one row. The row of an id that was deleted meanwhile has no
// name and looks like that of a foreign one.
func (m *metadataMap) unmapTopic(t *kmsg.MetadataResponseTopic) error {
	t.AuthorizedOperations = operationsNotAsked
	if t.Topic != nil && *t.Topic != "" {
		m.x.learnTopic(t.TopicID, *t.Topic)
	}
	if err := m.x.unmapTopicOrNil(&t.Topic); err != nil || t.Topic == nil {
		return err
	}
	t.AuthorizedOperations = m.x.operations(m.askedTopic, kmsg.ACLResourceTypeTopic, *t.Topic)
	return nil
}
