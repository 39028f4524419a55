package metering

import (
	"iter"
	"slices"
)

var _ Ledger = (*Book)(nil)

// Take gives at most max counts that Redis does not have.
func (b *Book) Take(max int) []Count {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Count
	for range b.entries {
		if len(out) >= max {
			break
		}
		if b.next >= len(b.entries) {
			b.next = 0
		}
		e := b.entries[b.next]
		b.next++
		if c := e.count(); c.Seq > e.pushed {
			out = append(out, c)
		}
	}
	return out
}

// Pushed says that Redis has these.
func (b *Book) Pushed(done []Count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range done {
		if e := b.bySource[done[i].Source]; e != nil {
			e.pushed = max(e.pushed, done[i].Seq)
		}
	}
}

// All gives every count from an hour on, in memory and in the spool. What is in memory
// is newer than what the spool says of the same source.
func (b *Book) All(since Hour) iter.Seq2[Count, error] {
	return func(yield func(Count, error) bool) {
		seen := map[Source]bool{}
		for _, c := range b.inMemory(since) {
			seen[c.Source] = true
			if !yield(c, nil) {
				return
			}
		}
		if b.cfg.Dir == "" {
			return
		}
		if b.hangs(b.cfg.Now()) {
			yield(Count{}, errHangs)
			return
		}
		for _, s := range b.spools(since) {
			for _, c := range b.readSpool(s) {
				if !seen[c.Source] && !yield(c, nil) {
					return
				}
			}
		}
	}
}

func (b *Book) inMemory(since Hour) (out []Count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, ch := range b.chapters {
		if id.hour < since {
			continue
		}
		for _, e := range ch.parts {
			if c := e.count(); c.Seq > 0 {
				out = append(out, c)
			}
		}
		out = append(out, ch.kept...)
	}
	return out
}

// Served gives each start and hour that is not told of.
func (b *Book) Served() (out []Served) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, ch := range b.chapters {
		if !ch.told {
			out = append(out, Served{Hour: id.hour, Gateway: id.gateway, Epoch: id.epoch, Final: b.final(ch)})
		}
	}
	slices.SortFunc(out, func(s, t Served) int { return int(s.Hour - t.Hour) })
	return out
}

// final reports whether nothing more will be counted in a chapter, as far as the clock can tell.
func (b *Book) final(ch *chapter) bool {
	own := ch.id.gateway == b.cfg.Gateway && ch.id.epoch == b.cfg.Epoch
	if ch.owed || own && !b.finished && b.cfg.Now().Sub(ch.id.hour.End()) < finalAfter {
		return false
	}
	for _, e := range ch.parts {
		if !e.final {
			return false
		}
	}
	return true
}

// Told says that the fleet knows that the hour is final.
func (b *Book) Told(s Served) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ch := b.chapters[chapterID{s.Gateway, s.Epoch, s.Hour}]; ch != nil && b.final(ch) {
		ch.told = true
	}
}
