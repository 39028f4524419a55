package gateway

import (
	"io"
	"net"
	"sync"
)

// relay connects a new in-memory connection with server and keeps what the
// server says until the client reads it, however much that is. net.Pipe keeps
// nothing: a client that writes a long pipeline before it reads, as go-redis
// does, and a server that answers the first command before it reads the last
// would wait for each other for ever. group waits for the goroutines, which end
// with either end.
func relay(server net.Conn, group *sync.WaitGroup) (client net.Conn) {
	client, inner := net.Pipe()
	said := &backlog{}
	said.grown.L = &said.mu
	shut := func() {
		said.close()
		_ = inner.Close()
		_ = server.Close()
	}
	move := func(to io.Writer, from io.Reader, end func()) {
		defer end()
		_, _ = io.Copy(to, from) // an error is one end's way to end; the other sees it closed
	}
	group.Go(func() { move(server, inner, shut) })
	group.Go(func() { move(said, server, said.close) })
	group.Go(func() { move(inner, said, shut) })
	return client
}

// backlog is a pipe without an end to its patience: Write never waits.
type backlog struct {
	mu     sync.Mutex
	grown  sync.Cond
	bytes  []byte
	closed bool
}

func (b *backlog) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes = append(b.bytes, p...)
	b.grown.Signal()
	return len(p), nil
}

// Read returns what was written, io.EOF once that is all and close was called.
func (b *backlog) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.bytes) == 0 {
		if b.closed {
			return 0, io.EOF
		}
		b.grown.Wait()
	}
	n := copy(p, b.bytes)
	b.bytes = b.bytes[n:]
	return n, nil
}

func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.grown.Signal()
}
