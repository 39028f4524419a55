package upstream

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// transactionPattern is the first ListTransactions that takes a pattern (KIP-1152).
const transactionPattern = 2

// FirstTopic returns the first name of a topic that begins with one of the
// prefixes; "" if there is none. With DescribeTopicPartitions (KIP-966) each
// prefix costs a question about one partition; without it, one listing of the
// pool. 10s in all if ctx has no deadline.
func (p *Pool) FirstTopic(ctx context.Context, prefixes ...string) (string, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	if _, ok := p.Versions(int16(kmsg.DescribeTopicPartitions)); !ok || slices.Contains(prefixes, "") {
		first := ""
		err := p.walkAll(ctx, "", func(name string, _ int) {
			if hasAnyPrefix(name, prefixes) && (first == "" || name < first) {
				first = name
			}
		})
		return first, err
	}
	for _, prefix := range prefixes {
		if name, err := p.firstFrom(ctx, prefix); err != nil || name != "" {
			return name, err
		}
	}
	return "", nil
}

// firstFrom is the first topic with a prefix, which brokers' order of names puts
// right behind the prefix itself.
func (p *Pool) firstFrom(ctx context.Context, prefix string) (string, error) {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 1
	req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: prefix}
	answer, err := p.askOne(ctx, req)
	if err != nil {
		return "", err
	}
	for _, t := range answer.(*kmsg.DescribeTopicPartitionsResponse).Topics {
		// A topic that is being deleted is one all the same.
		if t.Topic != nil && strings.HasPrefix(*t.Topic, prefix) {
			return *t.Topic, nil
		}
	}
	return "", nil
}

func hasAnyPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// TopicsExist says which of the names are topics of the pool now.
func (p *Pool) TopicsExist(ctx context.Context, names ...string) (map[string]bool, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	exist := make(map[string]bool, len(names))
	if len(names) == 0 {
		return exist, nil // none would be all
	}
	answer, err := p.askOne(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.MetadataResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, fmt.Errorf("pool %q: Metadata: %w", p.cfg.Name, err)
	}
	for _, t := range resp.Topics {
		if t.Topic != nil && t.ErrorCode != kerr.UnknownTopicOrPartition.Code {
			exist[*t.Topic] = true
		}
	}
	return exist, nil
}

// Coordinated are the groups and transactional ids of a pool that were asked for.
type Coordinated struct {
	Groups, Txns []string
}

// Coordinated lists the groups and transactional ids that begin with prefix, all
// if it is "". Every broker is asked for all groups that it coordinates, and, from
// Kafka 4.1 on, for those transactional ids alone. A broker that does not answer is
// an error; one that is known to be down coordinates nothing. 10s in all if ctx has
// no deadline.
func (p *Pool) Coordinated(ctx context.Context, prefix string) (Coordinated, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	if _, err := p.control(ctx); err != nil {
		return Coordinated{}, err
	}
	brokers := slices.DeleteFunc(slices.Clone(p.Brokers()), func(b Broker) bool { return p.health.down(b.Node) != nil })
	if len(brokers) == 0 {
		return Coordinated{}, fmt.Errorf("pool %q: %w", p.cfg.Name, ErrNoBroker)
	}
	parts := make([]Coordinated, 2*len(brokers))
	g, ctx := errgroup.WithContext(ctx)
	for i, b := range brokers {
		g.Go(func() (err error) {
			parts[2*i].Groups, err = p.groupsOf(ctx, b.Node, prefix)
			return err
		})
		g.Go(func() (err error) {
			parts[2*i+1].Txns, err = p.txnsOf(ctx, b.Node, prefix)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Coordinated{}, err
	}
	var all Coordinated
	for _, part := range parts {
		all.Groups, all.Txns = append(all.Groups, part.Groups...), append(all.Txns, part.Txns...)
	}
	slices.Sort(all.Groups)
	slices.Sort(all.Txns)
	all.Groups, all.Txns = slices.Compact(all.Groups), slices.Compact(all.Txns) // kfake: every broker lists all
	return all, nil
}

func (p *Pool) groupsOf(ctx context.Context, node int32, prefix string) ([]string, error) {
	req := kmsg.NewPtrListGroupsRequest()
	answer, err := p.client.Broker(int(node)).Request(ctx, req)
	if err != nil {
		return nil, wrapRequest(p, req, err)
	}
	resp := answer.(*kmsg.ListGroupsResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, wrapRequest(p, req, err)
	}
	var names []string
	for _, g := range resp.Groups {
		if strings.HasPrefix(g.Group, prefix) {
			names = append(names, g.Group)
		}
	}
	return names, nil
}

func (p *Pool) txnsOf(ctx context.Context, node int32, prefix string) ([]string, error) {
	req := kmsg.NewPtrListTransactionsRequest()
	if v, ok := p.Versions(int16(kmsg.ListTransactions)); !ok {
		return nil, nil
	} else if v.Max >= transactionPattern && prefix != "" {
		pattern := regexp.QuoteMeta(prefix) + "(?s:.*)"
		req.TransactionalIDPattern = &pattern
	}
	answer, err := p.client.Broker(int(node)).Request(ctx, req)
	if err != nil {
		return nil, wrapRequest(p, req, err)
	}
	resp := answer.(*kmsg.ListTransactionsResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, wrapRequest(p, req, err)
	}
	var names []string
	for _, t := range resp.TransactionStates {
		if strings.HasPrefix(t.TransactionalID, prefix) {
			names = append(names, t.TransactionalID)
		}
	}
	return names, nil
}
