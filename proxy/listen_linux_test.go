package proxy

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// echo answers every connection of one of several sockets on a port.
func echo(t *testing.T, addr string) *listener {
	t.Helper()
	l, err := bind(Listener{Address: addr, ReusePort: true})
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the listener
		for {
			c, err := l.ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l
}

// TestClosingASharedPortResetsNobody closes one of two sockets again and again
// while connections are opened as fast as they can be.
func TestClosingASharedPortResetsNobody(t *testing.T) {
	addr := freePort(t)
	newest := echo(t, addr)
	var stop atomic.Bool
	var opened atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for !stop.Load() {
				if err := once(addr); err != nil {
					t.Error(err)
				}
				opened.Add(1)
			}
		})
	}
	for range 5 {
		old := newest
		newest = echo(t, addr)
		before := opened.Load()
		eventually(t, "both sockets are in use", func() bool { return opened.Load() > before+200 })
		srv := &Server{listeners: []*listener{old}}
		if !srv.deafen() {
			t.Fatal("the port is not shared")
		}
		pause(emptyQueue, nil)
		srv.closeListeners()
	}
	stop.Store(true)
	wg.Wait()
	_ = newest.ln.Close()
	t.Logf("%d connections", opened.Load())
}

func once(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}
