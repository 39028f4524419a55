package metering

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnHourIsSealed(t *testing.T) {
	s := newTestSeal(t)
	sealer := s.sealer(t, "gw-1", "")
	a, b := testCount("gw-1", 5, 1000), testCount("gw-2", 9, 200)
	part := a
	part.Line.Part = "topic=t"
	a.Final, b.Final, part.Final = true, true, true
	pushAll(t, s.Store, a, b, part)
	s.final(t, testHour, a.Source, b.Source)

	s.rounds(t.Context(), 2*time.Minute, sealer)
	s.to(testHour.End().Add(SealAfter - sealEvery))
	s.rounds(t.Context(), sealEvery, sealer)
	if got := s.all(t, Query{Parts: true}); got != nil {
		t.Fatalf("before its time there are %d records", len(got))
	}
	s.rounds(t.Context(), 2*sealEvery, sealer)
	got := s.all(t, Query{Parts: true})
	if len(got) != 2 {
		t.Fatalf("there are %d records, want one and one of the breakdown; log:\n%s", len(got), &s.log)
	}
	want := Record{
		Line: a.Line, Complete: true, Gateways: 2, Values: a.Values.Plus(b.Values),
		Sealed: testHour.End().Add(SealAfter), Number: 1,
	}
	got[0].Sources = ""
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if whole := s.all(t, Query{}); len(whole) != 1 {
		t.Errorf("without the breakdown there are %d records, want 1", len(whole))
	}
	if c := s.intact(t, "orders"); c.Last != 2 || c.Records != 2 {
		t.Errorf("the chain is %+v, want two records", c)
	}
	if sealed, ok, err := s.records.SealedThrough(t.Context()); sealed != testHour || !ok || err != nil {
		t.Errorf("sealed through %v %v %v, want %v", sealed, ok, err, testHour)
	}
}

// What came before and after an hour was sealed, and what becomes of it.
func TestCorrections(t *testing.T) {
	open := func(gateway string, seq, bytes int64) Count { return testCount(gateway, seq, bytes) }
	final := func(gateway string, seq, bytes int64) Count {
		c := testCount(gateway, seq, bytes)
		c.Final = true
		return c
	}
	for name, c := range map[string]struct {
		before, after []Count
		lost          []Count // of those before, what Redis has lost meanwhile
		want          []int64 // ProduceBytes of the records
	}{
		"nothing new":                        {before: []Count{final("a", 1, 10)}, after: []Count{final("a", 1, 10)}, want: []int64{10}},
		"a source nobody knew":               {before: []Count{final("a", 1, 10)}, after: []Count{final("b", 1, 5)}, want: []int64{10, 5}},
		"nothing was known of the line":      {after: []Count{final("b", 1, 5)}, want: []int64{5}},
		"one was not final":                  {before: []Count{open("a", 1, 10), final("b", 1, 7)}, after: []Count{final("a", 2, 13)}, want: []int64{17, 3}},
		"one was taken back":                 {before: []Count{final("a", 1, 10)}, after: []Count{final("a", 2, 8)}, want: []int64{10, -2}},
		"it became final, with no more":      {before: []Count{open("a", 1, 10)}, after: []Count{final("a", 2, 10)}, want: []int64{10}},
		"others are lost":                    {before: []Count{final("a", 1, 10), final("b", 1, 7)}, lost: []Count{final("a", 1, 10)}, after: []Count{final("c", 1, 4)}, want: []int64{17, 4}},
		"others are lost, one was not final": {before: []Count{final("a", 1, 10), open("b", 1, 7)}, lost: []Count{final("a", 1, 10)}, after: []Count{final("b", 2, 9)}, want: []int64{17, 2}},
		"rolled back, and nothing new":       {before: []Count{open("a", 5, 10)}, lost: []Count{open("a", 5, 10)}, after: []Count{open("a", 3, 6)}, want: []int64{10}},
		"all is lost":                        {before: []Count{open("a", 5, 10)}, lost: []Count{open("a", 5, 10)}, want: []int64{10}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSeal(t)
			sealer := s.sealer(t, "gw-1", "")
			pushAll(t, s.Store, c.before...)
			s.rounds(t.Context(), 70*time.Minute, sealer)
			for _, gone := range c.lost {
				s.redis.HDel(countsKey("orders", testHour), gone.field())
			}
			s.Forget()
			pushAll(t, s.Store, c.after...)
			if err := s.mark(t.Context(), []lateHour{{testHour, "orders"}}); err != nil {
				t.Fatal(err)
			}
			s.rounds(t.Context(), 5*time.Minute, sealer)
			var got []int64
			for _, r := range s.all(t, Query{}) {
				got = append(got, r.Values[ProduceBytes])
				if r.Revision > 0 && (r.Sealed.Before(testHour.End().Add(SealAfter)) || r.Sealed.After(s.at)) {
					t.Errorf("a correction was sealed at %v", r.Sealed)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s\n%s", diff, &s.log)
			}
			if len(c.want) > 0 {
				s.intact(t, "orders")
			}
			if s.redis.Exists(keyLate) {
				t.Error("marks of late counts stay")
			}
		})
	}
}

// A count that is damaged in Redis keeps no hour from being sealed, is told, and is
// billed as soon as its gateway has written it anew.
func TestDamagedCount(t *testing.T) {
	for name, value := range map[string]string{
		"no count at all": "junk", "its sequence can be read": "9 1 acme eu1 7,x", "a number has a zero before it": "9 1 acme eu1 07",
		"a number is missing": "9 1 acme eu1 7,", "too great": "9 1 acme eu1 99999999999999999999", "the sequence has a zero before it": "09 1 acme eu1 7",
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSeal(t)
			sealer := s.sealer(t, "gw-1", "")
			damaged, other := testCount("a", 9, 7), testCount("b", 1, 5)
			damaged.Final, other.Final = true, true
			pushAll(t, s.Store, damaged, other)
			s.final(t, testHour, damaged.Source, other.Source)
			s.redis.HSet(countsKey("orders", testHour), damaged.field(), value)
			for r, err := range s.records.Open(t.Context(), Query{From: testHour, To: testHour + 1}) {
				if err != nil || r.Values[ProduceBytes] != 5 {
					t.Errorf("open: %v, %v", r, err)
				}
			}
			s.rounds(t.Context(), 70*time.Minute, sealer)
			if got := s.all(t, Query{}); len(got) != 1 || got[0].Values[ProduceBytes] != 5 || got[0].Complete {
				t.Errorf("sealed %v, want what can be read, not complete", got)
			}
			if n := strings.Count(s.log.String(), "a count of usage is damaged"); n != 1 {
				t.Errorf("told %d times", n)
			}
			pushAll(t, s.Store, damaged)
			s.rounds(t.Context(), 5*time.Minute, sealer)
			if got := s.all(t, Query{}); len(got) != 2 || sumOf(got)[ProduceBytes] != 12 || !got[1].Complete {
				t.Errorf("sealed %v, want a correction", got)
			}
		})
	}
}

// An hour is complete when all that served in it have said so, and only then.
func TestComplete(t *testing.T) {
	a, b := testCount("a", 1, 10), testCount("b", 1, 7)
	field := func(c Count) string { return c.Source.start() }
	for name, c := range map[string]struct {
		fleet map[string]string
		want  bool
	}{
		"all are final":            {map[string]string{field(a): "final", field(b): "final"}, true},
		"one is open":              {map[string]string{field(a): "final", field(b): "open"}, false},
		"one is not known":         {map[string]string{field(a): "final"}, false},
		"one that has not counted": {map[string]string{field(a): "final", field(b): "final", "c/1": "open"}, false},
		"nobody is known":          {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			records := hourOf{hour: testHour, counts: []Count{a, b}, fleet: c.fleet}.plan()
			if len(records) != 1 || records[0].Complete != c.want {
				t.Errorf("%+v", records)
			}
		})
	}
}

func TestAnHourThatIsNotSealedIsToldOnce(t *testing.T) {
	s := newTestSeal(t)
	sealer := s.sealer(t, "gw-1", "")
	s.rounds(t.Context(), 70*time.Minute, sealer) // the hour before is sealed, and this one
	s.redis.SetError("ERR the disk is gone")
	s.rounds(t.Context(), 80*time.Minute, sealer)
	if n := strings.Count(s.log.String(), "usage of an hour is not sealed"); n != 1 {
		t.Errorf("it was told %d times:\n%s", n, &s.log)
	}
	s.redis.SetError("")
	s.rounds(t.Context(), time.Minute, sealer)
	if !strings.Contains(s.log.String(), "is sealed now") {
		t.Errorf("the end of it was not told:\n%s", &s.log)
	}
}
