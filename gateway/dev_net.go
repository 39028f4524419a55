package gateway

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// embeddedDomain is where the embedded brokers seem to live. It exists nowhere:
// RFC 6762 and ICANN keep .internal for private use.
const embeddedDomain = ".weir.internal"

// memoryNet is a network within this process: the embedded brokers listen on
// it, and no port of the machine is open for them, because they ask nobody for
// a password and believe every announced length. Its zero value is ready. Any
// goroutine.
type memoryNet struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener // by host:port
}

// Listen is kfake.ListenFn. The host that is asked for (kfake's 127.0.0.1) is
// replaced by a name of the port's own, so that a leaked address is seen for
// what it is.
func (n *memoryNet) Listen(_, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &memoryListener{
		net: n, addr: memoryAddr("kafka-" + port + embeddedDomain + ":" + port),
		conns: make(chan net.Conn), closed: make(chan struct{}),
	}
	if _, taken := n.listeners[l.addr.String()]; taken {
		return nil, fmt.Errorf("%s is listened on already", l.addr)
	}
	if n.listeners == nil {
		n.listeners = make(map[string]*memoryListener)
	}
	n.listeners[l.addr.String()] = l
	return l, nil
}

// DialContext is upstream.Config.Dial.
func (n *memoryNet) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("nobody listens on %s", address)
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type memoryListener struct {
	net    *memoryNet
	addr   memoryAddr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr.String())
		l.net.mu.Unlock()
	})
	return nil
}

func (l *memoryListener) Addr() net.Addr { return l.addr }

type memoryAddr string

func (a memoryAddr) Network() string { return "memory" }
func (a memoryAddr) String() string  { return string(a) }
