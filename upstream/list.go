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
	var err error
	if _, ok := p.Versions(int16(kmsg.DescribeTopicPartitions)); ok && prefix != "" {
		names, err = p.listPages(ctx, prefix)
	} else {
		names, err = p.listAll(ctx, prefix)
	}
	slices.Sort(names)
	return slices.Compact(names), err // a topic may be spread over two pages
}

// listPages walks the pool's topics, which brokers sort by name, from prefix
// on to the first name beyond it. The cursor need not exist when no topics are
// named (DescribeTopicPartitionsRequestHandler; kfake alike).
func (p *Pool) listPages(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	cursor := &kmsg.DescribeTopicPartitionsRequestCursor{Topic: prefix}
	for {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit = listPage
		req.Cursor = cursor
		answer, err := p.askOne(ctx, req)
		if err != nil {
			return nil, err
		}
		resp := answer.(*kmsg.DescribeTopicPartitionsResponse)
		for _, t := range resp.Topics {
			if t.Topic == nil || t.ErrorCode != 0 {
				continue // deleted while it was described
			}
			p.topics.learn(t.TopicID, *t.Topic)
			if strings.HasPrefix(*t.Topic, prefix) {
				names = append(names, *t.Topic)
			}
		}
		next := resp.NextCursor
		if next == nil || !strings.HasPrefix(next.Topic, prefix) {
			return names, nil
		}
		if next.Topic == cursor.Topic && next.Partition <= cursor.Partition || next.Topic < cursor.Topic {
			return nil, fmt.Errorf("pool %q: DescribeTopicPartitions does not advance beyond %q", p.cfg.Name, next.Topic)
		}
		cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: next.Topic, Partition: next.Partition}
	}
}

// listAll filters the metadata of every topic of the pool.
func (p *Pool) listAll(ctx context.Context, prefix string) ([]string, error) {
	answer, err := p.askOne(ctx, kmsg.NewPtrMetadataRequest()) // null: all topics
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.MetadataResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, fmt.Errorf("pool %q: Metadata: %w", p.cfg.Name, err)
	}
	p.learnAll(resp)
	var names []string
	for _, t := range resp.Topics {
		if t.Topic != nil && strings.HasPrefix(*t.Topic, prefix) {
			names = append(names, *t.Topic)
		}
	}
	return names, nil
}
