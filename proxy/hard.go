package proxy

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/proxy/rewrite"
	"weir/quota"
	"weir/tenancy"
	"weir/upstream"
)

// hardLimits holds instances to the limits of what they may have: it puts together
// what the limits are (quota), what there is (upstream) and whose turn it is
// (tenancy's leases). Any goroutine.
type hardLimits struct {
	quota     *quota.Limiter
	pools     map[string]*upstream.Pool
	directory *tenancy.Directory
	leases    Leases
	gateway   string
	log       *slog.Logger
	storage   *prometheus.GaugeVec // instances by storageLevel

	all sync.Map // InstanceID → *hardLimit
}

// Leases keep several gateways from doing the same for one instance at the same time;
// *tenancy.Store provides them.
type Leases interface {
	TryLease(ctx context.Context, id tenancy.InstanceID, name, owner string, ttlMillis int64) (bool, error)
}

// newHardLimits returns nil, which bounds nobody, without limits in cfg.
func newHardLimits(cfg Config) *hardLimits {
	if cfg.Quota == nil {
		return nil
	}
	h := &hardLimits{
		quota: cfg.Quota, pools: cfg.Pools, directory: cfg.Directory, leases: cfg.Leases, gateway: cfg.Gateway, log: cfg.Log,
		storage: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_storage_limit_instances", Help: "Instances that hold more than their limit of storage, by what follows.",
		}, []string{"state"}),
	}
	for level := storageAbove; level <= storageFull; level++ {
		h.storage.WithLabelValues(level.String())
	}
	if cfg.Registry != nil {
		cfg.Registry.MustRegister(h.storage)
	}
	return h
}

// session returns the limits of one session, nil if nobody is bounded.
func (h *hardLimits) session(in tenancy.Instance, pool *upstream.Pool, user string) rewrite.Limits {
	if h == nil {
		return nil
	}
	return sessionLimits{h.of(in.ID, pool), user}
}

func (h *hardLimits) of(id tenancy.InstanceID, pool *upstream.Pool) *hardLimit {
	if l, ok := h.all.Load(id); ok && l.(*hardLimit).pool == pool {
		return l.(*hardLimit)
	}
	l := &hardLimit{hardLimits: h, id: id, pool: pool, now: h.quota.Hard(id), mine: make(chan struct{}, 1)}
	kept, loaded := h.all.LoadOrStore(id, l)
	if was := kept.(*hardLimit); loaded && was.pool != pool { // it has moved
		h.all.Store(id, l)
		return l
	}
	return kept.(*hardLimit)
}

// sampled judges the storage of all who have a limit of it by a new sample, also
// where nobody is connected.
func (h *hardLimits) sampled(pool *upstream.Pool, sample *upstream.Holdings) {
	sample.Each(func(id tenancy.InstanceID, _ upstream.Holding) {
		if h.quota.Hard(id).Bounds().StorageBytes > 0 {
			h.of(id, pool)
		}
	})
	h.all.Range(func(id, l any) bool {
		if l := l.(*hardLimit); l.pool == pool {
			_ = l.Full()
			if _, ok := h.directory.View(l.id); !ok {
				h.all.Delete(id)
			}
		}
		return true
	})
}

// Sampled takes a new sample of what instances hold in a pool. It does not block.
func (s *Server) Sampled(pool string, sample *upstream.Holdings) {
	if p := s.cfg.Pools[pool]; p != nil && s.hard != nil {
		s.hard.sampled(p, sample)
	}
}

// hardLimit is one instance's.
type hardLimit struct {
	*hardLimits
	id   tenancy.InstanceID
	pool *upstream.Pool
	now  *quota.Hard
	mine chan struct{} // cap 1: this process has the turn

	stored storageState
	groups groupsSince
}

func (l *hardLimit) Bounds() *quota.Bounds { return l.now.Bounds() }

// sessionLimits are a session's limits: those of its instance, with the name of who
// is refused.
type sessionLimits struct {
	*hardLimit
	user string
}

func (l sessionLimits) Refused(limit tenancy.LimitName, clientID *string) {
	client := ""
	if clientID != nil {
		client = *clientID
	}
	l.quota.Refused(l.id, limit, l.user, client)
}

// groupsSince are groups that this gateway has let in and that the sample may not
// know yet.
type groupsSince struct {
	mu     sync.Mutex
	sample *upstream.Holdings   // by which seen was last sorted out
	seen   map[uint64]time.Time // by hash: when it was let in
}

// groupAppears is how long a group may take to be listed once a request for it was let in.
const groupAppears = 10 * time.Second

// MayHaveGroup counts the newest sample and what this gateway has let in since. With
// several gateways more groups may come to be than the limit says, as many as the
// others let in between two samples; and one that another gateway has let in is not
// known here until the next sample, which a refusal hastens. Without a sample
// everything is let in.
func (l *hardLimit) MayHaveGroup(physical string) bool {
	most, sample := l.now.Bounds().Groups, l.pool.Holdings()
	has, known := sample.Of(l.id)
	if most == 0 || !known {
		return true
	}
	hash := sample.GroupHash(physical)
	if sample.HasGroup(l.id, hash) {
		return true
	}
	g := &l.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sample != sample {
		g.sample = sample
		for hash, at := range g.seen {
			if sample.HasGroup(l.id, hash) || at.Before(sample.At.Add(-groupAppears)) {
				delete(g.seen, hash)
			}
		}
	}
	if _, ok := g.seen[hash]; ok {
		return true
	}
	if int64(has.Groups+len(g.seen)) >= most {
		l.pool.SampleSoon() // one may have been deleted
		return false
	}
	if g.seen == nil {
		g.seen = map[uint64]time.Time{}
	}
	g.seen[hash] = time.Now()
	return true
}
