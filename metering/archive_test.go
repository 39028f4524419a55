package metering

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/tenancy"
)

// After Redis has lost everything the same bytes stand in it again, and sealing goes on
// behind them.
func TestEverythingIsLost(t *testing.T) {
	s := newTestSeal(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	first := s.sealer(t, "gw-1", dirs[0])
	sealedDays(t, s, first)
	s.pass(time.Minute) // the first one's lease ends, the second one goes on
	second := s.sealer(t, "gw-2", dirs[1])
	c := testCount("a", 1, 77)
	c.Hour = HourOf(s.at)
	pushAll(t, s.Store, c)
	s.rounds(t.Context(), 90*time.Minute, second)
	before := encoded(s.all(t, Query{Parts: true}))
	last := s.intact(t, "orders")

	for name, order := range map[string][]int{"the older archive first": {0, 1}, "the newer archive first": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			s.redis.FlushAll()
			s.Forget()
			pushAll(t, s.Store, c) // what gateways still have comes back
			var sealers []*Sealer
			for _, n := range order {
				sealers = append(sealers, s.sealer(t, fmt.Sprintf("gw-%d", n+1), dirs[n]))
			}
			s.rounds(t.Context(), 5*time.Minute, sealers...)
			if diff := cmp.Diff(before, encoded(s.all(t, Query{Parts: true}))); diff != "" {
				t.Errorf("lost -, new +:\n%s\n%s", diff, &s.log)
			}
			if got := s.intact(t, "orders"); got != last {
				t.Errorf("the chain is %+v, was %+v", got, last)
			}
			if s.redis.Exists(keyHealing) {
				t.Error("the mark of healing stays")
			}
		})
	}
	next := testCount("a", 1, 3)
	next.Hour = HourOf(s.at)
	pushAll(t, s.Store, next)
	s.rounds(t.Context(), 80*time.Minute, first)
	if got := s.intact(t, "orders"); got.Last != last.Last+1 {
		t.Errorf("after another hour the chain is %+v, was %+v", got, last)
	}
}

// A dump from before is put in place of what Redis had: what was sealed since comes back.
func TestAnOldDump(t *testing.T) {
	s := newTestSeal(t)
	sealer := s.sealer(t, "gw-1", t.TempDir())
	s.rounds(t.Context(), 2*time.Minute, sealer)
	var dump map[string]map[string]string
	for h := testHour; h < testHour+6; h++ {
		c := testCount("a", 1, 10)
		c.Hour = h
		s.to(h.Begin().Add(time.Minute))
		pushAll(t, s.Store, c)
		s.to(h.End().Add(SealAfter))
		s.rounds(t.Context(), 2*time.Minute, sealer)
		if h == testHour+2 {
			dump = s.hashes()
		}
	}
	late := testCount("b", 1, 5)
	pushAll(t, s.Store, late)
	s.rounds(t.Context(), 3*time.Minute, sealer)
	before := encoded(s.all(t, Query{}))
	if len(before) != 7 {
		t.Fatalf("%d records", len(before))
	}
	s.restore(dump)
	s.rounds(t.Context(), 5*time.Minute, sealer)
	if diff := cmp.Diff(before, encoded(s.all(t, Query{}))); diff != "" {
		t.Errorf("before -, after +:\n%s\n%s", diff, &s.log)
	}
	s.intact(t, "orders")
}

// hashes is all that is in hashes now.
func (s *testSeal) hashes() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, key := range s.redis.Keys() {
		if s.redis.Type(key) == "hash" {
			fields, _ := s.redis.HKeys(key)
			all[key] = map[string]string{}
			for _, f := range fields {
				all[key][f] = s.redis.HGet(key, f)
			}
		}
	}
	return all
}

func (s *testSeal) restore(all map[string]map[string]string) {
	for _, key := range s.redis.Keys() {
		if s.redis.Type(key) == "hash" {
			s.redis.Del(key)
		}
	}
	for key, fields := range all {
		for f, v := range fields {
			s.redis.HSet(key, f, v)
		}
	}
}

// A failover has lost the end of one instance's chain, and nothing else.
func TestTheEndOfAChainIsLost(t *testing.T) {
	for _, asked := range []bool{true, false} {
		t.Run(fmt.Sprint(asked), func(t *testing.T) {
			s := newTestSeal(t)
			sealer := s.sealer(t, "gw-1", t.TempDir())
			s.rounds(t.Context(), 2*time.Minute, sealer)
			c := testCount("a", 1, 10)
			pushAll(t, s.Store, c)
			s.rounds(t.Context(), 20*time.Minute, sealer)
			dump := s.hashes()
			c.Seq, c.Values[ProduceBytes] = 2, 15
			pushAll(t, s.Store, c)
			s.rounds(t.Context(), 60*time.Minute, sealer)
			was := s.intact(t, "orders")
			head := headKey("orders")
			s.redis.Del(head)
			s.redis.Del(dayKey("orders", testHour))
			for f, v := range dump[head] {
				s.redis.HSet(head, f, v)
			}
			if asked {
				sealer.Heal()
				s.rounds(t.Context(), time.Minute, sealer)
				if got := s.intact(t, "orders"); got != was {
					t.Errorf("the chain is %+v, was %+v\n%s", got, was, &s.log)
				}
			}
			// Not asked: the gateway's counts come again, and are marked.
			if err := s.mark(t.Context(), []lateHour{{testHour, "orders"}}); err != nil {
				t.Fatal(err)
			}
			s.rounds(t.Context(), 3*time.Minute, sealer)
			again := s.sealer(t, "gw-1", sealer.cfg.Archive.dir) // compares at its start
			s.rounds(t.Context(), 3*time.Minute, again)
			if got := sumOf(s.all(t, Query{})); got[ProduceBytes] != 15 {
				t.Errorf("the records add up to %d, want 15\n%s", got[ProduceBytes], &s.log)
			}
			s.intact(t, "orders")
			if told := strings.Contains(s.log.String(), "contradict"); told == asked {
				t.Errorf("a contradiction was told: %v\n%s", told, &s.log)
			}
		})
	}
}

func someRecords(t *testing.T, n int) []Record {
	t.Helper()
	var all []Record
	for i := range n {
		c := testCount("a", 1, int64(i+1))
		c.Instance = tenancy.InstanceID(fmt.Sprintf("i-%d", i))
		all = append(all, hourOf{hour: testHour, counts: []Count{c}}.plan()...)
		head{}.link(all[i:])
	}
	return all
}

func TestArchiveThatIsDamaged(t *testing.T) {
	day := testHour.day() + archiveExt
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		read   int // of 5
		lost   int
	}{
		"not at all":            {func(b []byte) []byte { return b }, 5, 0},
		"cut in the last line":  {func(b []byte) []byte { return b[:len(b)-10] }, 4, 1},
		"a bit in the middle":   {func(b []byte) []byte { b[len(b)/2] ^= 4; return b }, 4, 1},
		"a checksum":            {func(b []byte) []byte { b[0] ^= 1; return b }, 4, 1},
		"a line's end":          {func(b []byte) []byte { b[bytes.IndexByte(b, '\n')] = 'x'; return b }, 3, 1},
		"zeros at the end":      {func(b []byte) []byte { return append(b, make([]byte, 100)...) }, 5, 1},
		"empty lines":           {func(b []byte) []byte { return append(b, "\n\n"...) }, 5, 0},
		"nothing but something": {func([]byte) []byte { return []byte("hello\n") }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSeal(t)
			dir := t.TempDir()
			a := s.sealer(t, "gw-1", dir).cfg.Archive
			want := someRecords(t, 5)
			a.Append(want)
			a.Sync()
			file := filepath.Join(dir, day)
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			damaged := c.damage(slices.Clone(raw))
			if err := os.WriteFile(file, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time there is nothing left to complain of
				var got []Record
				if err := a.each(testHour.day(), func(r Record, at int64) {
					if same, err := a.recordsAt(testHour.day(), []int64{at}); err != nil || same[0] != r {
						t.Errorf("at %d there is %v, %v", at, same, err)
					}
					got = append(got, r)
				}); err != nil {
					t.Fatal(err)
				}
				if len(got) != c.read || slices.ContainsFunc(got, func(r Record) bool { return !slices.Contains(want, r) }) {
					t.Errorf("read %d records, want %d of those that were archived", len(got), c.read)
				}
			}
			aside, err := os.ReadFile(file + ".damaged")
			if told := strings.Count(s.log.String(), "set aside"); (told == 1) != (c.lost > 0) || (err == nil) != (c.lost > 0) {
				t.Errorf("told %d times, set aside: %v\n%s", told, err, &s.log)
			}
			if c.lost > 0 && (!bytes.Equal(aside, damaged) || !strings.Contains(s.log.String(), fmt.Sprintf("lines_lost=%d", c.lost))) {
				t.Errorf("%d bytes were set aside, want all %d as they were\n%s", len(aside), len(damaged), &s.log)
			}
		})
	}
}

// A disk that takes nothing for a while: it is told, sealing goes on, and nothing is missing.
func TestArchiveThatCannotBeWritten(t *testing.T) {
	s := newTestSeal(t)
	dir := filepath.Join(t.TempDir(), "usage", "records")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	sealer := s.sealer(t, "gw-1", dir)
	pushAll(t, s.Store, testCount("a", 1, 10))
	s.rounds(t.Context(), 70*time.Minute, sealer)
	if len(s.all(t, Query{})) != 1 {
		t.Fatal("the hour was not sealed")
	}
	if n := strings.Count(s.log.String(), "wait for the disk"); n != 1 {
		t.Errorf("it was told %d times\n%s", n, &s.log)
	}
	if err := os.Remove(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	next := testCount("a", 1, 3)
	next.Hour++
	pushAll(t, s.Store, next)
	s.rounds(t.Context(), 60*time.Minute, sealer)
	n := 0
	for _, day := range sealer.cfg.Archive.days() {
		if err := sealer.cfg.Archive.each(day, func(Record, int64) { n++ }); err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 || !strings.Contains(s.log.String(), "on the disk again") {
		t.Errorf("%d records are archived, want 2\n%s", n, &s.log)
	}
}

func TestArchiveForgets(t *testing.T) {
	s := newTestSeal(t)
	a := NewArchive(ArchiveConfig{Dir: t.TempDir(), Retention: 48 * time.Hour, Now: s.clock})
	old := someRecords(t, 1)
	a.Append(old)
	a.Sync()
	s.pass(50 * time.Hour)
	a.Sync()
	if got := a.days(); len(got) != 1 {
		t.Errorf("within the retention: %v", got)
	}
	s.pass(24 * time.Hour)
	a.Sync()
	if got := a.days(); len(got) != 0 {
		t.Errorf("after it: %v", got)
	}
}
