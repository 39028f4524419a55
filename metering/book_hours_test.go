package metering

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// Whatever the clock does, and whoever counts while hours change and counts are taken:
// the sum of what is final is what was added, and each source's newest is never less.
func TestSumOfFinals(t *testing.T) {
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{}
		if rapid.Bool().Draw(t, "disk") {
			runs++
			cfg.Dir = fmt.Sprintf("%s/%d", dir, runs)
		}
		clock := &testClock{now: noon}
		b, err := NewBook(Config{Gateway: "a", Dir: cfg.Dir, Now: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		const adders = 3
		var added sync.WaitGroup
		stop := make(chan struct{})
		halt := sync.OnceFunc(func() { close(stop); added.Wait() })
		defer halt()
		totals := make([]int64, adders)
		var adding sync.RWMutex
		tick := func() {
			b.tick(clock.Now())
			// A second is longer than it takes to add.
			adding.Lock()
			adding.Unlock() //nolint:staticcheck // nothing is between
		}
		for i := range adders {
			of := testOf
			of.Instance = "orders" // two of three share one
			if i == 2 {
				of.Instance = "billing"
			}
			added.Go(func() {
				for n := int64(1); ; n++ {
					a := b.Open(of)
					adding.RLock()
					a.Add(Requests, n)
					adding.RUnlock()
					totals[i] += n
					b.Close(a)
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		redis := map[Source]Count{}
		take := func(limit int) {
			counts := b.Take(limit)
			for _, c := range counts {
				was := redis[c.Source]
				if c.Seq <= was.Seq || c.Values[Requests] < was.Values[Requests] || was.Seq > 0 && was.Line != c.Line {
					t.Fatalf("%+v after %+v", c, was)
				}
				redis[c.Source] = c
			}
			if rapid.IntRange(0, 3).Draw(t, "answer is lost") > 0 {
				b.Pushed(counts)
			} else {
				for _, c := range counts { // it is given again, or something newer
					c.Seq--
					redis[c.Source] = c
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"second": func(t *rapid.T) { clock.add(time.Second); tick() },
			"hour":   func(t *rapid.T) { clock.add(time.Hour); tick() },
			"back": func(t *rapid.T) {
				clock.add(-time.Duration(rapid.IntRange(1, 7200).Draw(t, "seconds")) * time.Second)
				tick()
			},
			"disk": func(t *rapid.T) {
				if cfg.Dir != "" {
					b.round(clock.Now())
				}
			},
			"take": func(t *rapid.T) { take(rapid.IntRange(1, 5).Draw(t, "max")) },
		})
		halt()
		b.finish()
		for counts := b.Take(3); len(counts) > 0; counts = b.Take(3) {
			for _, c := range counts {
				redis[c.Source] = c
			}
			b.Pushed(counts)
		}
		var want int64
		for _, n := range totals {
			want += n
		}
		if got := sum(redis)[Requests]; got != want {
			t.Fatalf("%d in Redis, %d were added", got, want)
		}
		for _, c := range redis {
			if !c.Final {
				t.Errorf("%+v is not final", c)
			}
		}
		if b.file != nil {
			unlock(b.file.file)
		}
	})
}

// A clock that is set back over the hour counts for the older hour again: in its slot, if
// that is not final, else in a new part. No hour is counted twice, and nothing is negative.
func TestClockSetBack(t *testing.T) {
	for _, tc := range []struct {
		name  string
		on    time.Duration // past the hour, before it is set back
		parts int           // of the older hour
	}{
		{"at once", 5 * time.Second, 1},
		{"after it was final", 2 * time.Minute, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon.Add(59*time.Minute + 50*time.Second)})
			a := b.Open(testOf)
			redis := map[Source]Count{}
			step := func(d time.Duration) {
				a.Add(Requests, 1)
				b.pass(d)
				b.push(redis)
			}
			step(5 * time.Second)
			step(5*time.Second + tc.on)
			b.clock.add(-tc.on - 5*time.Second)
			step(2 * time.Second)
			step(time.Hour)
			b.pass(time.Minute)
			b.push(redis)
			parts, byHour := map[Hour]int{}, map[Hour]int64{}
			for _, c := range redis {
				for m, n := range c.Values {
					if n < 0 {
						t.Errorf("%s is %d", Meter(m), n)
					}
				}
				if c.Values[Requests] > 0 {
					parts[c.Hour]++
				}
				byHour[c.Hour] += c.Values[Requests]
			}
			if h := HourOf(noon); parts[h] != tc.parts || byHour[h]+byHour[h+1] != 4 || byHour[h] < 2 {
				t.Errorf("%v in %v", parts, byHour)
			}
		})
	}
}

func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 1000 * time.Hour, -1000 * time.Hour} {
		b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon.Add(time.Minute)})
		a := b.Open(testOf)
		redis := map[Source]Count{}
		for range 3 {
			a.Add(Requests, 1)
			b.pass(2 * time.Second)
			b.clock.add(jump)
			jump = -jump
			b.second()
			b.push(redis)
		}
		b.finish()
		b.push(redis)
		if got := sum(redis)[Requests]; got != 3 {
			t.Errorf("jumping %s: %d", -jump, got)
		}
	}
}

// The seconds of sessions are those that they were open, whatever the hours do.
func TestConnectionSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour - 90*time.Second)))
		b, err := NewBook(Config{Gateway: "a"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { b.Run(ctx) })
		a := b.Open(testOf)
		hour := HourOf(time.Now())
		a.Connected(1)
		time.Sleep(30*time.Second + 300*time.Millisecond)
		a.Connected(1) // 59.7 s before the hour
		time.Sleep(90 * time.Second)
		a.Connected(-2)
		time.Sleep(10 * time.Second)
		stop()
		run.Wait()
		byHour := map[Hour]int64{}
		for _, c := range b.Take(10) {
			byHour[c.Hour] += c.Values[ConnectionSeconds]
		}
		// 30.3 + 2 × 59.7 = 149.7 before the hour; 2 × 30.3 = 60.6 after it, and what was over.
		if byHour[hour] != 149 || byHour[hour+1] != 61 {
			t.Errorf("%v", byHour)
		}
	})
}

func TestConnectedNeverNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c connected
		now := noon
		c.open = 3
		c.advance(now)
		var total int64
		for range 20 {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(2*time.Hour), int64(2*time.Hour)).Draw(t, "step")))
			n := int64(0)
			if rapid.Bool().Draw(t, "hour ends") {
				end := now.Add(time.Duration(rapid.Int64Range(-int64(3*time.Hour), int64(time.Hour)).Draw(t, "end")))
				n = c.until(end, now)
			} else {
				n = c.seconds(now)
			}
			if total += n; n < 0 || c.rest < 0 {
				t.Fatalf("%d seconds, and %s", n, c.rest)
			}
		}
	})
}

// What is final is told once, and not before its counts can be taken.
func TestServedAndTold(t *testing.T) {
	b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon.Add(59*time.Minute + 55*time.Second)})
	a := b.Open(testOf)
	a.Add(Requests, 1)
	first := HourOf(noon)
	say := func() string {
		var out []string
		for _, s := range b.Served() {
			out = append(out, fmt.Sprintf("%d %v", s.Hour-first, s.Final))
			if s.Final {
				b.Told(s)
			}
		}
		return strings.Join(out, ", ")
	}
	want := func(what string) {
		t.Helper()
		if got := say(); got != what {
			t.Errorf("%s, want %s", got, what)
		}
	}
	want("0 false")
	b.pass(10 * time.Second)
	want("0 false, 1 false")
	b.pass(30 * time.Second)
	want("0 true, 1 false")
	want("1 false")
	b.pass(10 * time.Second)
	if s := b.spools(0); len(s) != 1 || s[0].sent {
		t.Errorf("%+v", s)
	}
	b.push(map[Source]Count{})
	b.pass(2 * time.Second)
	if s := b.spools(0); len(s) != 1 || !s[0].sent {
		t.Errorf("%+v, after all was pushed and told", s)
	}
	if len(b.entries) != 1 || len(b.chapters) != 1 {
		t.Errorf("%d entries and %d chapters in memory", len(b.entries), len(b.chapters))
	}
}

// Somebody who had the address of a slot when its account left adds to it late: it is
// counted, as long as the slot is not another's.
func TestLateAdder(t *testing.T) {
	b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon.Add(59*time.Minute + 59*time.Second)})
	a := b.Open(testOf)
	late := a.now.Load()
	late[Requests].Add(1)
	// The process was stopped for two minutes, and goes on with everything at once.
	b.clock.add(2 * time.Minute)
	b.second()
	late[Requests].Add(1)
	redis := map[Source]Count{}
	for range quarantine + 1 {
		b.second()
		b.push(redis)
	}
	if got := sum(redis)[Requests]; got != 2 {
		t.Errorf("%d", got)
	}
}
