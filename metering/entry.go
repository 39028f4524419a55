package metering

// chapterID is an hour of one start: the unit of the spool, and of what the fleet is told.
type chapterID struct {
	gateway string
	epoch   int64
	hour    Hour
}

// chapter is an hour of one start. Under the Book's lock.
type chapter struct {
	id     chapterID
	parts  map[int64]*entry // by part of source: those that are not in Redis and the spool yet
	lines  map[Line]*entry  // the newest of each
	kept   []Count          // of a book without a folder: what else would be in the spool
	told   bool             // the fleet knows that it is final
	unsent bool             // there is a .spool of it, or will be
	owed   bool             // the spool has counts that Redis may not have, and that are not in parts
}

// entry is one source: what becomes a Count. Under the Book's lock, but for the
// counters in its slot.
type entry struct {
	Line
	Source
	chapter *chapter
	slot    *slot // nil: it is final, and nobody can take anything back
	used    bool  // an account counts in it
	left    int64 // the round in which the account left
	final   bool
	doubts  int // open ones: they may be taken back

	newest  Count // as it was handed out last; Seq 0: never
	pushed  int64 // the newest Seq that Redis has
	spooled int64 // the newest Seq that the spool has
}

// count is the entry's Count, with a new Seq if anything has changed. Its Seq is 0 if
// nothing was ever counted. One that a dead start handed out, and that was taken back
// since, is handed out as nothing: Redis may have it.
func (e *entry) count() Count {
	if e.slot == nil {
		return e.newest
	}
	values := e.slot.counters().values()
	never := e.newest.Seq == 0 && e.slot.sequence().Load() == 0
	if never && values.IsZero() || e.newest.Seq > 0 && values == e.newest.Values && e.final == e.newest.Final {
		return e.newest
	}
	seq := max(e.newest.Seq, e.slot.sequence().Load()) + 1
	e.slot.sequence().Store(seq)
	e.newest = Count{Line: e.Line, Source: e.Source, Seq: seq, Final: e.final, Values: values}
	return e.newest
}

// chapter finds or begins one.
func (b *Book) chapter(id chapterID) *chapter {
	ch := b.chapters[id]
	if ch == nil {
		ch = &chapter{id: id, parts: map[int64]*entry{}, lines: map[Line]*entry{}}
		b.chapters[id] = ch
	}
	return ch
}

// add begins an entry.
func (b *Book) add(e *entry) {
	e.chapter.parts[e.Source.Part] = e
	e.chapter.lines[e.Line] = e
	e.chapter.told = false
	b.bySource[e.Source] = e
	b.entries = append(b.entries, e)
}

// settled reports whether nothing of an entry is left to be done.
func (b *Book) settled(e *entry) bool {
	return e.final && e.slot == nil && e.pushed >= e.newest.Seq && (b.cfg.Dir == "" || e.spooled >= e.newest.Seq)
}

// sweep frees the slots of entries that are in the spool, and lets go of those that
// Redis has, too. A slot is free some rounds after its account left: whoever was in
// the middle of counting then has done so, and is seen here.
func (b *Book) sweep() {
	kept := b.entries[:0]
	for _, e := range b.entries {
		b.letGo(e)
		if !b.settled(e) {
			kept = append(kept, e)
			continue
		}
		delete(e.chapter.parts, e.Source.Part)
		if e.chapter.lines[e.Line] == e {
			delete(e.chapter.lines, e.Line)
		}
		delete(b.bySource, e.Source)
		if b.cfg.Dir == "" && e.newest.Seq > 0 {
			e.chapter.kept = append(e.chapter.kept, e.newest)
		}
	}
	clear(b.entries[len(kept):])
	b.entries = kept
}

// letGo frees the entry's slot if it is needed no more.
func (b *Book) letGo(e *entry) {
	if e.slot == nil || !e.final || e.doubts > 0 || b.rounds-e.left < quarantine || b.finished {
		return
	}
	seq := e.count().Seq
	if b.cfg.Dir != "" && e.spooled < seq || b.cfg.Dir == "" && e.pushed < seq {
		return
	}
	if e.slot.file != nil && e.slot.file == b.file {
		e.slot.free()
		b.unused = append(b.unused, e.slot)
	}
	e.slot = nil
}
