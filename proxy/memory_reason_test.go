package proxy

import (
	"bytes"
	"testing"

	"weir/proxy/wire"
	"weir/upstream"
)

// Who is closed because there is no memory for an answer is told from who has lost
// the broker: the one is cured by limits.memory, the other is not.
func TestNoMemoryForAnAnswerIsNoLostBroker(t *testing.T) {
	frame := append([]byte{0, 0, 1, 0}, make([]byte, 256)...)
	l := &link{conn: &upstream.Conn{Node: 1}, in: wire.NewReader(bytes.NewReader(frame))}
	l.in.Grow = func(int) error { return closef(reasonOverloaded, "no memory") }
	c := &conn{link: l, queue: []*pending{{}}}
	if reason, _ := reasonOf(c.answers(l)); reason != reasonOverloaded {
		t.Errorf("closed for %q, want %q", reason, reasonOverloaded)
	}
}
