//go:build real

package metering

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/internal/parts"
	"weir/tenancy"
)

// realSeal seals on a set of Redis processes, by a clock of its own: Redis's is only
// asked for leases and the ends of keys.
type realSeal struct {
	store  *Store
	sealer *Sealer
	log    bytes.Buffer
	at     time.Time
	counts []Count // all that was ever counted
}

func newRealSeal(t *testing.T, url string) *realSeal {
	p, _, _ := realPusher(t, url)
	s := &realSeal{store: p.cfg.Store, at: HourOf(time.Now()).Begin().Add(30 * time.Minute)}
	now := func() time.Time { return s.at }
	s.store.now = now
	records := NewRecordStore(RecordStoreConfig{Redis: s.store.rdb, Store: s.store, Now: now})
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	s.sealer = NewSealer(SealerConfig{
		Records: records, Store: s.store, Gateway: "gw-1", Now: now, Log: log,
		Archive: NewArchive(ArchiveConfig{Dir: t.TempDir(), Now: now, Log: log}),
	})
	return s
}

// push brings all counts to Redis, as gateways do after a loss.
func (s *realSeal) push(t *testing.T) {
	t.Helper()
	parts.Await(t, "all counts are in Redis", time.Minute, func() bool {
		s.store.Forget()
		done, _, err := s.store.Push(context.Background(), s.counts)
		return err == nil && len(done) == len(s.counts)
	})
}

// until makes rounds until all hours that are due are sealed, and some more.
func (s *realSeal) until(t *testing.T, due Hour) {
	t.Helper()
	parts.Await(t, "hour "+due.String()+" is sealed", 2*time.Minute, func() bool {
		s.at = s.at.Add(10 * time.Second)
		s.sealer.Round(context.Background())
		h, ok, err := s.sealer.cfg.Records.SealedThrough(context.Background())
		return err == nil && ok && h >= due
	})
	for range 12 {
		s.at = s.at.Add(10 * time.Second)
		s.sealer.Round(context.Background())
	}
}

func (s *realSeal) all(t *testing.T) (all []Record) {
	t.Helper()
	for r, err := range s.sealer.cfg.Records.Records(context.Background(), Query{To: HourOf(s.at) + 1}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func (s *realSeal) exact(t *testing.T, what string, instances int) {
	t.Helper()
	want, got := map[tenancy.InstanceID]Values{}, map[tenancy.InstanceID]Values{}
	for _, c := range s.counts {
		want[c.Instance] = want[c.Instance].Plus(c.Values)
	}
	for _, r := range s.all(t) {
		got[r.Instance] = got[r.Instance].Plus(r.Values)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) != instances {
		t.Fatalf("%s: counts -, records +:\n%s\n%s", what, diff, &s.log)
	}
	for id := range want {
		if c, err := s.sealer.cfg.Records.Verify(t.Context(), id); err != nil || c.Broken != nil {
			t.Fatalf("%s: the chain of %s: %v, %v\n%s", what, id, c.Broken, err, &s.log)
		}
	}
	t.Logf("%s: the records of %d instances add up to their counts, and their chains hold", what, instances)
}

// Sealing in the midst of failovers and flushes: no hour twice, none missing, no fork.
func TestRealRedisLosesRecords(t *testing.T) {
	const instances = 100
	for name, start := range map[string]func() parts.RedisSet{
		"sentinel": func() parts.RedisSet { return parts.StartRedisSentinel(t) },
		"cluster":  func() parts.RedisSet { return parts.StartRedisCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			set := start()
			s := newRealSeal(t, set.(interface{ URL() string }).URL())
			first := HourOf(s.at)
			s.until(t, first-1)
			hour := func(h Hour) {
				s.at = h.Begin().Add(time.Minute)
				for i := range instances {
					c := testCount("a", 1, int64(i+1))
					c.Instance, c.Hour = tenancy.InstanceID(fmt.Sprintf("i-%d", i)), h
					s.counts = append(s.counts, c)
				}
				s.push(t)
				s.at = h.End().Add(SealAfter)
			}
			hour(first)
			s.until(t, first)
			s.exact(t, "an hour", instances)

			hour(first + 1)
			master := set.Masters()[0]
			parts.Lose(set, master, func() { s.until(t, first+1) })
			set.AwaitFailover(master)
			s.push(t)
			s.sealer.Heal() // as the pusher asks for it
			s.until(t, first+1)
			s.exact(t, "an hour that was sealed and lost", instances)
			set.Return(master)
			set.AwaitWhole()

			before := encoded(s.all(t))
			for _, master := range set.Masters() {
				master.Do("FLUSHALL")
			}
			s.push(t)
			s.until(t, first+1)
			s.exact(t, "FLUSHALL", instances)
			if after := encoded(s.all(t)); !slices.EqualFunc(before, after, bytes.Equal) {
				t.Errorf("after FLUSHALL the %d records are not the %d that were there\n%s", len(after), len(before), &s.log)
			}
			hour(first + 2)
			s.until(t, first+2)
			s.exact(t, "the hour after", instances)
			t.Log(&s.log)
		})
	}
}
