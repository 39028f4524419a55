package metering

import (
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// archiveExt ends the name of a day's file: <day>.records.
	archiveExt = ".records"
	// archivePending bounds what is kept in memory while the disk takes nothing.
	archivePending = 64 << 20
)

// Archive keeps sealed records in files of this gateway, a file for each day of the
// records' hours, a line for each record: its CRC32C in hex, a space, base64. A record
// may stand there twice. A nil Archive keeps nothing. Any goroutine.
type Archive struct {
	dir       string
	retention time.Duration
	now       func() time.Time
	log       *slog.Logger

	mu      sync.Mutex // held over I/O: only the sealer and the healer are here
	pending map[string][]byte
	size    int
	failing bool
	trimmed string // the day on which old files were last removed
}

// ArchiveConfig of an Archive.
type ArchiveConfig struct {
	// Dir is made if it is not there.
	Dir       string
	Retention time.Duration
	Now       func() time.Time // time.Now if nil
	Log       *slog.Logger     // nothing if nil
}

// NewArchive returns the archive in a folder. One that cannot be written yet is no
// error: what is to be kept waits in memory, and the log says so.
func NewArchive(cfg ArchiveConfig) *Archive {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Retention == 0 {
		cfg.Retention = DefaultRetention
	}
	return &Archive{dir: cfg.Dir, retention: cfg.Retention, now: cfg.Now, log: cfg.Log, pending: map[string][]byte{}}
}

// Append takes records that are in Redis; Sync brings them to the disk.
func (a *Archive) Append(records []Record) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range records {
		line := archiveLine(r)
		if a.size += len(line); a.size > archivePending {
			a.drop()
		}
		day := r.Hour.day()
		a.pending[day] = append(a.pending[day], line...)
	}
}

func archiveLine(r Record) []byte {
	raw := r.Encode()
	line := fmt.Appendf(nil, "%08x ", crc32.Checksum(raw, castagnoli()))
	return append(base64.StdEncoding.AppendEncode(line, raw), '\n')
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// drop gives up what waits for the disk. a.mu is held.
func (a *Archive) drop() {
	a.log.Error("usage records are not kept in the archive: too many wait for the disk", "bytes", a.size, "dir", a.dir,
		"fix", "make room or make the folder writable; the records are in Redis, back it up until then")
	clear(a.pending)
	a.size = 0
}

// Sync writes what Append took to the disk and makes it stay there. What the disk does
// not take now is tried again with the next Sync; the log says so once.
func (a *Archive) Sync() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs error
	for day, lines := range a.pending {
		if err := a.write(day, lines); err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		delete(a.pending, day)
		a.size -= len(lines)
	}
	switch {
	case errs != nil && !a.failing:
		a.log.Error("usage records wait for the disk", "error", errs, "bytes", a.size,
			"fix", "make room or make the folder writable; the records are in Redis, and are archived when the disk takes them")
	case errs == nil && a.failing:
		a.log.Info("usage records are on the disk again", "dir", a.dir)
	}
	a.failing = errs != nil
	a.trim()
}

// write appends lines to a day's file, whole or not at all.
func (a *Archive) write(day string, lines []byte) (err error) {
	if err := os.MkdirAll(a.dir, 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(a.path(day), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], max(0, end-1)); end > 0 && (err != nil || last[0] != '\n') {
		lines = append([]byte{'\n'}, lines...) // a crash has cut the last line
	}
	if _, err = f.Write(lines); err == nil { // at once: others may append, too
		err = f.Sync()
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(end))
	}
	return err
}

func (a *Archive) path(day string) string { return filepath.Join(a.dir, day+archiveExt) }

// trim removes files of days that are older than the retention, once a day. a.mu is held.
func (a *Archive) trim() {
	today := a.now().UTC().Format(dayForm)
	if a.trimmed == today {
		return
	}
	a.trimmed = today
	oldest := HourOf(a.now().Add(-a.retention)).day()
	for _, day := range a.days() {
		if day < oldest {
			if err := os.Remove(a.path(day)); err != nil {
				a.log.Warn("an old file of usage records stays", "error", err)
			}
		}
	}
}

// days are those that have files, the oldest first.
func (a *Archive) days() []string {
	entries, err := os.ReadDir(a.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Error("the archive of usage records cannot be read", "error", err, "fix", "make the folder readable for this user")
	}
	var days []string
	for _, e := range entries {
		day, ok := strings.CutSuffix(e.Name(), archiveExt)
		if _, err := time.Parse(dayForm, day); ok && err == nil {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	return days
}
