package metering

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

const (
	keyDoubts = "weir:{weir}:doubts"

	// doubtsKept is longer than a doubt lasts, so that who doubts the same later finds it.
	doubtsKept = 15 * time.Minute
	// claimedAtOnce is how many doubts one script claims.
	claimedAtOnce = 500
)

func doubtsKey(id tenancy.InstanceID) string { return "weir:{" + string(id) + "}:doubts" }

// doubtAnswer is what has become of a doubt.
type doubtAnswer string

const (
	doubtNew     doubtAnswer = "new"     // Redis did not know of it
	doubtOpen    doubtAnswer = "open"    // nobody has answered yet
	doubtCounted doubtAnswer = "counted" // another gateway counted the original
	doubtTaken   doubtAnswer = "taken"   // another one counted it in doubt, and answers for it
)

// batchKey is a batch in the hash of doubts.
type batchKey struct {
	partition uint64
	offset    int64
}

func (b batchKey) String() string {
	return strconv.FormatUint(b.partition, 16) + ":" + strconv.FormatInt(b.offset, 10)
}

func parseBatchKey(text string) (b batchKey, err error) {
	partition, offset, _ := strings.Cut(text, ":")
	if b.partition, err = strconv.ParseUint(partition, 16, 64); err != nil {
		return b, err
	}
	b.offset, err = strconv.ParseInt(offset, 10, 64)
	return b, err
}

func (d *Doubt) batch() batchKey { return batchKey{d.Partition, d.Offset} }

func (d *Doubt) doubter() string { return Source{Gateway: d.Gateway, Epoch: d.Epoch}.start() }

// doubtful is one instance's doubts in one call.
type doubtful struct {
	id      tenancy.InstanceID
	claims  []Doubt
	answers []doubtAnswer // as claims; nil: there was no answer
	open    []batchKey    // of all gateways
	left    int           // in Redis
	cmd     *redis.Cmd
}

// doubtfulInstances are those of which some gateway has doubts.
func (s *Store) doubtfulInstances(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	ids, err := s.rdb.SMembers(ctx, keyDoubts).Result()
	if err != nil {
		return nil, fmt.Errorf("instances with doubtful batches: %w", err)
	}
	return ids, nil
}

// claimDoubts claims and lists. Those without an answer were not reached.
func (s *Store) claimDoubts(ctx context.Context, all []*doubtful) error {
	err := s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
		var ids []any
		for _, d := range all {
			args := []any{doubtsKept.Milliseconds(), int64(doubtsKept / time.Second)}
			for i := range d.claims {
				args = append(args, d.claims[i].batch().String(), d.claims[i].doubter())
			}
			if len(d.claims) > 0 {
				ids = append(ids, string(d.id))
			}
			d.cmd = s.scripts.doubts.EvalSha(ctx, p, []string{doubtsKey(d.id)}, args...)
		}
		if len(ids) > 0 {
			p.SAdd(ctx, keyDoubts, ids...)
			p.Expire(ctx, keyDoubts, doubtsKept)
		}
	})
	for _, d := range all {
		if e := d.read(); e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("doubtful batches: %w", err)
	}
	return nil
}

func (d *doubtful) read() (err error) {
	words, err := d.cmd.StringSlice()
	if err != nil {
		return err
	}
	if len(words) < 1+len(d.claims) {
		return fmt.Errorf("redis answered %d words for %d claims", len(words), len(d.claims))
	}
	if d.left, err = strconv.Atoi(words[0]); err != nil {
		return err
	}
	for _, field := range words[1+len(d.claims):] {
		if b, err := parseBatchKey(field); err == nil {
			d.open = append(d.open, b)
		}
	}
	d.answers = make([]doubtAnswer, len(d.claims))
	for i := range d.claims {
		d.answers[i] = doubtAnswer(words[1+i])
	}
	return nil
}

// answerDoubts says which batches this gateway has counted, and forgets instances of
// which no doubt is left.
func (s *Store) answerDoubts(ctx context.Context, counted map[tenancy.InstanceID][]batchKey, settled []any) error {
	if len(counted) == 0 && len(settled) == 0 {
		return nil
	}
	err := s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
		for id, batches := range counted {
			fields := make([]any, len(batches))
			for i, b := range batches {
				fields[i] = b.String()
			}
			s.scripts.answer.EvalSha(ctx, p, []string{doubtsKey(id)}, fields...)
		}
		if len(settled) > 0 {
			p.SRem(ctx, keyDoubts, settled...) // who doubts meanwhile says so again
		}
	})
	if err != nil {
		return fmt.Errorf("answers to doubtful batches: %w", err)
	}
	return nil
}

// SetFleet says of hours that a start of a gateway serves in them, or that Redis has all
// that it counted there. was is what the fleet knew of each; "": nothing.
func (s *Store) SetFleet(ctx context.Context, all []Served) (was []string, err error) {
	cmds := make([]*redis.Cmd, len(all))
	err = s.pipelined(ctx, func(ctx context.Context, p redis.Pipeliner) {
		for i, h := range all {
			state := FleetOpen
			if h.Final {
				state = FleetFinal
			}
			cmds[i] = s.scripts.fleet.EvalSha(ctx, p, []string{fleetKey(h.Hour)},
				countsKept.Milliseconds(), Source{Gateway: h.Gateway, Epoch: h.Epoch}.start(), state)
		}
	})
	was = make([]string, len(all))
	for i, cmd := range cmds {
		words, e := cmd.StringSlice()
		if len(words) == 1 {
			was[i] = words[0]
		}
		err = errors.Join(err, e)
	}
	if err != nil {
		return nil, fmt.Errorf("hours of this gateway: %w", err)
	}
	return was, nil
}

// runIDs are those of all masters that answer, and whether all did; a Redis that does not
// tell has none. It changes when a Redis is started, or another one takes over.
func (s *Store) runIDs(ctx context.Context) (ids []string, all bool) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	found := make(chan string, 1024)
	var silent atomic.Bool
	err := s.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		text, err := node.Info(ctx, "server").Result()
		if err != nil {
			silent.Store(true)
			return nil //nolint:nilerr // the others are asked all the same
		}
		for line := range strings.Lines(text) {
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
				select {
				case found <- id:
				default:
				}
			}
		}
		return nil
	})
	close(found)
	for id := range found {
		ids = append(ids, id)
	}
	return ids, err == nil && !silent.Load() && len(ids) > 0
}
