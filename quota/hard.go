package quota

import (
	"sync"
	"sync/atomic"

	"weir/tenancy"
)

// Bounds are an instance's limits of what there may be at any time; 0: not bounded.
// Who counts what there is enforces them (package proxy and its rewrites).
// Connections are this package's own (Limiter.Connect).
type Bounds struct {
	Topics       int64
	Partitions   int64
	Groups       int64
	MessageBytes int64 // of one record batch
	StorageBytes int64 // of one replica of each partition
}

// Hard are the bounds of one instance as they are now. Any goroutine; it may be
// held for as long as one likes.
type Hard struct {
	id  tenancy.InstanceID
	mu  sync.Mutex // one resolve at a time, so that the last one read the newest view
	now atomic.Pointer[Bounds]
}

// Bounds are those in force. Never nil, immutable; another pointer once they have
// changed. One atomic load: for every request.
func (h *Hard) Bounds() *Bounds { return h.now.Load() }

// Hard returns the hard limits of an instance. Those of one that is not there (any
// more) are not bounded.
func (l *Limiter) Hard(id tenancy.InstanceID) *Hard {
	if h, ok := l.hards.Load(id); ok {
		return h.(*Hard)
	}
	h := &Hard{id: id}
	h.now.Store(&Bounds{})
	kept, _ := l.hards.LoadOrStore(id, h)
	h = kept.(*Hard)
	h.resolve(l) // after Changed can find it: whichever comes last has seen the newest view
	return h
}

// resolve reads the limits anew.
func (h *Hard) resolve(l *Limiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b Bounds
	if v, plan, ok := l.cfg.Instance(h.id); ok {
		b = boundsOf(tenancy.Effective(plan, v.Limits, v.Instance.Restraint))
	}
	if b != *h.now.Load() {
		h.now.Store(&b)
	}
}

func boundsOf(limits map[tenancy.LimitName]tenancy.EffectiveLimit) Bounds {
	of := func(name tenancy.LimitName) int64 { return int64(limits[name].Value) } // 0 without one
	return Bounds{
		Topics: of(tenancy.LimitTopics), Partitions: of(tenancy.LimitPartitions), Groups: of(tenancy.LimitGroups),
		MessageBytes: of(tenancy.LimitMessageBytes), StorageBytes: of(tenancy.LimitStorageBytes),
	}
}

// hardChanged puts an instance's new hard limits in force; forgets those of one that
// is gone.
func (l *Limiter) hardChanged(v *tenancy.View) {
	h, ok := l.hards.Load(v.Instance.ID)
	if !ok {
		return
	}
	h.(*Hard).resolve(l)
	if v.Instance.State == tenancy.StateDeleted {
		l.hards.Delete(v.Instance.ID)
	}
}

// hardPlansChanged puts new hard limits of plans in force.
func (l *Limiter) hardPlansChanged() {
	l.hards.Range(func(_, h any) bool {
		h.(*Hard).resolve(l)
		return true
	})
}
