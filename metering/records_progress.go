package metering

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// progress is how far hours are sealed. known: some are; else Redis is new, or has
// lost it.
type progress struct {
	hour  Hour
	known bool
	since time.Time
	// healing are gateways that are putting back what Redis has lost.
	healing int
}

// progressNow reads it, and notes when this Redis was first asked.
func (s *RecordStore) progressNow(ctx context.Context) (progress, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	p := s.rdb.Pipeline()
	p.HSetNX(ctx, keySeal, "since", s.now().UnixMilli())
	state, healing := p.HGetAll(ctx, keySeal), p.HGetAll(ctx, keyHealing)
	if _, err := p.Exec(ctx); err != nil {
		return progress{}, fmt.Errorf("how far usage is sealed: %w", err)
	}
	var now progress
	since, err := strconv.ParseInt(state.Val()["since"], 10, 64)
	if err != nil {
		return progress{}, fmt.Errorf("how far usage is sealed: since: %w", err)
	}
	now.since = time.UnixMilli(since)
	if text, ok := state.Val()["hour"]; ok {
		hour, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return progress{}, fmt.Errorf("how far usage is sealed: hour: %w", err)
		}
		now.hour, now.known = Hour(hour), true
	}
	for _, text := range healing.Val() {
		if till, err := strconv.ParseInt(text, 10, 64); err == nil && till > s.now().UnixMilli() {
			now.healing++
		}
	}
	return now, nil
}

// SealedThrough is the newest hour up to which all are sealed; not ok if none ever was.
// Everything of these hours is in records; what comes later becomes corrections.
func (s *RecordStore) SealedThrough(ctx context.Context) (h Hour, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	switch h, err := s.rdb.HGet(ctx, keySeal, "hour").Int64(); {
	case err == redis.Nil: //nolint:errorlint // go-redis returns it as it is
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("how far usage is sealed: %w", err)
	default:
		return Hour(h), true, nil
	}
}

// tryLease takes or renews the right to seal; 0 if another has it.
func (s *RecordStore) tryLease(ctx context.Context, owner string, ttl time.Duration) (token int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	token, err = s.lease.Run(ctx, s.rdb, []string{keySealLease}, owner, ttl.Milliseconds()).Int64()
	if err != nil {
		return 0, fmt.Errorf("lease for sealing usage: %w", err)
	}
	return token, nil
}

// advance says that all hours up to h are sealed; false if the token is not the newest.
func (s *RecordStore) advance(ctx context.Context, token int64, h Hour) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	ok, err := s.progress.Run(ctx, s.rdb, []string{keySeal, keySealLease}, token, int64(h)).Bool()
	if err != nil {
		return false, fmt.Errorf("hour %s: saying that it is sealed: %w", h, err)
	}
	return ok, nil
}

// setHealing says until when this gateway puts back records; the zero time: it has done.
func (s *RecordStore) setHealing(ctx context.Context, gateway string, till time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	p := s.rdb.Pipeline()
	if till.IsZero() {
		p.HDel(ctx, keyHealing, gateway)
	} else {
		p.HSet(ctx, keyHealing, gateway, till.UnixMilli())
		p.PExpire(ctx, keyHealing, time.Hour)
	}
	if _, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("healing records of usage: %w", err)
	}
	return nil
}

// firstHour is the oldest hour of which there are counts, for a Redis that does not say
// how far it was sealed.
func (s *RecordStore) firstHour(ctx context.Context, now Hour) (Hour, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	defer cancel()
	p := s.rdb.Pipeline()
	first := now - Hour(countsKept/time.Hour)
	cmds := make([]*redis.IntCmd, 0, now-first)
	for h := first; h < now; h++ {
		cmds = append(cmds, p.Exists(ctx, instancesKey(h)))
	}
	if _, err := p.Exec(ctx); err != nil {
		return 0, fmt.Errorf("the oldest hour with usage: %w", err)
	}
	for i, c := range cmds {
		if c.Val() > 0 {
			return first + Hour(i), nil
		}
	}
	return now, nil
}
