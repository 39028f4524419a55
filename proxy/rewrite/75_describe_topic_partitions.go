package rewrite

import (
	"fmt"
	"maps"
	"slices"

	"weir/tenancy"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeTopicPartitions (75) is Metadata for topics, in pages (KIP-966). v0.
// The order of pages is that of names, and a prefix does not change it. Aliases
// do: then a page ends at the latest where the broker's order leaves the client's,
// and the cursor says how to go on.
//
// No topics means all: the broker is asked for this instance's by name. It wants
// the cursor's topic among those asked for, also if that topic was deleted
// between two pages.
func describeTopicPartitions(x *Exchange, req *kmsg.DescribeTopicPartitionsRequest) (outcome[*kmsg.DescribeTopicPartitionsResponse], error) {
	m := partitionsMap{x: x, every: len(req.Topics) == 0, refused: map[string]int16{}}
	if req.Cursor != nil {
		m.from = req.Cursor.Topic
		listed := slices.ContainsFunc(req.Topics, func(t kmsg.DescribeTopicPartitionsRequestTopic) bool { return t.Topic == m.from })
		if req.Cursor.Partition < 0 || !m.every && !listed {
			return answer(m.badCursor(req)), nil
		}
	}
	if m.every {
		if err := m.all(req); err != nil {
			return outcome[*kmsg.DescribeTopicPartitionsResponse]{}, err
		}
	} else {
		m.byName(req)
	}
	m.cut(req)
	if len(req.Topics) == 0 {
		// None left; none would mean every topic of the pool.
		resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
		return answer(resp), m.unmap(resp)
	}
	if req.Cursor != nil {
		if physical, code := x.topic(req.Cursor.Topic, x.needs.Topic); code == 0 {
			req.Cursor.Topic = physical
		} else {
			req.Cursor = nil // it is not asked for, nor anything before it
		}
	}
	return forward(m.unmap), nil
}

// partitionsMap is what the way back must know of the way there.
type partitionsMap struct {
	x       *Exchange
	every   bool             // all topics were asked for
	from    string           // the cursor's topic, virtual; "" if there is no cursor
	rest    string           // where the next page begins at the latest, virtual; "": all is asked for
	refused map[string]int16 // names, with the code of each
}

// all asks for every topic of the instance from the cursor's on.
func (m *partitionsMap) all(req *kmsg.DescribeTopicPartitionsRequest) error {
	names, err := m.x.listTopics()
	if err != nil {
		return &Error{Reason: ReasonNoUpstream, Err: fmt.Errorf("listing topics for DescribeTopicPartitions: %w", err)}
	}
	if cursor, ok := m.x.physicalTopic(m.from); ok {
		names = append(names, cursor)
	}
	names = m.x.describableNames(names)
	slices.SortFunc(names, m.x.byVirtualTopic)
	for _, name := range slices.Compact(names) {
		if virtual, _ := m.x.Space.Virtual(tenancy.KindTopic, name); virtual < m.from {
			continue
		}
		t := kmsg.NewDescribeTopicPartitionsRequestTopic()
		t.Topic = name
		req.Topics = append(req.Topics, t)
	}
	return nil
}

// byName maps names from the cursor's on.
func (m *partitionsMap) byName(req *kmsg.DescribeTopicPartitionsRequest) {
	asked := make([]kmsg.DescribeTopicPartitionsRequestTopic, 0, len(req.Topics))
	for _, t := range req.Topics {
		if t.Topic < m.from {
			continue
		}
		physical, code := m.x.topic(t.Topic, m.x.needs.Topic)
		if code != 0 {
			m.refused[t.Topic] = code
			continue
		}
		t.Topic = physical
		asked = append(asked, t)
	}
	req.Topics = asked
}

// cut leaves, of what is asked for, what is first in the order of virtual names
// and in the same order by physical ones.
func (m *partitionsMap) cut(req *kmsg.DescribeTopicPartitionsRequest) {
	if len(m.x.Space.Aliases()) == 0 {
		return
	}
	slices.SortFunc(req.Topics, func(a, b kmsg.DescribeTopicPartitionsRequestTopic) int { return m.x.byVirtualTopic(a.Topic, b.Topic) })
	for i := 1; i < len(req.Topics); i++ {
		if req.Topics[i].Topic < req.Topics[i-1].Topic {
			m.rest, _ = m.x.Space.Virtual(tenancy.KindTopic, req.Topics[i].Topic)
			m.x.mention(m.rest)
			req.Topics = req.Topics[:i]
		}
	}
}

// badCursor is what a broker makes of a cursor that it cannot follow: its
// DescribeTopicPartitionsRequest.getErrorResponse.
func (m *partitionsMap) badCursor(req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	for _, t := range req.Topics {
		resp.Topics = append(resp.Topics, refusePartitions(t.Topic, codeInvalidRequest))
	}
	return resp
}

func refusePartitions(name string, code int16) kmsg.DescribeTopicPartitionsResponseTopic {
	row := kmsg.NewDescribeTopicPartitionsResponseTopic()
	row.Topic, row.ErrorCode = &name, code
	return row
}

// unmap makes the broker's page the client's. A refused name stands on the page
// on which it belongs by its order.
func (m *partitionsMap) unmap(resp *kmsg.DescribeTopicPartitionsResponse) error {
	kept := resp.Topics[:0]
	for _, t := range resp.Topics {
		if m.every && t.ErrorCode == codeUnknownTopic {
			continue // deleted since it was listed, or since the cursor's page
		}
		if t.Topic != nil {
			m.x.learnTopic(t.TopicID, *t.Topic)
		}
		if err := m.x.unmapTopicOrNil(&t.Topic); err != nil {
			return err
		}
		t.AuthorizedOperations = operationsNotAsked
		if t.Topic != nil {
			t.AuthorizedOperations = m.x.operations(true, kmsg.ACLResourceTypeTopic, *t.Topic)
		}
		kept = append(kept, t)
	}
	resp.Topics = kept
	next := ""
	if resp.NextCursor != nil {
		virtual, err := m.x.virtualTopic(resp.NextCursor.Topic)
		if err != nil {
			return err
		}
		resp.NextCursor.Topic, next = virtual, virtual
	} else if m.rest != "" {
		resp.NextCursor = new(kmsg.NewDescribeTopicPartitionsResponseNextCursor())
		resp.NextCursor.Topic, next = m.rest, m.rest
	}
	for _, name := range slices.Sorted(maps.Keys(m.refused)) {
		if next == "" || name < next {
			resp.Topics = append(resp.Topics, refusePartitions(name, m.refused[name]))
		}
	}
	return nil
}
