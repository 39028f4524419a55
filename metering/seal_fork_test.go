package metering

import (
	"errors"
	"testing"
)

// Who has read an older end of a chain appends nothing, in whichever day.
func TestOnlyTheEndIsAppendedTo(t *testing.T) {
	s := newTestSeal(t)
	record := func(h Hour, bytes int64) []Record {
		c := testCount("a", 1, bytes)
		c.Hour = h
		return hourOf{hour: h, counts: []Count{c}}.plan()
	}
	stale, err := s.records.head(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	first := record(testHour, 10)
	end := stale.link(first)
	for range 2 { // an answer that was lost: the same once more
		if err := s.records.write(t.Context(), stale, end, first); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []Hour{testHour, testHour + 24} {
		other := record(h, 11)
		if err := s.records.write(t.Context(), stale, stale.link(other), other); !errors.Is(err, errMoved) {
			t.Errorf("behind an end that was: %v, want %v", err, errMoved)
		}
	}
	s.to((testHour + 48).Begin())
	if all := s.all(t, Query{Instance: "orders"}); len(all) != 1 || all[0].Values[ProduceBytes] != 10 {
		t.Errorf("%+v", all)
	}
	s.intact(t, "orders")
}

// What an archive has is put back only if it contradicts nothing that is there.
func TestWhatIsPutBack(t *testing.T) {
	r0 := hourOf{hour: testHour, counts: []Count{testCount("a", 1, 10)}}.plan()
	more := hourOf{hour: testHour, counts: []Count{testCount("a", 2, 15)}, sealed: r0, now: testHour.End()}.plan()
	anew := hourOf{hour: testHour, counts: []Count{testCount("a", 1, 10)}, late: true, now: testHour.End()}.plan()
	chain := append(append([]Record{}, r0...), more...)
	end := head{}.link(chain)
	first := head{}.link(chain[:1])
	far := anew[0]
	far.Number = 9
	for name, c := range map[string]struct {
		head           head
		archived       []Record
		there          []Record
		missing, forks int
		number         int64
	}{
		"nothing is there":              {archived: chain, missing: 2, number: 2},
		"everything is there":           {head: end, archived: chain, there: chain, number: 2},
		"the end is lost":               {head: first, archived: chain, there: chain[:1], missing: 1, number: 2},
		"the first one is lost":         {head: end, archived: chain, there: chain[1:], missing: 1, number: 2},
		"only the newer is archived":    {archived: chain[1:], missing: 1, number: 2},
		"it follows on something else":  {head: head{number: 1, hash: [32]byte{1}}, archived: chain[1:], forks: 1, number: 1},
		"another has its number":        {head: first, archived: anewAs(anew, 1), there: chain[:1], forks: 1, number: 1},
		"it was sealed again meanwhile": {head: head{number: 9, hash: far.Hash()}, archived: chain[:1], there: []Record{far}, forks: 1, number: 9},
		"and the other way round":       {head: first, archived: []Record{far}, there: chain[:1], forks: 1, number: 1},
	} {
		t.Run(name, func(t *testing.T) {
			one := healing{id: "orders", archived: c.archived}
			to := one.choose(c.head, c.there, nil)
			if len(one.missing) != c.missing || one.forks != c.forks || to.number != c.number {
				t.Errorf("put back %d, %d contradict, the end is %d; want %d, %d, %d", len(one.missing), one.forks, to.number, c.missing, c.forks, c.number)
			}
		})
	}
}

func anewAs(records []Record, number int64) []Record {
	r := records[0]
	r.Number = number
	return []Record{r}
}
