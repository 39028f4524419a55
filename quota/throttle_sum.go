package quota

import (
	"cmp"
	"context"
	"slices"
	"time"

	"weir/tenancy"
)

// Throttle is what one limit did to one user and client id in some time, over all
// gateways.
type Throttle struct {
	Limit tenancy.LimitName
	Kind  ThrottleKind
	// Of is whose limit: a sub-quota's entity; the zero one is the instance itself.
	Of           tenancy.QuotaEntity
	User, Client string // who was throttled; "" if not known
	Other        bool   // several users and client ids, beyond those that are told apart
	Count        int64  // requests, or connections
	// Told is how long clients were told to wait, Held how long requests were kept
	// waiting: seconds of connections, of each at most one a second.
	Told, Held time.Duration
	// Over is how much was asked for lately on average, in parts of the limit; 0 if that
	// is not known, or no more than the limit.
	Over        float64
	First, Last time.Time
	// Since is from when on it has happened without a pause; zero if it has ended.
	Since time.Time
}

// Waited is how long connections waited.
func (t Throttle) Waited() time.Duration { return t.Told + t.Held }

// ThrottleSummary is how much an instance was throttled in a day.
type ThrottleSummary struct {
	Waited time.Duration
	// Top is who waited longest; nil if nobody did. Share is its part of Waited, 0 to 1.
	Top   *Throttle
	Share float64
}

// Throttles are an instance's throttles since a moment, over all gateways, those that
// waited longest first. Up to an hour back it is the whole minutes that count, up to
// ThrottlesKept the whole hours.
func (l *Limiter) Throttles(ctx context.Context, id tenancy.InstanceID, since time.Time) ([]Throttle, error) {
	return l.throttlesAt(ctx, id, since, time.Now())
}

// Summary sums up the last 24 hours of the clock, this one counted.
func (l *Limiter) Summary(ctx context.Context, id tenancy.InstanceID) (ThrottleSummary, error) {
	now := time.Now()
	pages, err := l.throttlePages(ctx, id, now.Add(-ThrottlesKept+time.Hour), now, true)
	if err != nil {
		return ThrottleSummary{}, err
	}
	return summarize(sumThrottles(pages, now)), nil
}

func (l *Limiter) throttlesAt(ctx context.Context, id tenancy.InstanceID, since, now time.Time) ([]Throttle, error) {
	if most := now.Add(-ThrottlesKept); since.Before(most) {
		since = most
	}
	pages, err := l.throttlePages(ctx, id, since, now, now.Sub(since) > minutesKept)
	if err != nil {
		return nil, err
	}
	return sumThrottles(pages, now), nil
}

// throttlePages are those of all gateways; without a store, of this one.
func (l *Limiter) throttlePages(ctx context.Context, id tenancy.InstanceID, since, now time.Time, hour bool) ([]throttlePage, error) {
	s := l.cfg.Throttles
	if s == nil {
		return l.throttles.pages(id, since, hour), nil
	}
	// What has just happened here is not written yet.
	if err := l.throttles.write(ctx, s, id); err != nil {
		return nil, err
	}
	return s.read(ctx, id, since, now, hour)
}

// pages are an instance's tables from a moment on, as this process knows them.
func (b *throttleBook) pages(id tenancy.InstanceID, since time.Time, hour bool) (pages []throttlePage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	log := b.logs[id]
	if log == nil {
		return nil
	}
	tables, step := log.minutes, time.Minute
	if hour {
		tables, step = log.hours, time.Hour
	}
	for at, t := range tables {
		if at >= since.Truncate(step).Unix() {
			pages = append(pages, t.page(id, at, hour))
		}
	}
	return pages
}

// sumThrottles adds pages up by key. Those of one gateway that follow each other are
// different times of the same, those of several the same time.
func sumThrottles(pages []throttlePage, now time.Time) []Throttle {
	slices.SortFunc(pages, func(a, b throttlePage) int {
		return cmp.Or(cmp.Compare(a.gateway, b.gateway), a.start.Compare(b.start))
	})
	sums := map[throttleKey]*throttleSum{}
	for _, p := range pages {
		for _, r := range p.rows {
			key := throttleKey{r.Limit, r.Kind, keyOfEntity(r.Of), r.User, r.Client, r.Other}
			s := sums[key]
			if s == nil {
				s = &throttleSum{Throttle: Throttle{
					Limit: r.Limit, Kind: r.Kind, Of: r.Of, User: r.User, Client: r.Client, Other: r.Other,
				}}
				sums[key] = s
			}
			s.add(p.gateway, r, now)
		}
	}
	all := make([]Throttle, 0, len(sums))
	for _, s := range sums {
		all = append(all, s.done())
	}
	slices.SortFunc(all, compareThrottles)
	return all
}

// throttleSum adds up the rows of one key.
type throttleSum struct {
	Throttle
	over map[string]storedThrottle // the newest row that knows, by gateway
}

func (s *throttleSum) add(gateway string, r storedThrottle, now time.Time) {
	s.Count += r.Count
	s.Told += time.Duration(r.Told) * time.Millisecond
	s.Held += time.Duration(r.Held) * time.Millisecond
	first, last := time.UnixMilli(r.First), time.UnixMilli(r.Last)
	if s.First.IsZero() || first.Before(s.First) {
		s.First = first
	}
	if last.After(s.Last) {
		s.Last = last
	}
	if since := time.UnixMilli(r.Since); now.Sub(time.UnixMilli(r.Until)) <= throttlePause && (s.Since.IsZero() || since.Before(s.Since)) {
		s.Since = since
	}
	if r.Over > 0 {
		if s.over == nil {
			s.over = map[string]storedThrottle{}
		}
		s.over[gateway] = r
	}
}

// done adds up what each gateway was asked for, of those that still were when the
// throttle was seen last.
func (s *throttleSum) done() Throttle {
	for _, r := range s.over {
		if s.Last.Sub(time.UnixMilli(r.Last)) <= throttlePause {
			s.Over += r.Over
		}
	}
	if s.Over <= 1 { // a burst after a rest, which an average does not show
		s.Over = 0
	}
	return s.Throttle
}

// compareThrottles orders by how long was waited, then how often; then by what does
// not change from one time to the next.
func compareThrottles(a, b Throttle) int {
	return cmp.Or(
		cmp.Compare(b.Waited(), a.Waited()), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Limit, b.Limit), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.User, b.User), cmp.Compare(a.Client, b.Client), a.First.Compare(b.First),
	)
}

func summarize(all []Throttle) (s ThrottleSummary) {
	for _, t := range all {
		s.Waited += t.Waited()
	}
	if s.Waited > 0 { // the first waited longest
		s.Top, s.Share = &all[0], float64(all[0].Waited())/float64(s.Waited)
	}
	return s
}
