//go:build real

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

// TestRemoval takes every kind of right away while clients use it, again
// and again, under the load of another instance: how long until all connections of who
// has lost it are closed, counted from when the REST request is sent. The others
// see no error.
func TestRemoval(t *testing.T) {
	d := newDoors(t)
	load := d.startLoad()
	for _, door := range d.all() {
		t.Run(door.name, func(t *testing.T) { d.measure(t, door) })
	}
	produced, failed := load()
	t.Logf("meanwhile the others produced %d records, %d failed", produced, failed)
	if failed > 0 || produced == 0 {
		t.Errorf("the others produced %d records, %d failed", produced, failed)
	}
}

// door is one way into an instance.
type door struct {
	name string
	// open lets clients in, and returns how the next one connects.
	open func(t *testing.T, round int) []kgo.Opt
	// shut takes the right away: one REST request.
	shut func(t *testing.T, round int)
}

// doors are all ways into the instance d.in.
type doors struct {
	*world
	gateway *gateway
	in      instance
	other   instance
	closed  *closings
	path    string // of the instance's routes

	authority *authority // of client certificates, and of the host name's
	keys      *tokenKeys
}

func newDoors(t *testing.T) *doors {
	w := newWorldOn(t, parts.StartKafka(t, 1))
	d := &doors{world: w, closed: newClosings(), path: "/v1/instances/i-doors"}
	d.authority, d.keys = newAuthority(t), newTokenKeys(t)
	w.more = "secrets: {key_files: [seal.key]}"
	w.auth = fmt.Sprintf(`, issuers: [{url: "%s", private: [127.0.0.0/8]}]`, d.keys.url)
	w.write("seal.key", []byte(strings.Repeat("s", 32)))
	d.gateway = w.start("g1")
	d.in, d.other = w.create(d.gateway, "i-doors"), w.create(d.gateway, "i-others")
	w.createTopic(w.client(d.in), "doors", 1)
	w.createTopic(w.client(d.other), "load", 4)
	return d
}

// startLoad produces to another instance until the returned function is called.
func (d *doors) startLoad() (stop func() (produced, failed int64)) {
	d.t.Helper()
	var ok, bad atomic.Int64
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan struct{})
	clients := 4
	for range clients {
		cl := d.client(d.other)
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				err := cl.ProduceSync(ctx, &kgo.Record{Topic: "load", Value: make([]byte, 1000)}).FirstErr()
				select { // a load, not the limit
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond):
				}
				switch {
				case err == nil:
					ok.Add(1)
				case ctx.Err() == nil:
					bad.Add(1)
				}
			}
		}()
	}
	return func() (int64, int64) {
		cancel()
		for range clients {
			<-done
		}
		return ok.Load(), bad.Load()
	}
}

// measure opens and shuts one door.
func (d *doors) measure(t *testing.T, door door) {
	var took []time.Duration
	for round := range *times {
		cl, err := kgo.NewClient(append([]kgo.Opt{kgo.RetryTimeout(10 * time.Second), kgo.ConsumeTopics("doors")}, door.open(t, round)...)...)
		if err != nil {
			t.Fatal(err)
		}
		keepPolling(cl)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "doors", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatalf("round %d: with the right to: %v", round, err)
		}
		cancel()
		open := d.closed.await(t, 0)
		begin := time.Now()
		door.shut(t, round)
		answered := time.Since(begin)
		last, err := d.closed.after(t.Context(), 0, open)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		took = append(took, last.Sub(begin))
		cl.Close()
		d.closed.forget()
		if round == 0 {
			t.Logf("%d connections; REST answered after %v", len(open), answered)
		}
	}
	slices.Sort(took)
	t.Logf("%-22s p50 %6v  max of %d %6v", door.name, took[len(took)/2].Round(100*time.Microsecond), len(took), took[len(took)-1].Round(100*time.Microsecond))
	if took[len(took)-1] > tooLong { // 100 ms is the aim
		t.Errorf("the slowest took %v", took[len(took)-1])
	}
}

// ask is one REST call on the instance.
func (d *doors) ask(t *testing.T, method, route, body string, want ...int) []byte {
	t.Helper()
	status, text, err := d.rest(d.gateway, method, d.path+route, body)
	if err != nil || !slices.Contains(append(want, http.StatusOK), status) {
		t.Fatalf("%s %s: %d %v\n%s", method, route, status, err, text)
	}
	return text
}

// replace puts a whole set.
func (d *doors) replace(t *testing.T, route, body string) {
	t.Helper()
	status, text, err := d.put(d.gateway, d.path+route, body)
	if err != nil || status != http.StatusOK {
		t.Fatalf("PUT %s: %d %v\n%s", route, status, err, text)
	}
}

// name of what is made in one round.
func name(kind string, round int) string { return fmt.Sprintf("%s%d", kind, round) }
