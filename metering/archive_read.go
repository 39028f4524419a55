package metering

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
)

// Newest is the newest hour of which there are records; not ok if there are none.
func (a *Archive) Newest() (newest Hour, ok bool) {
	if a == nil {
		return 0, false
	}
	for _, day := range slices.Backward(a.days()) {
		err := a.each(day, func(r Record, _ int64) {
			newest, ok = max(newest, r.Hour), true
		})
		if ok || err != nil {
			break
		}
	}
	return newest, ok
}

// each calls fn for each record in a day's file, with where its line begins. A file with
// lines that are none is set aside first, and what can be read of it put in its place.
// Memory does not grow with the file. While it runs nothing is archived.
func (a *Archive) each(day string, fn func(r Record, at int64)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	good, bad, err := a.lines(day, func(Record, int64) {})
	if err == nil && bad > 0 {
		err = a.setAside(day, good, bad)
	}
	if err == nil && good > 0 {
		_, _, err = a.lines(day, fn)
	}
	if err != nil {
		return fmt.Errorf("archive of usage records: %w", err)
	}
	return nil
}

// lines calls fn for what can be read of a day's file, and counts that and what cannot.
func (a *Archive) lines(day string, fn func(r Record, at int64)) (good, bad int, err error) {
	f, err := os.Open(a.path(day))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	for at := int64(0); ; {
		line, err := in.ReadBytes('\n')
		if r, ok := parseArchiveLine(line); ok {
			good++
			fn(r, at)
		} else if len(bytes.TrimSpace(line)) > 0 {
			bad++
		}
		at += int64(len(line))
		if errors.Is(err, io.EOF) {
			return good, bad, nil
		}
		if err != nil {
			return good, bad, err
		}
	}
}

func parseArchiveLine(line []byte) (Record, bool) {
	line, whole := bytes.CutSuffix(line, []byte{'\n'})
	sum, text, ok := bytes.Cut(line, []byte{' '})
	if !ok || !whole {
		return Record{}, false
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	raw, e := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || e != nil || uint64(crc32.Checksum(raw, castagnoli())) != want {
		return Record{}, false
	}
	r, err := DecodeRecord(raw)
	return r, err == nil
}

// setAside renames a damaged file and writes what can be read of it. a.mu is held.
func (a *Archive) setAside(day string, good, bad int) error {
	aside := a.path(day) + ".damaged"
	for n := 2; exists(aside); n++ {
		aside = a.path(day) + "." + strconv.Itoa(n) + ".damaged"
	}
	rescued := a.path(day) + ".rescued"
	err := a.rescue(day, rescued)
	if err == nil {
		err = os.Rename(a.path(day), aside)
	}
	if err == nil {
		err = os.Rename(rescued, a.path(day))
	}
	a.log.Error("a file of usage records was damaged and is set aside", "file", aside, "records_read", good, "lines_lost", bad, "error", err,
		"fix", "look after the disk; the records are in Redis, and other gateways have archives too")
	return err
}

// rescue writes what can be read of a day's file to another one.
func (a *Archive) rescue(day, to string) (err error) {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriter(f)
	_, _, err = a.lines(day, func(r Record, _ int64) {
		_, _ = out.Write(archiveLine(r)) // Flush tells
	})
	return errors.Join(err, out.Flush(), f.Sync())
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// recordsAt reads the records whose lines begin at some places of a day's file.
func (a *Archive) recordsAt(day string, places []int64) ([]Record, error) {
	f, err := os.Open(a.path(day))
	if err != nil {
		return nil, fmt.Errorf("archive of usage records: %w", err)
	}
	defer f.Close()
	records := make([]Record, 0, len(places))
	for _, at := range places {
		line, err := bufio.NewReader(io.NewSectionReader(f, at, 1<<21)).ReadBytes('\n')
		r, ok := parseArchiveLine(line)
		if err != nil || !ok {
			return nil, fmt.Errorf("archive of usage records: %s has changed while it was read", a.path(day))
		}
		records = append(records, r)
	}
	return records, nil
}
