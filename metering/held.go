package metering

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// heldCarry is the most minutes that one sample stands for, if those before it
	// were not sampled.
	heldCarry = 5
	// heldRetry is how soon a minute that could not be claimed is tried again.
	heldRetry = 5 * time.Second
)

// Held is what one instance holds of a pool.
type Held struct {
	Of         Of
	Partitions int64
	Bytes      int64 // of the log, of one replica of each partition
}

// Minutes claims minutes of pools, so that of all gateways that sample a pool one counts:
// Store's ClaimMinute.
type Minutes interface {
	ClaimMinute(ctx context.Context, owner, pool string, minute int64) (last int64, ok bool, err error)
}

// HoldingConfig says who counts what is held.
type HoldingConfig struct {
	Minutes Minutes
	// Count counts for whom it is: Book.Open, Add and Close.
	Count func(of Of, partitionSeconds, storageByteSeconds int64)
	// Owner is this start of this gateway: no other one has the same.
	Owner string
	Log   *slog.Logger // nothing if nil
}

// Holding counts partition-seconds and storage-byte-seconds: of each minute of a pool
// once, whichever gateway was the first to say that it has a sample of it.
type Holding struct {
	cfg HoldingConfig

	mu   sync.Mutex
	todo map[string][]heldSample // by pool, at most two: see Sampled
	wake chan struct{}           // cap 1

	done map[string]int64 // Run's own: by pool, the newest minute that was counted, by whomever
}

type heldSample struct {
	minute int64 // since 1970
	held   []Held
}

// NewHolding returns one that Run starts.
func NewHolding(cfg HoldingConfig) *Holding {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Holding{cfg: cfg, todo: map[string][]heldSample{}, wake: make(chan struct{}, 1), done: map[string]int64{}}
}

// Sampled is told what instances hold of a pool. It does not wait; held is its own from
// then on.
func (h *Holding) Sampled(pool string, at time.Time, held []Held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := heldSample{at.Unix() / 60, held}
	if todo := h.todo[pool]; len(todo) > 0 {
		// The oldest may have been claimed by a call whose answer was lost: it is asked
		// about first. Of those since, one stands for all.
		h.todo[pool] = []heldSample{todo[0], next}
	} else {
		h.todo[pool] = []heldSample{next}
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run counts until ctx ends.
func (h *Holding) Run(ctx context.Context) error {
	retry := time.NewTicker(heldRetry)
	defer retry.Stop()
	for {
		select {
		case <-h.wake:
		case <-retry.C:
		case <-ctx.Done():
			return nil
		}
		h.countAll(context.WithoutCancel(ctx)) // what was claimed is counted
	}
}

func (h *Holding) countAll(ctx context.Context) {
	h.mu.Lock()
	pools := make([]string, 0, len(h.todo))
	for pool := range h.todo {
		pools = append(pools, pool)
	}
	h.mu.Unlock()
	for _, pool := range pools {
		for h.countOne(ctx, pool) {
		}
	}
}

// countOne counts the oldest sample of a pool; it reports whether to go on with the next.
func (h *Holding) countOne(ctx context.Context, pool string) bool {
	h.mu.Lock()
	todo := h.todo[pool]
	h.mu.Unlock()
	if len(todo) == 0 {
		return false
	}
	// A pool is sampled more often than each minute at times.
	if s := todo[0]; s.minute > h.done[pool] {
		last, ok, err := h.cfg.Minutes.ClaimMinute(ctx, h.cfg.Owner, pool, s.minute)
		if err != nil {
			h.cfg.Log.Debug("what instances hold was not counted, and will be", "pool", pool, "error", err)
			return false
		}
		if ok {
			h.count(pool, s, last)
		}
		h.done[pool] = max(s.minute, last)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.todo[pool] = h.todo[pool][1:]; len(h.todo[pool]) == 0 {
		delete(h.todo, pool)
	}
	return true
}

// count adds a claimed sample, for the minutes since the last one that was.
func (h *Holding) count(pool string, s heldSample, last int64) {
	minutes := s.minute - last
	switch {
	case last == 0:
		minutes = 1
	case minutes > heldCarry:
		h.cfg.Log.Warn("nobody knew what instances of a pool held", "pool", pool, "minutes", minutes-1,
			"fix", "partitions and storage of that time are not billed; see why no gateway had both the pool and Redis")
		minutes = 1
	}
	for _, held := range s.held {
		h.cfg.Count(held.Of, held.Partitions*60*minutes, held.Bytes*60*minutes)
	}
}
