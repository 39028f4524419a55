package upstream

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

const (
	// sampleEvery is the time between two samples if Config says none; each is
	// moved by up to a tenth of it, so that gateways do not ask together.
	sampleEvery = time.Minute
	// sampleAtMost is the least time between two samples, whoever asks for one.
	sampleAtMost = 10 * time.Second
	// sampleTimeout is for one answer, which may tell of 100,000 partitions.
	sampleTimeout = 30 * time.Second
)

// sampler takes the samples of one pool. One goroutine owns it. It keeps what
// each broker last said, by which a broker that is away still counts: with it
// 16 bytes for each replica and 24 for each group of an instance.
type sampler struct {
	p       *Pool
	seed    maphash.Seed
	topics  map[string]topicHeld
	asked   time.Time // when topics was asked for
	brokers map[int32]*brokerHeld
	failed  string // what was last logged
}

// topicHeld is what metadata says of one topic of an instance.
type topicHeld struct {
	owner      tenancy.InstanceID
	partitions int
}

// brokerHeld is what one broker last said.
type brokerHeld struct {
	replicas map[string][]replica // by topic, of instances only
	asked    time.Time            // when replicas was asked for
	groups   []groupHeld
	listed   time.Time // when groups was asked for
}

type replica struct {
	partition int32
	size      int64
}

type groupHeld struct {
	owner tenancy.InstanceID
	hash  uint64
}

// sampleHoldings takes samples until ctx ends.
func (p *Pool) sampleHoldings(ctx context.Context) {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return
	}
	s := &sampler{p: p, seed: maphash.MakeSeed(), brokers: map[int32]*brokerHeld{}}
	for {
		wait := p.cfg.SampleEvery
		if owner := p.cfg.Owners(); owner == nil {
			wait = min(wait, time.Second) // nobody knows the instances yet
		} else {
			s.take(ctx, owner)
			wait += time.Duration((rand.Float64() - 0.5) / 5 * float64(wait))
		}
		if !p.pauseSampling(ctx, wait) {
			return
		}
	}
}

// pauseSampling waits for the next sample's time; false if ctx has ended.
func (p *Pool) pauseSampling(ctx context.Context, wait time.Duration) bool {
	least := min(wait, sampleAtMost)
	if sleep(ctx, least) != nil {
		return false
	}
	timer := time.NewTimer(wait - least)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.sample:
	case <-ctx.Done():
		return false
	}
	return true
}

// take takes one sample and publishes it. Where somebody does not answer, what
// was last heard stands; there is no sample before metadata and some broker have
// answered once.
func (s *sampler) take(ctx context.Context, owner Owner) {
	now := time.Now()
	errs := []error{s.askTopics(ctx, owner, now)}
	listed := map[int32]bool{}
	for _, b := range s.p.Brokers() {
		listed[b.Node] = true
		if s.brokers[b.Node] == nil {
			s.brokers[b.Node] = &brokerHeld{}
		}
		if err := s.p.health.down(b.Node); err != nil {
			errs = append(errs, fmt.Errorf("broker %d: %w", b.Node, err))
			continue
		}
		// One after the other: only one such answer is in memory at a time.
		errs = append(errs, s.askReplicas(ctx, b.Node, owner, now), s.askGroups(ctx, b.Node, owner, now))
	}
	for node := range s.brokers {
		if !listed[node] {
			delete(s.brokers, node)
		}
	}
	if ctx.Err() != nil {
		return
	}
	s.report(errors.Join(errs...))
	if s.asked.IsZero() || !s.anyAnswered() {
		return
	}
	h := s.merge(now)
	s.p.holdings.Store(h)
	if s.p.cfg.Sampled != nil {
		s.p.cfg.Sampled(h)
	}
}

func (s *sampler) anyAnswered() bool {
	for _, b := range s.brokers {
		if !b.asked.IsZero() || !b.listed.IsZero() {
			return true
		}
	}
	return false
}

// report logs what fails once, and that it has ended.
func (s *sampler) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if (text == "") == (s.failed == "") {
		return
	}
	s.failed = text
	if err == nil {
		s.p.cfg.Log.Info("what instances hold is counted completely again")
		return
	}
	s.p.cfg.Log.Warn("what instances hold could not be counted completely; the last numbers stand", "err", err,
		"fix", "see that every broker is up and the gateway's user may DESCRIBE the cluster, all topics and all groups")
}

func (s *sampler) askTopics(ctx context.Context, owner Owner, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	topics := make(map[string]topicHeld, len(s.topics))
	err := s.p.walkTopics(ctx, "", func(name string, partitions int) {
		if id, ok := owner(tenancy.KindTopic, name); ok {
			topics[name] = topicHeld{id, topics[name].partitions + partitions}
		}
	})
	if err != nil {
		return err
	}
	s.topics, s.asked = topics, now
	return nil
}

// ask puts one question to one broker. Run has set client long before.
func (s *sampler) ask(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	resp, err := s.p.client.Broker(int(node)).Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("broker %d: %w", node, wrapRequest(s.p, req, err))
	}
	return resp, nil
}

func (s *sampler) askReplicas(ctx context.Context, node int32, owner Owner, now time.Time) error {
	answer, err := s.ask(ctx, node, kmsg.NewPtrDescribeLogDirsRequest()) // null: all topics
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.DescribeLogDirsResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fmt.Errorf("broker %d: DescribeLogDirs: %w", node, err)
	}
	all := make(map[string][]replica)
	for _, d := range resp.Dirs { // one that has failed has no topics
		for _, t := range d.Topics {
			if _, ok := owner(tenancy.KindTopic, t.Topic); !ok {
				continue
			}
			rows := slices.Grow(all[t.Topic], len(t.Partitions))
			for _, part := range t.Partitions {
				if !part.IsFuture {
					rows = append(rows, replica{part.Partition, part.Size})
				}
			}
			all[t.Topic] = rows
		}
	}
	s.brokers[node].replicas, s.brokers[node].asked = all, now
	return nil
}

func (s *sampler) askGroups(ctx context.Context, node int32, owner Owner, now time.Time) error {
	answer, err := s.ask(ctx, node, kmsg.NewPtrListGroupsRequest())
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.ListGroupsResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fmt.Errorf("broker %d: ListGroups: %w", node, err)
	}
	var all []groupHeld
	for _, g := range resp.Groups {
		if id, ok := owner(tenancy.KindGroup, g.Group); ok {
			all = append(all, groupHeld{id, maphash.String(s.seed, g.Group)})
		}
	}
	s.brokers[node].groups, s.brokers[node].listed = all, now
	return nil
}

// merge makes one sample of what everybody said.
func (s *sampler) merge(now time.Time) *Holdings {
	h := &Holdings{At: now, Oldest: s.asked, of: map[tenancy.InstanceID]Holding{}, seed: s.seed}
	for _, b := range s.brokers {
		for _, at := range []time.Time{b.asked, b.listed} {
			if !at.IsZero() && at.Before(h.Oldest) {
				h.Oldest = at
			}
		}
	}
	largest := make([]int64, 0, 64)
	for name, t := range s.topics {
		largest = s.largest(largest[:0], name)
		has := h.of[t.owner]
		has.Topics, has.Partitions = has.Topics+1, has.Partitions+t.partitions
		for _, size := range largest {
			has.Bytes += size
		}
		h.of[t.owner] = has
	}
	for _, b := range s.brokers {
		for _, g := range b.groups {
			has := h.of[g.owner]
			has.groups = append(has.groups, g.hash)
			h.of[g.owner] = has
		}
	}
	for id, has := range h.of {
		slices.Sort(has.groups)
		has.groups = slices.Clip(slices.Compact(has.groups)) // kfake: every broker lists all
		has.Groups = len(has.groups)
		h.of[id] = has
	}
	return h
}

// largest appends the size of the largest replica of each partition of a topic.
func (s *sampler) largest(sizes []int64, topic string) []int64 {
	var all []replica
	for _, b := range s.brokers {
		all = append(all, b.replicas[topic]...)
	}
	slices.SortFunc(all, func(a, b replica) int { return int(a.partition) - int(b.partition) })
	for i, r := range all {
		if i > 0 && all[i-1].partition == r.partition {
			sizes[len(sizes)-1] = max(sizes[len(sizes)-1], r.size)
			continue
		}
		sizes = append(sizes, r.size)
	}
	return sizes
}
