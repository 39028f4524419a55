package metering

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// finalAfter is how long after its end an hour is final: what was under way then has
	// long been counted, and gateways whose clocks differ a little agree which hours are over.
	finalAfter = 30 * time.Second
	// quarantine is how many rounds a slot is kept from its next use, and from being final,
	// once its account has left it: a goroutine that had its address at that moment has
	// added to it by then. Rounds, not seconds: a process that was stopped for long
	// goes on in the same instant with everything.
	quarantine = 3
	// lastGrace is how long a stop waits for the disk. What it does not take is in the
	// file of counters.
	lastGrace = 10 * time.Second
	// tickEvery is how often hours and seconds are looked at.
	tickEvery = time.Second
	// told chapters are remembered for so long, for nobody asks for older ones.
	chaptersKept = 48
)

// Run turns the hours, counts the seconds of sessions, and keeps the counters and the
// spool on disk, until the context ends: then all is final at once. Nothing must be
// counted after that; Take and Pushed go on working. Once.
func (b *Book) Run(ctx context.Context) error {
	var disk sync.WaitGroup
	if b.cfg.Dir != "" {
		disk.Go(func() { b.keep(ctx) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			b.finish()
			if b.cfg.Dir != "" {
				b.last(&disk)
			}
			return nil
		case <-timer.C:
		}
		now := b.cfg.Now()
		b.tick(now)
		b.watch(now)
		// The hour's end is met to the millisecond, the rest every second.
		timer.Reset(max(time.Millisecond, min(tickEvery, HourOf(now).End().Sub(now))))
	}
}

// tick does what is due now. None of it waits for a disk.
func (b *Book) tick(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return
	}
	b.rounds++
	if hour := HourOf(now); hour != b.hour {
		b.turnAll(hour, now)
	}
	for _, a := range b.accounts {
		if n := a.connected.seconds(now); n > 0 {
			a.Add(ConnectionSeconds, n)
		}
		if !b.durable(a.entry.slot) && len(b.unused) > 0 {
			b.turn(a, b.hour)
		}
	}
	for _, e := range b.entries {
		if !e.final && !e.used && b.rounds-e.left >= quarantine && now.Sub(e.Hour.End()) >= finalAfter {
			e.final = true
		}
	}
	b.sweep()
	b.forget(now)
}

// turnAll goes over to another hour: the next, or an older one if the clock was set back.
func (b *Book) turnAll(hour Hour, now time.Time) {
	for of, a := range b.accounts {
		a.Add(ConnectionSeconds, a.connected.until(b.hour.End(), now))
		if a.refs <= 0 {
			a.entry.used, a.entry.left = false, b.rounds
			delete(b.accounts, of)
			continue
		}
		b.turn(a, hour)
	}
	b.hour = hour
	b.chapter(chapterID{b.cfg.Gateway, b.cfg.Epoch, hour})
}

// forget lets go of chapters that are over and told of, or long ago.
func (b *Book) forget(now time.Time) {
	old := HourOf(now) - chaptersKept
	for id, ch := range b.chapters {
		over := len(ch.parts) == 0 && !ch.owed && !ch.unsent && id.hour != b.hour
		if over && (ch.told && len(ch.kept) == 0 || id.hour < old) {
			delete(b.chapters, id)
		}
	}
}

// last brings what is final to the spool, if the disk answers.
func (b *Book) last(keeping *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { // outlives Run if the disk hangs: nobody can end that
		defer close(done)
		keeping.Wait()
		b.alarm(b.cfg.Now(), errors.Join(b.trouble(), b.flush()))
	}()
	patience := time.NewTimer(lastGrace)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		b.alarm(b.cfg.Now(), errHangs)
	}
}

// finish makes all final at once.
func (b *Book) finish() {
	now := b.cfg.Now()
	b.tick(now)
	b.mu.Lock()
	for _, a := range b.accounts {
		a.Add(ConnectionSeconds, a.connected.seconds(now))
	}
	for _, e := range b.entries {
		e.final = true
	}
	b.finished = true
	b.mu.Unlock()
}
