package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// purgeBatch is how many topics or groups one request deletes: few enough
	// for a controller that charges each partition of them (KIP-599).
	purgeBatch = 100
	// deleteTimeout is how long the controller may take for one batch.
	deleteTimeout = 10 * time.Second
	// purgeMinWait and purgeMaxWait bound the pause between two rounds.
	purgeMinWait = 100 * time.Millisecond
	purgeMaxWait = 2 * time.Second
	// purgeSettle is how long everything must be gone until that is believed. A
	// broker lists a topic only after its metadata has caught up: 4.3.1 was
	// seen to need more than a second for topics with many partitions.
	purgeSettle = 2 * time.Second
)

// Purge deletes every topic and group whose name begins with prefix, which must
// end with ".": a namespace, never a part of somebody else's. Groups of every
// type are emptied first; members that come back keep it going, so shut them
// out before. It goes on until nothing was found for 2s, a refusal that will not
// change (such as missing rights), or the end of ctx. It keeps no state: after
// an interruption, call it again. Transactions are left to time out.
func (p *Pool) Purge(ctx context.Context, prefix string) error {
	if len(prefix) < 2 || !strings.HasSuffix(prefix, ".") {
		return fmt.Errorf("pool %q: purge: prefix %q is not a namespace: it must end with a dot", p.cfg.Name, prefix)
	}
	client, err := p.control(ctx)
	if err != nil {
		return err
	}
	var emptySince time.Time
	for wait := purgeMinWait; ; wait = min(2*wait, purgeMaxWait) {
		r := purge{p: p, client: client, prefix: prefix}
		r.topics(ctx)
		r.groups(ctx)
		if r.refused != nil {
			return fmt.Errorf("pool %q: purge %q: %w", p.cfg.Name, prefix, r.refused)
		}
		if now := time.Now(); r.found > 0 || r.failed != nil {
			emptySince = time.Time{}
		} else if emptySince.IsZero() {
			emptySince, wait = now, purgeSettle
		} else if now.Sub(emptySince) >= purgeSettle {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return r.interrupted(err)
		}
	}
}

// purge is one round over everything that is left.
type purge struct {
	p      *Pool
	client *kgo.Client
	prefix string

	found   int   // topics and groups that were there, deleted by now or not
	failed  error // the last failure that the next round may not see
	refused error // a failure that will not go away
}

func (r *purge) interrupted(err error) error {
	if r.failed == nil {
		r.failed = errors.New("not all was gone yet")
	}
	return fmt.Errorf("pool %q: purge %q: %w: the last round found %d topics and groups: %w", r.p.cfg.Name, r.prefix, err, r.found, r.failed)
}

// note sorts one outcome: gone codes mean that the thing does not exist any more.
func (r *purge) note(what, name string, code int16, gone *kerr.Error) {
	err := kerr.ErrorForCode(code)
	if err == nil || errors.Is(err, gone) {
		return
	}
	err = fmt.Errorf("%s %q: %w", what, name, err)
	if kerr.IsRetriable(err) || errors.Is(err, kerr.NonEmptyGroup) || errors.Is(err, kerr.UnknownServerError) {
		r.failed = err
	} else {
		r.refused = err
	}
}

func (r *purge) topics(ctx context.Context) {
	names, err := r.p.ListTopics(ctx, r.prefix)
	if err != nil {
		r.failed = err
		return
	}
	r.found += len(names)
	for len(names) > 0 {
		n := min(len(names), purgeBatch)
		r.deleteTopics(ctx, names[:n])
		names = names[n:]
	}
}

func (r *purge) deleteTopics(ctx context.Context, names []string) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(deleteTimeout.Milliseconds())
	req.TopicNames = names // v0 to v5
	for i := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &names[i]
		req.Topics = append(req.Topics, t)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*deleteTimeout)
	defer cancel()
	answer, err := r.p.Request(ctx, req)
	if err != nil {
		r.failed = err
		return
	}
	for _, t := range answer.(*kmsg.DeleteTopicsResponse).Topics {
		if t.Topic != nil {
			r.note("topic", *t.Topic, t.ErrorCode, kerr.UnknownTopicOrPartition)
		}
	}
}

// groups asks every broker for the groups that it coordinates, and works on
// them right there: whoever lists a group is its coordinator.
func (r *purge) groups(ctx context.Context) {
	for _, b := range r.p.Brokers() {
		c := coordinator{round: r, node: b.Node}
		if err := c.purge(ctx); err != nil {
			r.failed = fmt.Errorf("groups of broker %d: %w", b.Node, err)
		}
	}
}

// coordinator empties and deletes the groups of one broker.
type coordinator struct {
	round *purge
	node  int32
}

func (c coordinator) purge(ctx context.Context) error {
	answer, err := c.ask(ctx, kmsg.NewPtrListGroupsRequest())
	if err != nil {
		return err
	}
	list := answer.(*kmsg.ListGroupsResponse)
	if err := kerr.ErrorForCode(list.ErrorCode); err != nil {
		return err
	}
	var names []string
	for _, g := range list.Groups {
		if !strings.HasPrefix(g.Group, c.round.prefix) {
			continue
		}
		names = append(names, g.Group)
		if !strings.EqualFold(g.GroupState, "Empty") {
			if err := c.empty(ctx, g.Group, g.GroupType); err != nil {
				return fmt.Errorf("empty group %q: %w", g.Group, err)
			}
		}
	}
	c.round.found += len(names)
	for len(names) > 0 {
		n := min(len(names), purgeBatch)
		if err := c.delete(ctx, names[:n]); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

func (c coordinator) delete(ctx context.Context, names []string) error {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = names
	answer, err := c.ask(ctx, req)
	if err != nil {
		return err
	}
	for _, g := range answer.(*kmsg.DeleteGroupsResponse).Groups {
		c.round.note("group", g.Group, g.ErrorCode, kerr.GroupIDNotFound)
	}
	return nil
}

func (c coordinator) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if err := c.round.p.health.down(c.node); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.round.client.Broker(int(c.node)).Request(ctx, req)
	return resp, wrapRequest(c.round.p, req, err)
}
