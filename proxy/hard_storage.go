package proxy

import (
	"sync"
	"sync/atomic"

	"weir/quota"
	"weir/upstream"
)

// storageLevel is how an instance's storage stands to its limit.
type storageLevel int8

// Levels. Full begins at 110 % of the limit and lasts until there is less than 100 %
// (operations.md D.3), so that who has deleted a little is not refused again at once.
const (
	storageBelow storageLevel = iota
	storageAbove              // 100 % and more: the operator is told
	storageFull               // nothing more may be produced
)

func (s storageLevel) String() string {
	switch s {
	case storageAbove:
		return "above"
	case storageFull:
		return "refused"
	default:
		return "below"
	}
}

// next is the level of so many bytes of a limit, 0: none, after this one.
func (s storageLevel) next(bytes, limit int64) storageLevel {
	switch {
	case limit <= 0 || bytes < limit:
		return storageBelow
	case s == storageFull || bytes-limit >= limit/10:
		return storageFull
	}
	return storageAbove
}

// storageState is an instance's level, and by what it was judged.
type storageState struct {
	now atomic.Pointer[storageVerdict]
	mu  sync.Mutex // one judgement at a time
}

// storageVerdict is immutable.
type storageVerdict struct {
	bounds *quota.Bounds
	sample *upstream.Holdings
	level  storageLevel
}

// Full judges anew when the limits or the sample have changed; else it costs three
// atomic loads.
func (l *hardLimit) Full() bool {
	bounds, sample := l.now.Bounds(), l.pool.Holdings()
	if v := l.stored.now.Load(); v != nil && v.bounds == bounds && v.sample == sample {
		return v.level == storageFull
	}
	return l.judgeStorage(bounds, sample) == storageFull
}

// judgeStorage tells of each crossing once.
func (l *hardLimit) judgeStorage(bounds *quota.Bounds, sample *upstream.Holdings) storageLevel {
	l.stored.mu.Lock()
	defer l.stored.mu.Unlock()
	was := storageBelow
	if v := l.stored.now.Load(); v != nil {
		was = v.level
	}
	has, known := sample.Of(l.id)
	level := was
	if known || bounds.StorageBytes == 0 {
		level = was.next(has.Bytes, bounds.StorageBytes)
	}
	l.stored.now.Store(&storageVerdict{bounds, sample, level})
	if level == was {
		return level
	}
	if was != storageBelow {
		l.storage.WithLabelValues(was.String()).Dec()
	}
	if level != storageBelow {
		l.storage.WithLabelValues(level.String()).Inc()
	}
	l.tellStorage(level, has.Bytes, bounds.StorageBytes)
	return level
}

func (l *hardLimit) tellStorage(level storageLevel, bytes, limit int64) {
	log := l.log.With("instance", string(l.id), "bytes", bytes, "limit", limit)
	switch level {
	case storageBelow:
		log.Info("instance is within its limit of storage again")
	case storageAbove:
		log.Warn("instance has reached its limit of storage; from 110 % on nothing more can be produced",
			"fix", "have its user delete records or topics or shorten retention, or raise the limit: weir quota set "+string(l.id)+" storage_bytes=...")
	case storageFull:
		log.Warn("instance is beyond 110 % of its limit of storage: nothing more can be produced until it is below the limit",
			"fix", "have its user delete records or topics or shorten retention, or raise the limit: weir quota set "+string(l.id)+" storage_bytes=...")
	}
}
