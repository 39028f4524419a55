package metering

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"
)

// A file of counters is what one start of a gateway counts in, shared with the kernel,
// which keeps it whatever kills the process:
//
//	0     the header, one page: magic, epoch, gateway, CRC-32C
//	4088  seed of the receipts
//	4096  receipts
//	then  segments of 256 slots each
//
// Whoever has it open holds its lock (flock), which ends with the process.
//
// The magic gets another number with every change of the layout and with every new meter:
// an older gateway sets such a file aside rather than read half of it.
const (
	counterSuffix = ".counters"
	headerSize    = 4096
	headerMagic   = "weir usage counters 2\n"
	seedBegin     = headerSize - 8
	slotsBegin    = headerSize + receiptBytes
	segmentSize   = 256 * slotSize
)

// counterFile is a live one, or one that was adopted: then its slots are a copy in
// memory, and what changes is written by save.
type counterFile struct {
	path     string
	gateway  string
	epoch    int64
	file     *os.File
	live     bool
	mapped   [][]byte // live: the header with the receipts, then the segments
	size     int64
	receipts *receipts
	allocate func(f *os.File, from, n int64) error
}

// counterName is the file's name; the gateway's stands last, for it may hold anything
// that a file's name may.
func counterName(gateway string, epoch int64) string {
	return strconv.FormatInt(epoch, 10) + "_" + gateway + counterSuffix
}

func parseCounterName(name string) (gateway string, epoch int64, ok bool) {
	name, ok = strings.CutSuffix(name, counterSuffix)
	text, gateway, cut := strings.Cut(name, "_")
	epoch, err := parseWhole(text)
	return gateway, epoch, ok && cut && err == nil && gateway != ""
}

// newCounterFile makes and maps one with no slots. fs.ErrExist if there is one of that epoch.
func newCounterFile(dir, gateway string, epoch int64, allocate func(*os.File, int64, int64) error) (_ *counterFile, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	c := &counterFile{path: filepath.Join(dir, counterName(gateway, epoch)), gateway: gateway, epoch: epoch, live: true, allocate: allocate}
	if c.file, err = os.OpenFile(c.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.file.Close()
			os.Remove(c.path) //nolint:errcheck // it holds nothing
		}
	}()
	// Somebody who looks for dead ones may have it for this moment: then it is tried anew.
	if err := lockFile(c.file); err != nil {
		return nil, err
	}
	head, err := c.extend(slotsBegin)
	if err != nil {
		return nil, err
	}
	copy(head, headerOf(gateway, epoch))
	c.receipts = receiptsIn(head)
	return c, nil
}

// extend maps so many bytes more, at the file's end. The disk has given them before
// they are mapped: a full one is an error here and never a SIGBUS later. Zeros are
// written besides, for a file system that only promises them (ext4 marks extents as
// unwritten) wants its journal again at the first write to each.
func (c *counterFile) extend(n int64) ([]byte, error) {
	if err := c.allocate(c.file, c.size, n); err != nil {
		return nil, fmt.Errorf("%s: %d bytes more: %w", c.path, n, err)
	}
	if _, err := c.file.WriteAt(make([]byte, n), c.size); err != nil {
		return nil, err
	}
	mem, err := mapFile(c.file, c.size, int(n))
	if err != nil {
		return nil, fmt.Errorf("%s: mapping %d bytes: %w", c.path, n, err)
	}
	c.mapped = append(c.mapped, mem)
	c.size += n
	return mem, nil
}

// grow adds a segment and returns its slots. One at a time.
func (c *counterFile) grow() ([]*slot, error) {
	first := uint32((c.size - slotsBegin) / slotSize)
	mem, err := c.extend(segmentSize)
	if err != nil {
		return nil, err
	}
	return c.slots(mem, first), nil
}

func (c *counterFile) slots(mem []byte, first uint32) []*slot {
	out := make([]*slot, len(mem)/slotSize)
	for i := range out {
		out[i] = &slot{mem: mem[i*slotSize : (i+1)*slotSize : (i+1)*slotSize], file: c, index: first + uint32(i)}
	}
	return out
}

// sync returns when the disk has what was counted before.
func (c *counterFile) sync(mapped [][]byte) error {
	for _, mem := range mapped {
		if err := syncMapped(mem); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	return nil
}

// there reports whether the file still has its name: whoever takes that away takes
// away what a start would find.
func (c *counterFile) there() bool {
	named, err := os.Stat(c.path)
	if err != nil {
		return false
	}
	open, err := c.file.Stat()
	return err == nil && os.SameFile(named, open)
}

// errAlive is a file whose process lives.
var errAlive = errors.New("its process lives")

// openDead reads a file whose process is gone, and holds its lock from then on.
// errAlive if it is not gone. damaged says what is wrong with it.
func openDead(path string) (c *counterFile, slots []*slot, damaged, err error) {
	gateway, epoch, ok := parseCounterName(filepath.Base(path))
	if !ok {
		return nil, nil, nil, fmt.Errorf("%s: not named <epoch>_<gateway>%s", path, counterSuffix)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	c = &counterFile{path: path, gateway: gateway, epoch: epoch, file: f}
	if !c.there() { // who had the lock before has done with it
		f.Close()
		return nil, nil, nil, errAlive
	}
	mem, err := os.ReadFile(path)
	if err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	slots, damaged = c.adopt(mem)
	return c, slots, damaged, nil
}

// adopt finds what can be used of a dead file. A process that was killed while it made
// the file leaves a short one of zeros, which nothing was counted in.
func (c *counterFile) adopt(mem []byte) (slots []*slot, damaged error) {
	head := headerOf(c.gateway, c.epoch)
	switch {
	case len(mem) < slotsBegin:
		c.receipts = newReceipts()
		if !isZero(mem) {
			damaged = fmt.Errorf("it is cut after %d bytes", len(mem))
		}
		return nil, damaged
	case isZero(mem[:headerSize]) && isZero(mem[slotsBegin:]):
	case string(mem[:len(head)]) != string(head) || !isZero(mem[len(head):seedBegin]):
		damaged = errors.New("its header is damaged")
	}
	if over := (len(mem) - slotsBegin) % segmentSize; over != 0 && damaged == nil {
		damaged = fmt.Errorf("it is cut after %d bytes", len(mem))
	}
	// Aligned anew, for the heap gives no promise for bytes of a file.
	words := make([]uint64, (len(mem)+7)/8)
	own := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*8)[:len(mem)] //nolint:gosec // the same memory
	copy(own, mem)
	c.receipts = receiptsIn(own)
	return c.slots(own[slotsBegin:], 0), damaged
}

// save writes a changed slot of an adopted file back, for who adopts it after us.
func (c *counterFile) save(s *slot) error {
	_, err := c.file.WriteAt(s.mem, slotsBegin+int64(s.index)*slotSize)
	return err
}

func headerOf(gateway string, epoch int64) []byte {
	b := binary.LittleEndian.AppendUint64([]byte(headerMagic), uint64(epoch))
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(gateway))), gateway...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
