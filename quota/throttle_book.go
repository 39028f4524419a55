package quota

import (
	"sync"
	"time"

	"weir/tenancy"
)

const (
	// maxThrottleRows is how many rows a table has; who comes later is other.
	maxThrottleRows = 64
	// maxBookRows bounds the rows of all instances together: some 30 MB. Only with
	// Redis away for long, or very many instances throttled at a time, are there as many.
	maxBookRows = 100_000
)

// throttleBook is all that this process knows of who was throttled, and has not told
// Redis for good. An instance that is not throttled is not in it. Any goroutine.
type throttleBook struct {
	metrics *throttleMetrics
	written bool          // to Redis
	wake    chan struct{} // has an element once there is something to write

	writing sync.Mutex // held while Redis is written to; before mu

	mu    sync.Mutex
	logs  map[tenancy.InstanceID]*throttleLog
	dirty map[tenancy.InstanceID]struct{} // logs with tables to be written
	rows  int                             // of all tables
}

func newThrottleBook(m *throttleMetrics, written bool) *throttleBook {
	return &throttleBook{
		metrics: m, written: written, wake: make(chan struct{}, 1),
		logs: map[tenancy.InstanceID]*throttleLog{}, dirty: map[tenancy.InstanceID]struct{}{},
	}
}

// throttleLog is an instance's tables by when they begin, in Unix seconds: of each
// minute, and of each hour. Redis gets both, so that a day can be read at once.
type throttleLog struct {
	minutes, hours map[int64]*throttleTable
	walls          map[tenancy.LimitName]*wall // of limits that made somebody wait
}

// throttleTable is who was throttled in one minute, or one hour.
type throttleTable struct {
	rows  map[throttleKey]*throttleRow
	dirty bool // not in Redis as it is now
}

// throttleRow adds up what happened to one key. Seconds are those of connections: of
// two that wait at the same time each counts, of two requests of one connection only one.
type throttleRow struct {
	count       int64
	told, held  time.Duration
	over        float64   // the newest that is known
	first, last time.Time // that something was noted
	until       time.Time // the waiting ends
	since       time.Time // that it went on without a pause
}

// throttleEvent is one throttle: somebody waits from one moment to another.
type throttleEvent struct {
	at, from, to time.Time
	held         bool
	over         float64
}

// waits is until when a connection is known to wait already. The book's mutex guards it.
type waits struct{ until time.Time }

// beyond is the part of an event in which the connection does not wait already.
func (w *waits) beyond(e throttleEvent) time.Duration {
	from := e.from
	if w != nil && from.Before(w.until) {
		from = w.until
	}
	if !from.Before(e.to) {
		return 0
	}
	if w != nil {
		w.until = e.to
	}
	return e.to.Sub(from)
}

// note adds an event; w is the connection's, nil if there is none.
func (b *throttleBook) note(id tenancy.InstanceID, key throttleKey, e throttleEvent, w *waits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	more := w.beyond(e)
	b.metrics.add(key, more)
	log := b.logs[id]
	if log == nil {
		log = &throttleLog{minutes: map[int64]*throttleTable{}, hours: map[int64]*throttleTable{}, walls: map[tenancy.LimitName]*wall{}}
		b.logs[id] = log
	}
	if b.rows >= maxBookRows {
		b.rows -= log.forgetOld(e.at)
	}
	if key.kind == Throttled {
		log.wall(key.limit).note(e)
	}
	minute := e.at.Truncate(time.Minute).Unix()
	since := e.from
	row := b.row(log.minutes, minute, &key)
	switch before := log.minutes[minute-60]; {
	case row.count > 0:
		since = row.goesOn(e)
	case before != nil && before.rows[key] != nil:
		since = before.rows[key].goesOn(e)
	}
	row.add(e, more, since)
	b.row(log.hours, e.at.Truncate(time.Hour).Unix(), &key).add(e, more, since)
	b.due(id)
}

func (l *throttleLog) wall(limit tenancy.LimitName) *wall {
	w := l.walls[limit]
	if w == nil {
		w = &wall{}
		l.walls[limit] = w
	}
	return w
}

// row is that of a key in the table that begins at start. Of a full table it is the
// one for all others, whose key then is in key.
func (b *throttleBook) row(tables map[int64]*throttleTable, start int64, key *throttleKey) *throttleRow {
	t := tables[start]
	if t == nil {
		t = &throttleTable{rows: map[throttleKey]*throttleRow{}}
		tables[start] = t
	}
	t.dirty = true
	if r := t.rows[*key]; r != nil {
		return r
	}
	if len(t.rows) >= maxThrottleRows || b.rows >= maxBookRows {
		*key = throttleKey{limit: key.limit, kind: key.kind, other: true}
	}
	r := t.rows[*key]
	if r == nil {
		r = &throttleRow{}
		t.rows[*key] = r
		b.rows++
	}
	return r
}

// goesOn is since when a row's throttle lasts, with one more event.
func (r *throttleRow) goesOn(e throttleEvent) time.Time {
	if e.from.Sub(r.until) > throttlePause {
		return e.from
	}
	return r.since
}

func (r *throttleRow) add(e throttleEvent, more time.Duration, since time.Time) {
	if r.count == 0 {
		r.first = e.at
	}
	r.count++
	if e.held {
		r.held += more
	} else {
		r.told += more
	}
	if e.over > 0 {
		r.over = e.over
	}
	r.last, r.since = e.at, since
	if e.to.After(r.until) {
		r.until = e.to
	}
}

// forgetOld drops whatever is over, and returns how many rows that were.
func (l *throttleLog) forgetOld(now time.Time) (rows int) {
	return forgetBefore(l.minutes, now.Add(-2*time.Minute).Unix()) + forgetBefore(l.hours, now.Add(-time.Hour).Unix())
}

func forgetBefore(tables map[int64]*throttleTable, start int64) (rows int) {
	for at, t := range tables {
		if at < start {
			rows += len(t.rows)
			delete(tables, at)
		}
	}
	return rows
}
