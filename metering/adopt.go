package metering

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// receiptsKept is how long a dead start's receipts are asked: longer than doubts live.
	receiptsKept = 15 * time.Minute
	// maxAdopted bounds the memory for receipts, 1 MiB each, of a gateway that starts over and over.
	maxAdopted = 64
)

// adopted is a dead start's file. Its counts are final.
type adopted struct {
	file    *counterFile
	entries []*entry
	since   time.Time
	damaged bool
	aside   bool // its file has been set aside
}

// lookAround adopts what dead starts have left in the folder, and finds the spooled
// hours that Redis may not have. Those of starts that live are theirs.
func (b *Book) lookAround() {
	paths, _ := filepath.Glob(filepath.Join(b.cfg.Dir, "*"+counterSuffix))
	for _, path := range paths {
		if b.has(path) {
			continue
		}
		c, slots, damaged, err := openDead(path)
		switch {
		case errors.Is(err, errAlive), errors.Is(err, os.ErrNotExist):
		case err != nil:
			b.cfg.Log.Error("a dead gateway's counters cannot be read", "file", path, "error", err.Error(),
				"fix", "see that this gateway's user may read the file: what is in it is not in any record yet")
		default:
			b.adopt(c, slots, damaged)
		}
	}
	for _, s := range b.spools(0) {
		if s.sent {
			continue
		}
		b.mu.Lock()
		if b.chapters[s.id] == nil {
			ch := b.chapter(s.id)
			ch.owed, ch.unsent = true, true
		}
		b.mu.Unlock()
	}
}

// has reports whether a file is this start's, or one that it adopted.
func (b *Book) has(path string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := filepath.Join(b.cfg.Dir, counterName(b.cfg.Gateway, b.cfg.Epoch)) == path
	for _, a := range b.adopted {
		own = own || a.file.path == path
	}
	return own
}

// adopt makes the counts of a dead file this book's.
func (b *Book) adopt(c *counterFile, slots []*slot, damaged error) {
	a := &adopted{file: c, since: b.cfg.Now()}
	var counts []Count
	var of []*slot
	bad, used := 0, 0
	for _, s := range slots {
		if s.crc().Load() == 0 || s.mem[4] == slotDoubts && s.sealed(slotTexts-4) {
			continue
		}
		used++
		count, err := s.read(c.gateway, c.epoch)
		if err != nil {
			bad++
			damaged = errors.Join(damaged, fmt.Errorf("slot %d: %w", s.index, err))
			continue
		}
		counts, of = append(counts, count), append(of, s)
	}
	prior := b.priors(counts)

	b.mu.Lock()
	at := map[uint32]*entry{}
	for i, count := range counts {
		at[of[i].index] = b.adoptOne(a, count, of[i], prior)
	}
	for _, s := range slots {
		if s.crc().Load() != 0 && s.mem[4] == slotDoubts && s.sealed(slotTexts-4) {
			b.adoptDoubts(c, s, at)
		}
	}
	b.adopted = append(b.adopted, a)
	b.mu.Unlock()

	if damaged != nil {
		a.damaged = true
		b.metrics.damaged.Inc()
		b.cfg.Log.Error("a dead gateway's counters are damaged", "file", c.path, "error", firstLine(damaged),
			"lost", fmt.Sprintf("%d of %d counts", bad, used), "used", used-bad,
			"fix", "the file is set aside as *.damaged: compare the usage of its hours with the pool's end offsets")
		return
	}
	b.cfg.Log.Info("counts of a dead gateway are taken over", "gateway", c.gateway, "epoch", c.epoch, "counts", used)
}

// priors are what the spool has of the same sources already.
func (b *Book) priors(counts []Count) map[Source]spooled {
	out := map[Source]spooled{}
	seen := map[chapterID]bool{}
	for _, c := range counts {
		id := chapterID{c.Gateway, c.Epoch, c.Hour}
		if seen[id] {
			continue
		}
		seen[id] = true
		for _, s := range b.spoolsOf(id) {
			for _, was := range b.readSpool(s) {
				out[was.Source] = spooled{was, s.sent}
			}
		}
	}
	return out
}

type spooled struct {
	Count
	sent bool
}

// adoptOne makes a final entry of a count. What the spool has of the same source is as
// new, or newer (the host crashed, and the file is older), or older.
func (b *Book) adoptOne(a *adopted, count Count, s *slot, prior map[Source]spooled) *entry {
	ch := b.chapter(chapterID{count.Gateway, count.Epoch, count.Hour})
	e := &entry{Line: count.Line, Source: count.Source, chapter: ch, slot: s, final: true, left: b.rounds}
	if was, ok := prior[count.Source]; ok {
		e.newest, e.spooled = was.Count, was.Seq
		if was.sent {
			e.pushed = was.Seq
		}
		if was.Seq > count.Seq {
			for m, n := range was.Values {
				s.counters()[m].Store(n)
			}
			s.sequence().Store(was.Seq)
		}
	}
	a.entries = append(a.entries, e)
	b.add(e)
	return e
}

func (b *Book) adoptDoubts(c *counterFile, s *slot, at map[uint32]*entry) {
	for i := range doubtsPerSlot {
		d, slots, ok := doubtIn(doubtPlace{s, doubtsBegin + i*doubtSize})
		if !ok {
			continue
		}
		d.Gateway, d.Epoch = c.gateway, c.epoch
		for k, index := range slots {
			e := at[index]
			if e == nil {
				continue
			}
			// A page of the host that crashed is older than this doubt: nothing to take back.
			if v := e.slot.counters().values(); v[ProduceBytes] < d.values[ProduceBytes] || v[ProduceRecords] < d.values[ProduceRecords] {
				continue
			}
			d.entries[k], d.Instance = e, e.Instance
		}
		if d.Instance != "" {
			b.doubt(d)
		}
	}
}

// settle lets go of adopted files whose counts are in the spool, and which nobody asks
// for receipts any more. Nobody waits for the disk meanwhile: of those that are in the
// list only the round that calls it changes anything. The file's lock goes last.
func (b *Book) settle(now time.Time) {
	b.mu.Lock()
	all := slices.Clone(b.adopted)
	var aside, gone []*adopted
	for i, a := range all {
		done, doubts := true, false
		for _, e := range a.entries {
			done = done && (e.slot == nil || e.newest.Seq > 0 && e.spooled >= e.newest.Seq || e.newest.Seq == 0)
			doubts = doubts || e.doubts > 0
		}
		if done && a.damaged && !a.aside {
			aside = append(aside, a)
		}
		if young := now.Sub(a.since) < receiptsKept && len(all)-i <= maxAdopted; done && !doubts && !young {
			gone = append(gone, a)
		}
	}
	b.mu.Unlock()
	for _, a := range aside {
		a.aside = os.Rename(a.file.path, a.file.path+damagedSuffix) == nil
	}
	for _, a := range gone {
		if !a.damaged {
			os.Remove(a.file.path) //nolint:errcheck // then the next start finds that all of it is in the spool
		}
	}
	b.mu.Lock()
	b.adopted = slices.DeleteFunc(b.adopted, func(a *adopted) bool { return slices.Contains(gone, a) })
	b.mu.Unlock()
	for _, a := range gone {
		a.file.file.Close()
	}
}
