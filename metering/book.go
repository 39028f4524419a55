package metering

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// Of is whose use is counted.
type Of struct {
	Instance tenancy.InstanceID
	Tenant   tenancy.TenantID
	Plan     string
	Pool     string
	Part     string // as Line's
}

// Config of a Book.
type Config struct {
	// Gateway names this process: [A-Za-z0-9._-]{1,128}. Epoch is when it started, in unix
	// microseconds; Now if zero, and a little more if there is a file of that epoch.
	Gateway string
	Epoch   int64
	// Dir is where counters and the spool are kept; "": in memory only, so that whatever
	// ends the process ends what Redis does not have yet.
	Dir      string
	Now      func() time.Time // time.Now if nil
	Log      *slog.Logger     // none if nil
	Registry prometheus.Registerer

	allocate func(f *os.File, from, n int64) error // tests: a disk that is full
}

// Book has the accounts of this gateway: what it counts, and what starts before it
// have counted in the same folder. Any goroutine. It is the Ledger of the Pusher.
type Book struct {
	cfg      Config
	metrics  *bookMetrics
	receipts atomic.Pointer[receipts]

	mu       sync.Mutex
	accounts map[Of]*Account
	hour     Hour  // that is counted for
	rounds   int64 // of tick: how much time this process has had itself
	part     int64 // the newest part of this start
	finished bool  // nothing is counted any more
	chapters map[chapterID]*chapter
	entries  []*entry // of all chapters
	bySource map[Source]*entry
	next     int // of entries: where Take goes on
	doubts   map[doubtID]*doubt
	doubtful int          // how many doubts there may be
	places   []doubtPlace // free ones
	adopted  []*adopted
	unused   []*slot // free ones of file
	file     *counterFile
	fileErr  error // why there is no file, or no more of it

	most    int           // entries before some wait in the spool alone
	growing chan struct{} // has an element while the file grows

	disk disk
}

// NewBook returns the book of this start, with what it found of dead ones. A folder
// that cannot be used is no error: it is told by Log until it can, and counts are in
// memory for so long.
func NewBook(cfg Config) (*Book, error) {
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`).MatchString(cfg.Gateway) {
		return nil, fmt.Errorf("gateway %.80q must have 1 to 128 of A-Z a-z 0-9 . _ -", cfg.Gateway)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Epoch == 0 {
		cfg.Epoch = cfg.Now().UnixMicro()
	}
	if cfg.allocate == nil {
		cfg.allocate = allocate
	}
	b := &Book{
		cfg: cfg, metrics: newBookMetrics(cfg.Registry), accounts: map[Of]*Account{}, hour: HourOf(cfg.Now()),
		chapters: map[chapterID]*chapter{}, bySource: map[Source]*entry{}, doubts: map[doubtID]*doubt{}, doubtful: maxDoubts,
		growing: make(chan struct{}, 1), most: maxInMemory,
	}
	b.receipts.Store(newReceipts())
	if cfg.Dir != "" {
		b.openFile()
		b.lookAround()
	}
	b.mu.Lock()
	b.chapter(chapterID{b.cfg.Gateway, b.cfg.Epoch, b.hour})
	b.mu.Unlock()
	return b, nil
}

// Start names this start: the gateway and the epoch, which may be a little more than Config's.
func (b *Book) Start() (gateway string, epoch int64) { return b.cfg.Gateway, b.cfg.Epoch }

// Open returns the account of whose use is counted, which the caller gives back by
// Close when it will count no more. It may wait for the disk, a second at the most
// when that hangs.
func (b *Book) Open(of Of) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.accounts[of]; a != nil {
		a.refs++
		return a
	}
	if b.file != nil && len(b.unused) == 0 {
		b.mu.Unlock()
		b.growSoon()
		b.mu.Lock()
		if a := b.accounts[of]; a != nil {
			a.refs++
			return a
		}
	}
	a := &Account{of: of, book: b, refs: 1}
	b.accounts[of] = a
	b.turn(a, b.hour)
	return a
}

// Close gives an account back. What it has counted stays.
func (b *Book) Close(a *Account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.refs--
}

// turn makes an account count for an hour, on a slot of its own.
func (b *Book) turn(a *Account, hour Hour) {
	line := Line{Hour: hour, Instance: a.of.Instance, Tenant: a.of.Tenant, Plan: a.of.Plan, Pool: a.of.Pool, Part: a.of.Part}
	if a.entry != nil {
		a.entry.used, a.entry.left = false, b.rounds
	}
	a.entry = b.enter(line)
	a.entry.used = true
	a.now.Store(a.entry.slot.counters())
}

// enter finds what this start counts of a line, if it still does (the clock was set
// back), or begins it.
func (b *Book) enter(line Line) *entry {
	ch := b.chapter(chapterID{b.cfg.Gateway, b.cfg.Epoch, line.Hour})
	if e := ch.lines[line]; e != nil && !e.final && !e.used && b.durable(e.slot) {
		return e
	}
	b.part++
	e := &entry{Line: line, Source: Source{Gateway: b.cfg.Gateway, Epoch: b.cfg.Epoch, Part: b.part}, chapter: ch}
	if n := len(b.unused); n > 0 && b.unused[n-1].take(&line, b.part) {
		e.slot, b.unused = b.unused[n-1], b.unused[:n-1]
	} else {
		e.slot = heapSlot()
	}
	b.add(e)
	return e
}

// durable reports whether what is counted in a slot outlives the process.
func (b *Book) durable(s *slot) bool { return b.file == nil || s != nil && s.file == b.file }
