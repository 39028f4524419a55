package metering

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"weir/tenancy"
)

func hexOf(hash [32]byte) string { return hex.EncodeToString(hash[:]) }

// testSeal is one Redis with the time of all that use it.
type testSeal struct {
	*testStore
	records *RecordStore
	log     bytes.Buffer
}

// newTestSeal is at a quarter past testHour, when nothing is due yet.
func newTestSeal(t *testing.T) *testSeal {
	t.Helper()
	s := &testSeal{testStore: newStoreOn(t, miniredis.RunT(t))}
	s.to(testHour.Begin().Add(15 * time.Minute))
	s.records = NewRecordStore(RecordStoreConfig{Redis: s.rdb, Store: s.Store, Now: s.clock})
	return s
}

func (s *testSeal) clock() time.Time { return s.at }

// to moves time, Redis's too.
func (s *testSeal) to(at time.Time) {
	s.at = at
	s.redis.SetTime(at)
}

func (s *testSeal) pass(d time.Duration) { s.to(s.at.Add(d)) }

// sealer returns one of a gateway; with an archive if dir is not "".
func (s *testSeal) sealer(t *testing.T, gateway, dir string) *Sealer {
	t.Helper()
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	var a *Archive
	if dir != "" {
		a = NewArchive(ArchiveConfig{Dir: dir, Now: s.clock, Log: log})
	}
	return NewSealer(SealerConfig{Records: s.records, Store: s.Store, Archive: a, Gateway: gateway, Now: s.clock, Log: log})
}

// rounds lets sealers make rounds as time passes, each when it is its turn.
func (s *testSeal) rounds(ctx context.Context, d time.Duration, sealers ...*Sealer) {
	for end := s.at.Add(d); s.at.Before(end); s.pass(min(20*time.Second, max(sealEvery, end.Sub(s.at)))) {
		for _, one := range sealers {
			one.Round(ctx)
		}
	}
}

// final says that a gateway has counted all of an hour.
func (s *testSeal) final(t testing.TB, h Hour, sources ...Source) {
	t.Helper()
	for _, src := range sources {
		if err := s.rdb.HSet(t.Context(), fleetKey(h), src.start(), FleetFinal).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *testSeal) all(t testing.TB, q Query) []Record {
	t.Helper()
	if q.To == 0 {
		q.To = HourOf(s.at) + 1
	}
	var all []Record
	for r, err := range s.records.Records(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// intact checks the chain of an instance.
func (s *testSeal) intact(t testing.TB, id tenancy.InstanceID) Chain {
	t.Helper()
	c, err := s.records.Verify(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if c.Broken != nil {
		t.Fatalf("the chain of %s is broken: %v", id, c.Broken)
	}
	return c
}

func sumOf(records []Record) (sum Values) {
	for _, r := range records {
		sum = sum.Plus(r.Values)
	}
	return sum
}

func encoded(records []Record) (all [][]byte) {
	for _, r := range records {
		all = append(all, r.Encode())
	}
	return slices.Clip(all)
}
