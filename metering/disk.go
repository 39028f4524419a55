package metering

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// spare is how many slots are free beyond one for each account, which the next hour takes.
	spare = 256
	// growWait is how long an Open waits for slots that somebody else makes.
	growWait = time.Second
	// hangs is how long a round of the disk may take before it is called an alarm.
	hangs = 30 * time.Second
	// alarmAgain is how often an alarm that stands is told.
	alarmAgain = 10 * time.Minute
)

// disk is what the book's folder is known to be. The lock is held by who writes to the spool.
type disk struct {
	sync.Mutex
	rounds int64

	files sync.Mutex // who has it writes a file of the spool, or reads one

	told    sync.Mutex // has the rest
	began   time.Time  // the round that is under way; zero: none
	trouble string
	since   time.Time
	said    time.Time
	damaged map[string]bool // files that were told of
}

// openFile makes this start's file.
func (b *Book) openFile() {
	if !canMap {
		return
	}
	var err error
	for range 1000 {
		var c *counterFile
		c, err = newCounterFile(b.cfg.Dir, b.cfg.Gateway, b.cfg.Epoch, b.cfg.allocate)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, errAlive) {
			b.cfg.Epoch++
			continue
		}
		if err == nil {
			b.use(c)
		}
		break
	}
	b.fileErr = err
	if err == nil {
		b.grow(1)
	}
	b.alarm(b.cfg.Now(), b.trouble())
}

// use makes a new file the one that is counted in; accounts go over to it in the next round.
func (b *Book) use(c *counterFile) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receipts.Load().copyTo(c.receipts)
	b.receipts.Store(c.receipts)
	b.file, b.unused, b.places = c, nil, nil
}

// growSoon makes a slot free, and waits for that for a second at the most: a disk that
// hangs holds up no session.
func (b *Book) growSoon() {
	done := make(chan struct{})
	go func() { // outlives this if the disk hangs: nobody can end that
		defer close(done)
		b.grow(1)
	}()
	patience := time.NewTimer(growWait)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
}

// grow makes so many slots free, if the disk gives them: in its own time. For somebody
// else who does it waits for a second at the most.
func (b *Book) grow(want int) {
	wait := time.NewTimer(growWait)
	defer wait.Stop()
	select {
	case b.growing <- struct{}{}:
		defer func() { <-b.growing }()
	case <-wait.C:
		return
	}
	for {
		b.mu.Lock()
		file, enough := b.file, len(b.unused) >= want
		if file != nil && enough {
			b.fileErr = nil
		}
		b.mu.Unlock()
		if file == nil || enough {
			return
		}
		slots, err := file.grow()
		b.mu.Lock()
		b.fileErr = err
		if file == b.file {
			b.unused = append(b.unused, slots...)
		}
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// keep does a round every second.
func (b *Book) keep(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		b.round(b.cfg.Now())
		timer.Reset(tickEvery)
	}
}

// round brings file and spool up to date. It may wait for the disk for as long as that takes.
func (b *Book) round(now time.Time) {
	b.disk.told.Lock()
	b.disk.began = now
	b.disk.told.Unlock()
	if b.disk.rounds++; b.disk.rounds%60 == 0 {
		b.lookAround()
	}
	b.reopen()
	b.mu.Lock()
	file, want := b.file, len(b.accounts)+spare
	var mapped [][]byte
	b.mu.Unlock()
	var err error
	if file != nil {
		b.grow(want)
		b.growing <- struct{}{}
		mapped = append(mapped, file.mapped...)
		<-b.growing
		err = file.sync(mapped)
	}
	err = errors.Join(b.trouble(), err, b.flush())
	b.send()
	b.owe()
	b.settle(now)
	if b.disk.rounds%3600 == 1 {
		b.expire(now)
	}
	b.disk.told.Lock()
	b.disk.began = time.Time{}
	b.disk.told.Unlock()
	b.alarm(now, err)
	b.measure()
}

// reopen makes a new file if there is none, or if somebody has taken it away.
func (b *Book) reopen() {
	b.mu.Lock()
	file := b.file
	b.mu.Unlock()
	if !canMap || file != nil && file.there() {
		return
	}
	c, err := newCounterFile(b.cfg.Dir, b.cfg.Gateway, b.cfg.Epoch, b.cfg.allocate)
	if err == nil {
		b.use(c)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fileErr = err; err != nil && file != nil {
		// What is counted stays in the file that has no name, and in Redis.
		b.file, b.unused, b.places = nil, nil, nil
	}
}

// trouble is why what is counted would not outlive the process.
func (b *Book) trouble() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fileErr
}

// alarm tells what is wrong with the disk, and that it is well again.
func (b *Book) alarm(now time.Time, err error) {
	d := &b.disk
	d.told.Lock()
	defer d.told.Unlock()
	if err == nil {
		if d.trouble != "" {
			b.cfg.Log.Info("usage is kept on disk again", "dir", b.cfg.Dir, "after", now.Sub(d.since))
		}
		d.trouble, d.since, d.said = "", time.Time{}, time.Time{}
		return
	}
	if d.trouble == "" {
		d.since = now
	}
	d.trouble = firstLine(err)
	if d.said.IsZero() || now.Sub(d.said) >= alarmAgain {
		d.said = now
		b.cfg.Log.Error("usage is not kept on disk", "dir", b.cfg.Dir, "since", d.since.UTC(), "error", d.trouble,
			"fix", "see that the folder of metering.dir exists, can be written and has room: until then what redis does not have ends with this process")
	}
}

var errHangs = errors.New("the disk does not answer")

// watch raises the alarm for a disk that hangs.
func (b *Book) watch(now time.Time) {
	if b.hangs(now) {
		b.alarm(now, errHangs)
	}
}

func (b *Book) hangs(now time.Time) bool {
	b.disk.told.Lock()
	defer b.disk.told.Unlock()
	return !b.disk.began.IsZero() && now.Sub(b.disk.began) > hangs
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// bookMetrics are of this machine.
type bookMetrics struct {
	spool, onDisk prometheus.Gauge
	damaged       prometheus.Counter
	undoubted     prometheus.Counter
}

func newBookMetrics(r prometheus.Registerer) *bookMetrics {
	m := &bookMetrics{
		spool:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_usage_spool_bytes", Help: "Size of the final counts on this gateway's disk."}),
		onDisk:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_usage_on_disk", Help: "1 while all that is counted outlives the process, 0 while some is in memory only."}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_usage_damaged_total", Help: "Files of counts that were damaged, and set aside."}),
		undoubted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_usage_undoubted_total", Help: "Repeated batches that were counted for good, because there were too many to ask others about: some may be billed twice.",
		}),
	}
	if r != nil {
		r.MustRegister(m.spool, m.onDisk, m.damaged, m.undoubted)
	}
	return m
}

// measure brings the gauges up to date.
func (b *Book) measure() {
	var bytes int64
	names, _ := os.ReadDir(filepath.Join(b.cfg.Dir, spoolFolder))
	for _, n := range names {
		if info, err := n.Info(); err == nil {
			bytes += info.Size()
		}
	}
	b.metrics.spool.Set(float64(bytes))

	b.disk.told.Lock()
	safe := b.disk.trouble == ""
	b.disk.told.Unlock()
	b.mu.Lock()
	for _, a := range b.accounts {
		safe = safe && b.file != nil && a.entry.slot.file == b.file
	}
	b.mu.Unlock()
	on := 0.0
	if safe {
		on = 1
	}
	b.metrics.onDisk.Set(on)
}
