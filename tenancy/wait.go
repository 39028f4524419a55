package tenancy

import (
	"context"
	"fmt"
	"time"
)

const (
	heartbeatEvery = 2 * time.Second // a gateway reports at least this often
	liveFor        = 6 * time.Second // three heartbeats: older reports do not count
	forgetAfter    = time.Minute     // and are removed, by whichever gateway reports next

	// settleFor is how long it takes until every live gateway has reported to a
	// Redis that lost its report: a heartbeat, and a second to find it again.
	settleFor = heartbeatEvery + time.Second

	// appliedPoll is how often WaitApplied looks. Gateways apply a change in 1-2 ms.
	appliedPoll = 3 * time.Millisecond
)

// WaitApplied waits until every live gateway has applied rev, or ctx ends; it
// says on how many of how many it is in force. Live is who reported within the
// last 6 s. If Redis has lost rev meanwhile, it says so with ErrLost at once; if
// Redis has lost the reports, or there are none, it waits 3 s for them to return.
func (s *Store) WaitApplied(ctx context.Context, rev Revision) (ready, of int, err error) {
	keys := []string{keyGateways, keyRevision, keySettling}
	for begin := time.Now(); ; {
		got, err := s.run(ctx, s.scripts.applied, keys, int64(rev), liveFor.Milliseconds()).Int64Slice()
		if err != nil {
			return ready, of, fmt.Errorf("waiting for revision %d: %w", rev, err)
		}
		if len(got) != 4 {
			return ready, of, fmt.Errorf("waiting for revision %d: redis answered %d values, not 4", rev, len(got))
		}
		ready, of = int(got[0]), int(got[1])
		switch {
		case got[2] < int64(rev):
			return 0, of, fmt.Errorf("revision %d (redis is at %d): %w", rev, got[2], ErrLost)
		case ready == of && got[3] == 0 && (of > 0 || time.Since(begin) > settleFor):
			return ready, of, nil
		case !pause(ctx, appliedPoll):
			return ready, of, fmt.Errorf("revision %d is in force on %d of %d gateways: %w", rev, ready, of, ctx.Err())
		}
	}
}

// TryLease takes or renews a named lease on one instance for owner; false if
// someone else holds it. It ends by itself after ttlMillis, also while its owner
// still works: hold it only over work that does no harm when done twice.
func (s *Store) TryLease(ctx context.Context, id InstanceID, name, owner string, ttlMillis int64) (bool, error) {
	if ttlMillis < 1 {
		return false, fmt.Errorf("lease %s on instance %s: %d ms is no time, give at least 1", name, id, ttlMillis)
	}
	held, err := s.run(ctx, s.scripts.lease, []string{leaseKey(id, name)}, owner, ttlMillis).Bool()
	if err != nil {
		return false, fmt.Errorf("lease %s on instance %s: %w", name, id, err)
	}
	return held, nil
}
