package upstream

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

const (
	// endTopics is for how many topics one Metadata asks.
	endTopics = 500
	// endPartitions is for how many partitions one ListOffsets asks.
	endPartitions = 2000
	// latestOffset asks for the end of a log (ListOffsetsRequest.LATEST_TIMESTAMP).
	latestOffset = -1
)

// TopicEnd is how many records were ever appended to a topic, whatever became of them:
// retention and compaction take no offset back.
type TopicEnd struct {
	ID   [16]byte
	Name string
	// Records is the sum of the end offsets of its partitions, control records of
	// transactions among them, and without what is not replicated yet.
	Records int64
	// Known is false if some partition has no leader, or did not answer: Records means nothing.
	Known bool
}

// EndOffsets asks for the ends of all topics that are somebody's by owner, now: one
// question after the other, so that at most endPartitions are in memory twice. 30s for each
// answer.
func (p *Pool) EndOffsets(ctx context.Context, owner Owner) (map[tenancy.InstanceID][]TopicEnd, error) {
	if _, err := p.control(ctx); err != nil {
		return nil, err
	}
	owners := map[string]tenancy.InstanceID{}
	walk, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	err := p.walkTopics(walk, "", func(name string, _ int) {
		if id, ok := owner(tenancy.KindTopic, name); ok {
			owners[name] = id
		}
	})
	if err != nil {
		return nil, err
	}
	ends := map[tenancy.InstanceID][]TopicEnd{}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(owners)), endTopics) {
		some, err := p.topicEnds(ctx, names)
		if err != nil {
			return nil, err
		}
		for _, end := range some {
			ends[owners[end.Name]] = append(ends[owners[end.Name]], end)
		}
	}
	return ends, nil
}

// topicEnds asks for the ends of some topics. Those that are gone by now are not among them.
func (p *Pool) topicEnds(ctx context.Context, names []string) ([]TopicEnd, error) {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	answer, err := p.askOne(ctx, req)
	if err != nil {
		return nil, err
	}
	var ends []TopicEnd
	asked := map[int32][]topicPartition{} // by leader
	for _, t := range answer.(*kmsg.MetadataResponse).Topics {
		if t.Topic == nil || t.ErrorCode != 0 {
			continue
		}
		end := TopicEnd{ID: t.TopicID, Name: *t.Topic, Known: true}
		for _, part := range t.Partitions {
			if part.ErrorCode != 0 && part.ErrorCode != kerr.ReplicaNotAvailable.Code || part.Leader < 0 {
				end.Known = false
			}
			asked[part.Leader] = append(asked[part.Leader], topicPartition{len(ends), part.Partition})
		}
		ends = append(ends, end)
	}
	for leader, all := range asked {
		for some := range slices.Chunk(all, endPartitions) {
			if err := p.partitionEnds(ctx, leader, some, ends); err != nil {
				return nil, err
			}
		}
	}
	return ends, nil
}

// topicPartition is a partition of one of the topics that are asked for.
type topicPartition struct {
	topic     int
	partition int32
}

// partitionEnds adds what a leader answers to the topics. One that does not answer
// leaves its topics unknown.
func (p *Pool) partitionEnds(ctx context.Context, leader int32, asked []topicPartition, ends []TopicEnd) error {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	at := map[string]int{}
	for _, a := range asked {
		name := ends[a.topic].Name
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != name {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = name
			req.Topics = append(req.Topics, t)
			at[name] = a.topic
		}
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp = a.partition, latestOffset
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, part)
	}
	missing := make(map[topicPartition]bool, len(asked))
	for _, a := range asked {
		missing[a] = true
	}
	if leader >= 0 && p.health.down(leader) == nil {
		answer, err := p.client.Broker(int(leader)).Request(ctx, req)
		if ctx.Err() != nil {
			return fmt.Errorf("broker %d: %w", leader, wrapRequest(p, req, err))
		}
		if err == nil {
			addEnds(answer.(*kmsg.ListOffsetsResponse), at, missing, ends)
		}
	}
	for a := range missing {
		ends[a.topic].Known = false
	}
	return nil
}

// addEnds adds the offsets that were answered, and takes them off those that are missing.
func addEnds(resp *kmsg.ListOffsetsResponse, at map[string]int, missing map[topicPartition]bool, ends []TopicEnd) {
	for _, t := range resp.Topics {
		topic, ok := at[t.Topic]
		if !ok {
			continue
		}
		for _, part := range t.Partitions {
			a := topicPartition{topic, part.Partition}
			if part.ErrorCode == 0 && part.Offset >= 0 && missing[a] {
				ends[topic].Records += part.Offset
				delete(missing, a)
			}
		}
	}
}
