package metering

import (
	"cmp"
	"slices"
	"time"
)

// hourOf is what an instance has of one hour when it is sealed, or sealed again.
type hourOf struct {
	hour   Hour
	counts []Count
	// fleet is gateway/epoch -> whether it has said all it counted in that hour.
	fleet map[string]string
	// sealed are the records of the hour that there are.
	sealed []Record
	// late: the hour was sealed before; what is new is a correction.
	late bool
	// lacking: some counts cannot be read.
	lacking bool
	now     time.Time
}

// lineKey is what makes a line within an instance and an hour (as in Record.ID).
type lineKey struct{ plan, part string }

func (l Line) key() lineKey { return lineKey{l.Plan, l.Part} }

func (k lineKey) compare(o lineKey) int {
	return cmp.Or(cmp.Compare(k.plan, o.plan), cmp.Compare(k.part, o.part))
}

// plan returns the records that are missing, in the order of their lines, without
// place in the chain. The same counts, in any order, give the same records. Nothing is
// missing if all of the counts are in records.
func (h hourOf) plan() []Record {
	counts, sealed := map[lineKey][]Count{}, map[lineKey][]Record{}
	for _, c := range h.counts {
		counts[c.key()] = append(counts[c.key()], c)
	}
	for _, r := range h.sealed {
		sealed[r.key()] = append(sealed[r.key()], r)
	}
	var records []Record
	for key, of := range counts {
		if r, ok := h.planLine(of, sealed[key]); ok {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b Record) int { return a.key().compare(b.key()) })
	return records
}

func (h hourOf) planLine(counts []Count, sealed []Record) (Record, bool) {
	slices.SortFunc(counts, func(a, b Count) int { return a.Source.compare(b.Source) })
	values, marks := missing(counts, sealed)
	if values.IsZero() {
		return Record{}, false
	}
	r := Record{
		Line: counts[0].Line, Complete: h.complete(counts), Gateways: gateways(counts),
		Values: values, Sources: sourcesOf(marks), Sealed: h.hour.End().Add(SealAfter),
	}
	if len(sealed) > 0 || h.late {
		for _, s := range sealed {
			r.Revision = max(r.Revision, s.Revision)
		}
		r.Revision++
		// The second that has begun is still being asked for: an answer as of now must
		// not change.
		r.Sealed = h.now.UTC().Truncate(time.Second).Add(time.Second)
	}
	return r, true
}

func (s Source) compare(o Source) int {
	return cmp.Or(cmp.Compare(s.Gateway, o.Gateway), cmp.Compare(s.Epoch, o.Epoch), cmp.Compare(s.Part, o.Part))
}

// missing is what counts have more than the records of their line, and which of the
// counts that is of.
//
// Where each count that was sealed is there, as new as it was or newer, the
// difference of the sums is exact. Where some are not (Redis has lost them, or they
// have expired), only what was not sealed of those that are there is added: a count
// that is missing was not taken back.
func missing(counts []Count, sealed []Record) (values Values, marks []sourceMark) {
	was := sealedMarks(sealed)
	there := 0
	for _, c := range counts {
		if m, known := was[c.hash()]; known && c.Seq >= m.seq {
			there++
		}
	}
	all := there == len(was)
	for _, c := range counts {
		m, known := was[c.hash()]
		switch {
		case !known:
			values = values.Plus(c.Values)
		case c.Seq <= m.seq, m.final && !all:
			continue // sealed as it is; or by how much it has changed is known when all are back
		case !m.final:
			values = values.Plus(c.Values.Minus(m.values))
		}
		marks = append(marks, markOf(c))
	}
	if all {
		values = changed(counts, sealed)
	}
	return values, marks
}

// changed is the difference of the sums.
func changed(counts []Count, sealed []Record) (values Values) {
	for _, c := range counts {
		values = values.Plus(c.Values)
	}
	for _, r := range sealed {
		values = values.Minus(r.Values)
	}
	return values
}

// sealedMarks has the newest mark of each source that is in records.
func sealedMarks(sealed []Record) map[uint64]sourceMark {
	was := map[uint64]sourceMark{}
	for _, r := range sealed {
		marks, _ := r.Sources.list() // checked when it was decoded
		for _, m := range marks {
			if old, ok := was[m.of]; !ok || m.seq > old.seq {
				was[m.of] = m
			}
		}
	}
	return was
}

// complete: all gateways of the hour have said that they will count no more in it, and
// no count is of one that is not among them, nor is there one that cannot be read.
func (h hourOf) complete(counts []Count) bool {
	if h.lacking {
		return false
	}
	for _, state := range h.fleet {
		if state != FleetFinal {
			return false
		}
	}
	for _, c := range counts {
		if h.fleet[c.Source.start()] != FleetFinal {
			return false
		}
	}
	return true
}

func gateways(counts []Count) int {
	names := map[string]bool{}
	for _, c := range counts {
		names[c.Gateway] = true
	}
	return len(names)
}
