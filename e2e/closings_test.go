//go:build real

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

// closings knows which connections have ended, and when.
type closings struct {
	mu      sync.Mutex
	changed chan struct{}
	conns   map[*watched]time.Time // zero: open
}

func newClosings() *closings {
	return &closings{changed: make(chan struct{}), conns: map[*watched]time.Time{}}
}

// watched is one connection of a client of an instance.
type watched struct {
	net.Conn
	target  int
	of      *closings
	reading atomic.Int32
}

func (c *closings) watch(target int, conn net.Conn) net.Conn {
	w := &watched{Conn: conn, target: target, of: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns[w] = time.Time{}
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	w.reading.Add(1)
	n, err := w.Conn.Read(p)
	w.reading.Add(-1)
	if err != nil {
		w.of.ended(w)
	}
	return n, err
}

func (w *watched) Close() error {
	w.of.ended(w)
	return w.Conn.Close()
}

func (c *closings) ended(w *watched) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns[w].IsZero() {
		c.conns[w] = time.Now()
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// open are the connections of one target that have not ended and that somebody is
// reading from: franz-go reads while it waits for an answer, a long poll mostly.
func (c *closings) open(target int) []*watched {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*watched
	for w, end := range c.conns {
		if w.target == target && end.IsZero() && w.reading.Load() > 0 {
			all = append(all, w)
		}
	}
	return all
}

// await waits until a connection of the target waits for an answer.
func (c *closings) await(t *testing.T, target int) (open []*watched) {
	t.Helper()
	parts.Await(t, "a long poll is under way", 10*time.Second, func() bool {
		open = c.open(target)
		return len(open) > 0
	})
	return open
}

// keepPolling lets a client fetch all the time, until it is closed.
func keepPolling(cl *kgo.Client) {
	go func() {
		for !cl.PollFetches(context.Background()).IsClientClosed() { //nolint:revive // the fetching is what counts
		}
	}()
}

// forget forgets all connections.
func (c *closings) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.conns)
}

// after waits until those have ended, and returns when the last one did.
func (c *closings) after(ctx context.Context, target int, open []*watched) (last time.Time, err error) {
	if len(open) == 0 {
		return last, errors.New("no connection was open")
	}
	for {
		c.mu.Lock()
		left := 0
		for _, w := range open {
			if end := c.conns[w]; end.IsZero() {
				left++
			} else if end.After(last) {
				last = end
			}
		}
		changed := c.changed
		c.mu.Unlock()
		if left == 0 {
			return last, nil
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			return last, fmt.Errorf("%d of %d connections to instance %d are open after 20 s", left, len(open), target)
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}
