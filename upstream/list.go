package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listPage is how many partitions one DescribeTopicPartitions answers for:
// Kafka's own bound, max.request.partition.size.limit.
const listPage = 2000

// ListTopics returns the names of the topics that begin with prefix, sorted,
// asked from the pool now; their ids are learned. With DescribeTopicPartitions
// (KIP-966) the answer is as large as what is asked for; without it, it is the
// whole pool's metadata. 10s in all if ctx has no deadline.
func (p *Pool) ListTopics(ctx context.Context, prefix string) ([]string, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	var names []string
	add := func(name string, _ int) { names = append(names, name) }
	var err error
	if prefix != "" {
		err = p.walkTopics(ctx, prefix, add)
	} else {
		err = p.walkAll(ctx, prefix, add)
	}
	slices.Sort(names)
	return slices.Compact(names), err // a topic may be spread over two pages
}

// CountPartitions returns how many partitions each topic has whose name begins
// with prefix, asked from the pool now as ListTopics does. 10s in all if ctx has
// no deadline.
func (p *Pool) CountPartitions(ctx context.Context, prefix string) (map[string]int, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	count := map[string]int{}
	err := p.walkTopics(ctx, prefix, func(name string, partitions int) { count[name] += partitions })
	if err != nil {
		return nil, err
	}
	return count, nil
}

// walkTopics calls fn for every topic whose name begins with prefix, with its
// partitions; more than once for a topic that is spread over pages, with a part of
// them each time. Ids are learned, but not from a walk over everybody's pages.
func (p *Pool) walkTopics(ctx context.Context, prefix string, fn func(name string, partitions int)) error {
	if _, ok := p.Versions(int16(kmsg.DescribeTopicPartitions)); !ok {
		return p.walkAll(ctx, prefix, fn)
	}
	return p.walkPages(ctx, prefix, fn)
}

// walkPages walks the pool's topics, which brokers sort by name, from prefix
// on to the first name beyond it. The cursor need not exist when no topics are
// named (DescribeTopicPartitionsRequestHandler; kfake alike).
func (p *Pool) walkPages(ctx context.Context, prefix string, fn func(name string, partitions int)) error {
	cursor := &kmsg.DescribeTopicPartitionsRequestCursor{Topic: prefix}
	for {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit = listPage
		if cursor.Topic != "" {
			req.Cursor = cursor
		}
		answer, err := p.askOne(ctx, req)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.DescribeTopicPartitionsResponse)
		for _, t := range resp.Topics {
			if t.Topic == nil || t.ErrorCode != 0 {
				continue // deleted while it was described
			}
			if prefix != "" {
				p.topics.learn(t.TopicID, *t.Topic)
			}
			if strings.HasPrefix(*t.Topic, prefix) {
				fn(*t.Topic, len(t.Partitions))
			}
		}
		next := resp.NextCursor
		if next == nil || !strings.HasPrefix(next.Topic, prefix) {
			return nil
		}
		if next.Topic == cursor.Topic && next.Partition <= cursor.Partition || next.Topic < cursor.Topic {
			return fmt.Errorf("pool %q: DescribeTopicPartitions does not advance beyond %q", p.cfg.Name, next.Topic)
		}
		cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: next.Topic, Partition: next.Partition}
	}
}

// walkAll filters the metadata of every topic of the pool.
func (p *Pool) walkAll(ctx context.Context, prefix string, fn func(name string, partitions int)) error {
	answer, err := p.askOne(ctx, kmsg.NewPtrMetadataRequest()) // null: all topics
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.MetadataResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fmt.Errorf("pool %q: Metadata: %w", p.cfg.Name, err)
	}
	p.learnAll(resp)
	for _, t := range resp.Topics {
		if t.Topic != nil && strings.HasPrefix(*t.Topic, prefix) {
			fn(*t.Topic, len(t.Partitions))
		}
	}
	return nil
}
