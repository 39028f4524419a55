package rewrite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// room is what an instance may still create within its limits of topics and
// partitions. nil: there are none, and nothing was asked or waited for.
//
// Topics are counted from the pool while nobody else creates any (Limits.Turn), so
// the limits hold exactly, also over several gateways; what is made past the gateways
// at that moment is counted the next time.
type room struct {
	x                  *Exchange
	topics, partitions int64          // limits; 0: none
	have               map[string]int // partitions of the instance's own topics, by physical name
	total              int64          // of have
	defaults           int64          // partitions of a topic that is created with -1; 0: not known yet
	busy               bool           // the turn did not come
	done               func()         // ends the turn
}

// newRoom counts. The caller ends it (end), once what is created shows in the pool.
// With creates the turn is taken; without, nothing is to be created really.
func (x *Exchange) newRoom(ctx context.Context, creates bool) (*room, error) {
	b := x.bounds()
	if b.Topics == 0 && b.Partitions == 0 {
		return nil, nil //nolint:nilnil // no limits are the usual case, and no error
	}
	r := &room{x: x, topics: b.Topics, partitions: b.Partitions, done: func() {}}
	if creates {
		done, err := x.takeTurn(ctx)
		if err != nil {
			r.busy = true
			return r, nil
		}
		r.done = done
	}
	if err := r.count(ctx); err != nil {
		r.done()
		return nil, &Error{Reason: ReasonNoUpstream, Err: fmt.Errorf("counting topics within limits: %w", err)}
	}
	return r, nil
}

// takeTurn is Limits.Turn. A session that has the turn for a request whose answer is
// still to come has it for the next ones too: else they would wait for an answer that
// may be behind them.
func (x *Exchange) takeTurn(ctx context.Context) (done func(), err error) {
	if x.turns.Load() > 0 && kmsg.Key(x.Key) == kmsg.Metadata {
		return func() {}, nil
	}
	end, err := x.Limits.Turn(ctx)
	if err != nil {
		return nil, err
	}
	x.turns.Add(1)
	return sync.OnceFunc(func() {
		x.turns.Add(-1)
		end()
	}), nil
}

// count asks the pool for the instance's own topics.
func (r *room) count(ctx context.Context) (err error) {
	x := r.x
	if r.have, err = x.Pool.CountPartitions(ctx, x.Space.Prefix()); err != nil {
		return err
	}
	var aliased []string
	for _, a := range x.Space.Aliases() {
		delete(r.have, x.Space.Prefix()+a.Virtual) // the prefixed form of an alias is nobody's
		if a.Kind == tenancy.KindTopic && !a.ReadOnly {
			aliased = append(aliased, a.Physical)
		}
	}
	if len(aliased) > 0 {
		resp, err := x.describeTopics(aliased)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			if t.ErrorCode == 0 && t.Topic != nil {
				r.have[*t.Topic] = len(t.Partitions)
			}
		}
	}
	for _, n := range r.have {
		r.total += int64(n)
	}
	return nil
}

// end ends the turn. Once is enough, more do no harm.
func (r *room) end() {
	if r != nil {
		r.done()
	}
}

// create takes room for a new topic with n partitions, -1 for as many as the pool
// gives (then n is what that is). code is not 0 if there is none; a topic that exists
// takes none, and the broker says so.
func (r *room) create(physical string, n *int32) (code int16, msg *string) {
	if r == nil {
		return 0, nil
	}
	if _, exists := r.have[physical]; exists {
		return 0, nil
	}
	if r.busy {
		return r.timedOut()
	}
	more := int64(max(0, *n))
	if *n == -1 && r.partitions > 0 {
		if more = r.defaultPartitions(physical); more <= maxPartitions {
			*n = int32(more) // what is counted is what is made
		}
	}
	if has := int64(len(r.have)); r.topics > 0 && has+1 > r.topics {
		return r.refuse(tenancy.LimitTopics, fmt.Sprintf("the limit of %d topics is reached: there are %d", r.topics, has))
	}
	if code, msg = r.fits(more); code == 0 {
		r.have[physical], r.total = int(more), r.total+more
	}
	return code, msg
}

// grow takes room for a topic to have so many partitions. One that does not exist, or
// has as many, takes none, and the broker says so.
func (r *room) grow(physical string, to int32) (code int16, msg *string) {
	if r == nil {
		return 0, nil
	}
	if r.busy {
		return r.timedOut()
	}
	has, exists := r.have[physical]
	more := int64(to) - int64(has)
	if !exists || more <= 0 {
		return 0, nil
	}
	if code, msg = r.fits(more); code == 0 {
		r.have[physical], r.total = int(to), r.total+more
	}
	return code, msg
}

func (r *room) fits(more int64) (code int16, msg *string) {
	if r.partitions == 0 || r.total+more <= r.partitions {
		return 0, nil
	}
	return r.refuse(tenancy.LimitPartitions, fmt.Sprintf("the limit of %d partitions would be exceeded: there are %d, and %d more are asked for", r.partitions, r.total, more))
}

func (r *room) refuse(limit tenancy.LimitName, msg string) (int16, *string) {
	r.x.Limits.Refused(limit, r.x.ClientID)
	return codePolicyViolation, &msg
}

// timedOut is for when others create topics of the instance for so long: clients try
// again.
func (r *room) timedOut() (int16, *string) {
	return kerr.RequestTimedOut.Code, standardText(kerr.RequestTimedOut.Code)
}

// defaultPartitions asks the pool, once, how many partitions a topic gets that is
// created without a number (num.partitions): by a creation that is not carried out,
// which needs no other right than the creation. 1, Kafka's own default, if it does not
// say.
func (r *room) defaultPartitions(physical string) int64 {
	if r.defaults > 0 {
		return r.defaults
	}
	r.defaults = 1
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = physical, -1, -1
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.ValidateOnly, req.TimeoutMillis = append(req.Topics, t), true, autoCreateTimeoutMillis
	raw, err := r.x.Pool.Request(r.x.Ctx, req)
	if resp, ok := raw.(*kmsg.CreateTopicsResponse); err == nil && ok && len(resp.Topics) == 1 && resp.Topics[0].NumPartitions > 0 {
		r.defaults = int64(resp.Topics[0].NumPartitions)
	}
	return r.defaults
}

const (
	// grownWait is how long partitions that were added are waited for, and grownEvery
	// between two looks.
	grownWait  = time.Second
	grownEvery = 20 * time.Millisecond
)

// awaitGrown waits until what was asked for shows in the pool, so that who has the
// next turn counts it; for a second at most.
func (r *room) awaitGrown(want map[string]int) {
	if r == nil || len(want) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(r.x.Ctx, grownWait)
	defer cancel()
	for {
		names := make([]string, 0, len(want))
		for name := range want {
			names = append(names, name)
		}
		resp, err := r.x.describeTopics(names)
		if err != nil {
			return
		}
		for _, t := range resp.Topics {
			if t.Topic != nil && (t.ErrorCode != 0 || len(t.Partitions) >= want[*t.Topic]) {
				delete(want, *t.Topic)
			}
		}
		if len(want) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(grownEvery):
		}
	}
}
