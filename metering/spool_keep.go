package metering

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// spoolKept is how long final counts are on this disk.
	spoolKept = 35 * 24 * time.Hour
	// maxInMemory is how many counts wait for Redis in memory; what is more waits in the
	// spool alone.
	maxInMemory = 100_000
)

// readSpool reads a file. One that is damaged is set aside, with what can be read of it
// in its place.
func (b *Book) readSpool(s spoolFile) []Count {
	b.disk.files.Lock()
	defer b.disk.files.Unlock()
	text, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) { // it has been sent meanwhile
		s.path = strings.TrimSuffix(s.path, spoolSuffix) + sentSuffix
		text, err = os.ReadFile(s.path)
	}
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			b.cfg.Log.Error("spooled usage cannot be read", "file", s.path, "error", err.Error(), "fix", "see that this gateway's user may read the file")
		}
		return nil
	}
	counts, lines, bad := readSpooled(text, s.id)
	if bad > 0 && b.once(s.path) {
		b.metrics.damaged.Inc()
		b.cfg.Log.Error("spooled usage is damaged", "file", s.path, "lost", fmt.Sprintf("%d of %d lines", bad, lines), "used", lines-bad,
			"fix", "the file is set aside as *.damaged: compare the usage of its hour with the pool's end offsets, unless redis had it already")
		if err := setAside(s.path, counts); err != nil {
			b.cfg.Log.Error("damaged usage cannot be set aside", "file", s.path, "error", err.Error(), "fix", "see that the folder can be written")
		}
	}
	return counts
}

// once reports whether a damaged file is told of for the first time.
func (b *Book) once(path string) bool {
	b.disk.told.Lock()
	defer b.disk.told.Unlock()
	if b.disk.damaged[path] {
		return false
	}
	if b.disk.damaged == nil {
		b.disk.damaged = map[string]bool{}
	}
	b.disk.damaged[path] = true
	return true
}

// setAside keeps a damaged file under another name, and the counts in its place.
func setAside(path string, counts []Count) error {
	var text []byte
	for i := range counts {
		text = appendSpooled(text, &counts[i])
	}
	if err := writeSynced(path+".tmp", os.O_TRUNC, text); err != nil {
		return err
	}
	if err := os.Rename(path, path+damagedSuffix); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// writeSynced writes text at a file's end, so that it outlives the host. A part of it
// is taken off again, if the disk is full.
func writeSynced(path string, flags int, text []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	last := []byte("\n")
	if size > 0 {
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' { // a part of a line that nobody could take off: it is reported by who reads it
		text = append([]byte("\n"), text...)
	}
	_, err = f.WriteAt(text, size)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Truncate(size) //nolint:errcheck // then a part of a line stays, see above
		return err
	}
	return nil
}

// flush writes all final counts to the spool that it does not have.
func (b *Book) flush() error {
	b.disk.Lock()
	defer b.disk.Unlock()
	var errs []error
	for id, counts := range b.unspooled() {
		if err := b.spool(id, counts); err != nil {
			errs = append(errs, err)
			continue
		}
		b.mu.Lock()
		for i := range counts {
			if e := b.bySource[counts[i].Source]; e != nil {
				e.spooled = max(e.spooled, counts[i].Seq)
			}
		}
		b.mu.Unlock()
	}
	return errors.Join(errs...)
}

func (b *Book) unspooled() map[chapterID][]Count {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[chapterID][]Count{}
	for _, e := range b.entries {
		if !e.final {
			continue
		}
		if c := e.count(); c.Seq > e.spooled {
			out[e.chapter.id] = append(out[e.chapter.id], c)
			e.chapter.unsent = true
		}
	}
	return out
}

func (b *Book) spool(id chapterID, counts []Count) error {
	dir := filepath.Join(b.cfg.Dir, spoolFolder)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	base := filepath.Join(dir, spoolName(id))
	if err := os.Rename(base+sentSuffix, base+spoolSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var text []byte
	for i := range counts {
		text = appendSpooled(text, &counts[i])
	}
	b.disk.files.Lock()
	err := writeSynced(base+spoolSuffix, 0, text)
	b.disk.files.Unlock()
	return errors.Join(err, syncFolder(dir))
}

// syncFolder makes new names outlive the host.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// send renames the spooled hours of which nothing is left to be done.
func (b *Book) send() {
	b.mu.Lock()
	var done []*chapter
	for _, ch := range b.chapters {
		if ch.unsent && ch.told && !ch.owed && len(ch.parts) == 0 {
			done = append(done, ch)
		}
	}
	b.mu.Unlock()
	for _, ch := range done {
		base := filepath.Join(b.cfg.Dir, spoolFolder, spoolName(ch.id))
		if err := os.Rename(base+spoolSuffix, base+sentSuffix); err == nil || errors.Is(err, os.ErrNotExist) {
			b.mu.Lock()
			ch.unsent = false
			b.mu.Unlock()
		}
	}
}

// owe balances memory and spool: what Redis does not take waits in the spool alone if
// there is much of it, and comes back from there, the oldest hour first.
func (b *Book) owe() {
	b.mu.Lock()
	var back *chapter
	for _, ch := range b.chapters {
		if !ch.owed && len(b.entries) > b.most && ch.spooledOnly() {
			for part, e := range ch.parts {
				e.pushed = e.newest.Seq // sweep lets go of it
				delete(ch.parts, part)
			}
			ch.owed = true
		}
		if ch.owed && len(b.entries) <= b.most/2 && (back == nil || ch.id.hour < back.id.hour) {
			back = ch
		}
	}
	b.mu.Unlock()
	if back == nil {
		return
	}
	var counts []Count
	for _, s := range b.spoolsOf(back.id) {
		counts = append(counts, b.readSpool(s)...)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range counts {
		if back.parts[c.Source.Part] == nil {
			b.add(&entry{Line: c.Line, Source: c.Source, chapter: back, final: true, newest: c, spooled: c.Seq})
		}
	}
	back.owed = false
}

// spooledOnly reports whether the spool has all of a chapter, and nobody counts in it.
func (ch *chapter) spooledOnly() bool {
	for _, e := range ch.parts {
		if !e.final || e.slot != nil || e.spooled < e.newest.Seq {
			return false
		}
	}
	return len(ch.parts) > 0
}

// expire removes what is older than it is kept.
func (b *Book) expire(now time.Time) {
	old := HourOf(now.Add(-spoolKept))
	for _, s := range b.spools(0) {
		if s.id.hour >= old {
			break
		}
		if err := os.Remove(s.path); err == nil && !s.sent {
			b.cfg.Log.Error("usage that redis never took is given up", "file", s.path, "hour", s.id.hour.String(), "fix", "see why redis was away for so long: weir usage says which hours are incomplete")
		}
		b.mu.Lock()
		delete(b.chapters, s.id)
		b.mu.Unlock()
	}
	for _, pattern := range []string{"*" + damagedSuffix, filepath.Join(spoolFolder, "*"+damagedSuffix)} {
		paths, _ := filepath.Glob(filepath.Join(b.cfg.Dir, pattern))
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && now.Sub(info.ModTime()) > spoolKept {
				os.Remove(path) //nolint:errcheck // the next time
			}
		}
	}
}
