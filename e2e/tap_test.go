//go:build real

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"weir/internal/parts"
)

// tap sees every decrypted byte that the gateway sends to a client and looks
// for what must never be there. The records of the stories contain none of it,
// so record bytes need not be told apart.
type tap struct {
	t      *testing.T
	w      *world
	never  []string
	mu     sync.Mutex
	bytes  int
	leaks  int
	conns  int
	window int // longest of never, less one: a name may be cut by two reads
}

// newTap looks for physical names, broker addresses, the pool's cluster id, and
// for what only the other instance has (canaries).
func newTap(w *world, canaries ...string) *tap {
	never := append([]string{"i-left.", "i-right.", parts.ClusterID}, canaries...)
	for node := 1; node <= 3; node++ {
		never = append(never, parts.Host(node))
		_, port, _ := net.SplitHostPort(w.kafka.Addr(node))
		never = append(never, ":"+port)
		n, _ := strconv.Atoi(port)
		never = append(never, string([]byte{0, 0, byte(n >> 8), byte(n)})+"\x00\x06zone") // port i32, then the rack
	}
	x := &tap{t: w.t, w: w, never: never}
	for _, s := range never {
		x.window = max(x.window, len(s)-1)
	}
	return x
}

// dial is for kgo.Dialer.
func (x *tap) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(addr)
	d := tls.Dialer{Config: &tls.Config{RootCAs: x.w.roots, ServerName: host, MinVersion: tls.VersionTLS12}}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.conns++
	x.mu.Unlock()
	return &tapped{Conn: c, tap: x}, nil
}

type tapped struct {
	net.Conn
	tap  *tap
	last []byte
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.tap.look(append(c.last, p[:n]...), n)
	c.last = append(c.last, p[:n]...)
	c.last = append([]byte(nil), c.last[max(0, len(c.last)-c.tap.window):]...)
	return n, err
}

func (x *tap) look(seen []byte, fresh int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.bytes += fresh
	for _, s := range x.never {
		if at := bytes.Index(seen, []byte(s)); at >= 0 && at+len(s) > len(seen)-fresh {
			x.leaks++
			x.t.Errorf("the gateway sent %q, in %q", s, around(seen, at, len(s)))
		}
	}
}

func around(b []byte, at, n int) string {
	return strings.ToValidUTF8(string(b[max(0, at-60):min(len(b), at+n+60)]), ".")
}
