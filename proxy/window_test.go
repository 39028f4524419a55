package proxy

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestWindowHoldsProduce: a Produce waits while as much is on its way to its broker as
// may be, nothing else does, and in the end nothing is on its way.
func TestWindowHoldsProduce(t *testing.T) {
	r := newRig(t)
	cl, other := r.client("a"), r.client("b")
	record := func() *kgo.Record { return &kgo.Record{Topic: "t", Partition: 0, Value: []byte("x")} }
	for _, cl := range []*kgo.Client{cl, other} {
		if err := cl.ProduceSync(t.Context(), record()).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	full := func(n int64) {
		for node := range int32(3) {
			r.srv.windows.of(brokerID{"main", node}).gate.Force(n)
		}
	}
	waiting := func() (n int) {
		for node := range int32(3) {
			n += r.srv.windows.of(brokerID{"main", node}).gate.Waiting()
		}
		return n
	}
	full(windowOff)
	done := make(chan error, 2)
	for _, cl := range []*kgo.Client{cl, other} {
		go func() { done <- cl.ProduceSync(t.Context(), record()).FirstErr() }()
	}
	for waiting() < 2 {
		<-time.After(time.Millisecond)
	}
	if len(done) > 0 {
		t.Error("not held")
	}
	if err := cl.Ping(t.Context()); err != nil {
		t.Errorf("a request that is no Produce: %v", err)
	}
	for node := range int32(3) {
		r.srv.windows.of(brokerID{"main", node}).gate.Release(windowOff)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	cl.Close()
	other.Close()
	r.settled()
	for node := range int32(3) {
		w := r.srv.windows.of(brokerID{"main", node})
		if n := w.gate.InUse(); n != 0 {
			t.Errorf("%d bytes are on their way to node %d", n, node)
		}
	}
}

// TestFlightLandsOnce: however often it is said that a request's answer is there.
func TestFlightLandsOnce(t *testing.T) {
	var all windows
	w := all.of(brokerID{"main", 1})
	w.gate.Force(10)
	f := flight{bytes: 10, sent: time.Now()}
	f.window.Store(w)
	f.landed(true)
	f.landed(false)
	if w.gate.InUse() != 0 || w.size.answers != 1 {
		t.Errorf("%d in use, %d answers", w.gate.InUse(), w.size.answers)
	}
}

func BenchmarkFlight(b *testing.B) {
	var all windows
	w, f := all.of(brokerID{"main", 1}), &flight{bytes: 100}
	b.ReportAllocs()
	for b.Loop() {
		if w.gate.TryAcquire(100) {
			f.begin(w, 100)
			f.landed(true)
		}
	}
}
