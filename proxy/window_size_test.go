package proxy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// busyBroker takes rate bytes a second, one request after the other, plus base for
// each; producers offer more than that at any time, in pieces.
type busyBroker struct {
	rate  float64
	base  time.Duration
	piece int64
	free  time.Time // when it is done with what it has
}

// serve is when a request that is sent at that time is answered.
func (b *busyBroker) serve(at time.Time) time.Time {
	if b.free.Before(at) {
		b.free = at
	}
	b.free = b.free.Add(time.Duration(float64(b.piece) / b.rate * float64(time.Second)))
	return b.free.Add(b.base)
}

// run keeps the window full, offered bytes at the most, for so long. It returns the
// median answer of the last second and the bytes that were answered in it.
func (b *busyBroker) run(w *windowSize, from time.Time, long time.Duration, offered int64) (last time.Duration, done int64, to time.Time) {
	type request struct{ sent, answered time.Time }
	var flight []request
	for now := from; now.Before(from.Add(long)); {
		for int64(len(flight))*b.piece < offered && (len(flight) == 0 || int64(len(flight)+1)*b.piece <= max(w.size, 1) || w.size == 0) {
			flight = append(flight, request{now, b.serve(now)})
		}
		r := flight[0]
		flight = flight[1:]
		if now = r.answered; now.After(from.Add(long - time.Second)) {
			last, done = now.Sub(r.sent), done+b.piece
		}
		inFlight := int64(len(flight)+1) * b.piece
		w.answered(now, now.Sub(r.sent), inFlight, inFlight < offered, 0)
		to = now
	}
	return last, done, to
}

// TestWindowIsOffWhileTheBrokerIsFast: nobody is held up.
func TestWindowIsOffWhileTheBrokerIsFast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w windowSize
		base := time.Duration(rapid.Int64Range(1e5, 1e9).Draw(t, "base"))
		now := time.Unix(1e9, 0)
		for range 500 {
			took := base + time.Duration(rapid.Int64Range(0, int64(windowSlack)).Draw(t, "more"))
			if w.answered(now, took, 1<<30, false, 0) || w.size != windowOff {
				t.Fatalf("a window of %d at %v beside %v", w.size, took, base)
			}
			now = now.Add(10 * time.Millisecond)
		}
	})
}

// TestWindowFindsTheBrokersRate: beside a broker that is offered too much, the queue
// moves from the broker to the gateway, and the broker stays busy.
func TestWindowFindsTheBrokersRate(t *testing.T) {
	var w windowSize
	b := busyBroker{rate: 50 << 20, base: 2 * time.Millisecond, piece: 64 << 10}
	now := time.Unix(1e9, 0)
	_, _, now = b.run(&w, now, time.Second, 128<<10) // a quiet second tells how fast it can be
	if w.size != windowOff {
		t.Fatalf("a window of %d beside a broker with nothing to do", w.size)
	}
	for minute := range 3 {
		took, done, to := b.run(&w, now, time.Minute, 100<<20) // of which the broker alone would hold two seconds' worth
		now = to
		if took > 100*time.Millisecond {
			t.Errorf("minute %d: answers take %v", minute, took)
		}
		if done < 45<<20 {
			t.Errorf("minute %d: %d MiB in a second, of 50", minute, done>>20)
		}
		t.Logf("minute %d: window %d KiB, answers take %v, %d MiB/s", minute, w.size>>10, took, done>>20)
	}
	b.rate = 10e9 // it has recovered
	_, _, _ = b.run(&w, now, 30*time.Second, 20<<20)
	if w.size < 10<<20 {
		t.Errorf("a window of %d 30 s after the broker has recovered", w.size)
	}
}

// TestWindowNeverBelowLeast: however slow, each active instance has a request on its way.
func TestWindowNeverBelowLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w windowSize
		now, least := time.Unix(1e9, 0), rapid.Int64Range(0, 10<<20).Draw(t, "least")
		w.answered(now, time.Millisecond, 1, false, least)
		for range 300 {
			now = now.Add(time.Duration(rapid.Int64Range(1e6, 5e8).Draw(t, "gap")))
			w.answered(now, time.Duration(rapid.Int64Range(1e5, 1e10).Draw(t, "took")), rapid.Int64Range(0, 1<<30).Draw(t, "flight"), rapid.Bool().Draw(t, "full"), least)
			if w.size < max(windowLeast, least) || w.size > windowMost && w.size != windowOff {
				t.Fatalf("a window of %d, at least %d", w.size, least)
			}
		}
	})
}

func BenchmarkWindowSize(b *testing.B) {
	var w windowSize
	now := time.Unix(1e9, 0)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(10 * time.Microsecond)
		w.answered(now, time.Millisecond, 1<<20, false, 0)
	}
}
