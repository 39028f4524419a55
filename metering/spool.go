package metering

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weir/tenancy"
)

// The spool keeps final counts: a file for each start and hour, named
// <hour>_<epoch>_<gateway> and .spool, or .sent once all that is in it is in Redis and
// the fleet knows that the hour is final. It is a line for each count, quoted as Go
// does, and behind it the CRC-32C of what stands before the last tab:
//
//	"<instance>"	2026-11-22T19	"<field>"	"<value>"	1a2b3c4d
//
// field and value are those of count_codec.go. Of one source the greatest sequence counts.
const (
	spoolFolder   = "spool"
	spoolSuffix   = ".spool"
	sentSuffix    = ".sent"
	damagedSuffix = ".damaged"
)

// spoolFile is one of the folder.
type spoolFile struct {
	id   chapterID
	path string
	sent bool
}

func spoolName(id chapterID) string {
	return id.hour.String() + "_" + strconv.FormatInt(id.epoch, 10) + "_" + id.gateway
}

func parseSpoolName(name string) (id chapterID, sent, ok bool) {
	base, ok := strings.CutSuffix(name, spoolSuffix)
	if !ok {
		if base, sent = strings.CutSuffix(name, sentSuffix); !sent {
			return chapterID{}, false, false
		}
	}
	words := strings.SplitN(base, "_", 3)
	if len(words) != 3 || words[2] == "" {
		return chapterID{}, false, false
	}
	hour, err := ParseHour(words[0])
	epoch, wrong := parseWhole(words[1])
	return chapterID{gateway: words[2], epoch: epoch, hour: hour}, sent, err == nil && wrong == nil
}

// spools lists the files from an hour on of this start, of those that it adopted, and
// of those that have left no counters; oldest first.
func (b *Book) spools(since Hour) (out []spoolFile) {
	dir := filepath.Join(b.cfg.Dir, spoolFolder)
	names, _ := os.ReadDir(dir)
	mine := map[string]bool{}
	for _, n := range names {
		id, sent, ok := parseSpoolName(n.Name())
		if !ok || id.hour < since {
			continue
		}
		counters := filepath.Join(b.cfg.Dir, counterName(id.gateway, id.epoch))
		if _, asked := mine[counters]; !asked {
			_, err := os.Stat(counters)
			mine[counters] = err != nil || b.has(counters)
		}
		if mine[counters] {
			out = append(out, spoolFile{id: id, path: filepath.Join(dir, n.Name()), sent: sent})
		}
	}
	slices.SortStableFunc(out, func(s, t spoolFile) int { return int(s.id.hour - t.id.hour) })
	return out
}

// spoolsOf are the files of one chapter.
func (b *Book) spoolsOf(id chapterID) (out []spoolFile) {
	base := filepath.Join(b.cfg.Dir, spoolFolder, spoolName(id))
	for _, suffix := range []string{sentSuffix, spoolSuffix} {
		if _, err := os.Stat(base + suffix); err == nil {
			out = append(out, spoolFile{id: id, path: base + suffix, sent: suffix == sentSuffix})
		}
	}
	return out
}

// appendSpooled writes a count's line.
func appendSpooled(to []byte, c *Count) []byte {
	begin := len(to)
	to = strconv.AppendQuoteToASCII(to, string(c.Instance))
	to = append(append(append(to, '\t'), c.Hour.String()...), '\t')
	to = append(strconv.AppendQuoteToASCII(to, c.field()), '\t')
	to = strconv.AppendQuoteToASCII(to, c.value())
	return fmt.Appendf(to, "\t%08x\n", crc32.Checksum(to[begin:], castagnoli()))
}

var errSpooled = errors.New("the line is damaged")

// parseSpooled reads a line, without its end.
func parseSpooled(line []byte) (Count, error) {
	at := bytes.LastIndexByte(line, '\t')
	if at < 0 || fmt.Sprintf("%08x", crc32.Checksum(line[:at], castagnoli())) != string(line[at+1:]) {
		return Count{}, errSpooled
	}
	words := strings.Split(string(line[:at]), "\t")
	if len(words) != 4 {
		return Count{}, errSpooled
	}
	for _, i := range []int{0, 2, 3} {
		text, err := strconv.Unquote(words[i])
		if err != nil {
			return Count{}, errSpooled
		}
		words[i] = text
	}
	hour, err := ParseHour(words[1])
	if err != nil {
		return Count{}, err
	}
	c, err := parseCount(tenancy.InstanceID(words[0]), hour, words[2], words[3])
	if err != nil {
		return Count{}, err
	}
	return c, c.check()
}

// readSpooled reads a file's counts, the newest of each source, and says how many
// lines it cannot read. A file that is cut ends with a line that cannot be read.
func readSpooled(text []byte, id chapterID) (counts []Count, lines, bad int) {
	at := map[Source]int{}
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		text = rest
		if len(line) == 0 && ended {
			continue
		}
		lines++
		c, err := parseSpooled(line)
		if err != nil || !ended || (chapterID{c.Gateway, c.Epoch, c.Hour}) != id {
			bad++
			continue
		}
		if i, ok := at[c.Source]; !ok {
			at[c.Source] = len(counts)
			counts = append(counts, c)
		} else if counts[i].Seq < c.Seq {
			counts[i] = c
		}
	}
	return counts, lines, bad
}
