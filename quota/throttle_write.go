package quota

import (
	"context"
	"maps"
	"time"

	"weir/tenancy"
)

const (
	// throttlesEvery is how often what is new is written to Redis, throttlesAgain how
	// often that is tried while Redis is away.
	throttlesEvery = 2 * time.Second
	throttlesAgain = 10 * time.Second
)

// RunThrottles writes to Redis who was throttled, until ctx ends; then it writes the
// rest and returns nil. Without anything new it does nothing. It also says in the log
// which instances are throttled badly. Call it once.
func (l *Limiter) RunThrottles(ctx context.Context) error {
	away := false
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			l.keepThrottles(context.WithoutCancel(ctx), &away)
			return nil
		case <-sweep.C:
			now := time.Now()
			for _, a := range l.throttles.alarms(now) {
				a.log(l.cfg.Log)
			}
			l.throttles.forget(now)
		case <-l.throttles.wake:
			wait := throttlesEvery
			if away {
				wait = throttlesAgain
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
				l.keepThrottles(ctx, &away)
			}
		}
	}
}

// keepThrottles writes what is new. What could not be written is tried again.
func (l *Limiter) keepThrottles(ctx context.Context, away *bool) {
	if l.cfg.Throttles == nil {
		return
	}
	err := l.throttles.write(ctx, l.cfg.Throttles, "")
	switch {
	case err != nil && !*away:
		l.cfg.Log.Warn("throttles cannot be kept in redis; the last hour of this gateway is written once it is back", "err", err)
	case err == nil && *away:
		l.cfg.Log.Info("throttles are kept in redis again")
	}
	*away = err != nil
}

// write writes what is new, of one instance or, "", of all. One at a time: an older
// state of a table must not be written after a newer one.
func (b *throttleBook) write(ctx context.Context, s *ThrottleStore, only tenancy.InstanceID) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	pages := b.take(only)
	err := s.write(ctx, pages)
	if err != nil {
		b.putBack(pages)
	}
	return err
}

// take returns all tables that are not in Redis as they are now, of one instance or,
// "", of all; they count as written.
func (b *throttleBook) take(only tenancy.InstanceID) (pages []throttlePage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.dirty {
		if only != "" && id != only {
			continue
		}
		delete(b.dirty, id)
		if log := b.logs[id]; log != nil {
			pages = append(pages, takeTables(id, log.minutes, false)...)
			pages = append(pages, takeTables(id, log.hours, true)...)
		}
	}
	return pages
}

func takeTables(id tenancy.InstanceID, tables map[int64]*throttleTable, hour bool) (pages []throttlePage) {
	for at, t := range tables {
		if t.dirty {
			t.dirty = false
			pages = append(pages, t.page(id, at, hour))
		}
	}
	return pages
}

// putBack makes tables due again that could not be written.
func (b *throttleBook) putBack(pages []throttlePage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range pages {
		log := b.logs[p.id]
		if log == nil {
			continue
		}
		tables := log.minutes
		if p.hour {
			tables = log.hours
		}
		if t := tables[p.start.Unix()]; t != nil {
			t.dirty = true
			b.due(p.id)
		}
	}
}

// due says that an instance has something to be written. mu is held.
func (b *throttleBook) due(id tenancy.InstanceID) {
	b.dirty[id] = struct{}{}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// forget drops what is written and over, and what is too old to be written: of a book
// that is not written at all, what is older than an hour, or a day.
func (b *throttleBook) forget(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, log := range b.logs {
		b.rows -= forgetBefore(log.minutes, now.Add(-minutesKept-time.Minute).Unix())
		b.rows -= forgetBefore(log.hours, now.Add(-ThrottlesKept-time.Hour).Unix())
		if b.written {
			b.rows -= log.forgetWritten(now)
		}
		if len(log.minutes)+len(log.hours) == 0 && !log.alarmed() {
			delete(b.logs, id)
			delete(b.dirty, id)
		}
	}
}

// forgetWritten drops the tables that are in Redis and get no more rows. The minute
// before this one says since when a throttle goes on.
func (l *throttleLog) forgetWritten(now time.Time) (rows int) {
	over := func(end int64) func(int64, *throttleTable) bool {
		return func(start int64, t *throttleTable) bool {
			if t.dirty || start >= end {
				return false
			}
			rows += len(t.rows)
			return true
		}
	}
	maps.DeleteFunc(l.minutes, over(now.Add(-2*time.Minute).Unix()))
	maps.DeleteFunc(l.hours, over(now.Add(-time.Hour-time.Minute).Unix()))
	return rows
}

// page is a table as it is written.
func (t *throttleTable) page(id tenancy.InstanceID, start int64, hour bool) throttlePage {
	p := throttlePage{id: id, start: time.Unix(start, 0), hour: hour, rows: make([]storedThrottle, 0, len(t.rows))}
	for key, r := range t.rows {
		p.rows = append(p.rows, storedThrottle{
			Limit: key.limit, Kind: key.kind, Of: key.of.entity(), User: key.user, Client: key.client, Other: key.other,
			Count: r.count, Told: r.told.Milliseconds(), Held: r.held.Milliseconds(), Over: r.over,
			First: r.first.UnixMilli(), Last: r.last.UnixMilli(), Until: r.until.UnixMilli(), Since: r.since.UnixMilli(),
		})
	}
	return p
}
