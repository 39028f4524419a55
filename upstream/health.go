package upstream

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A broker that failed is probed again after minBackoff, then after twice that
// and so on: a restart is noticed within maxBackoff, and a dead broker costs
// the pool one probe in that time.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 3 * time.Second
)

// BrokerHealth is what the last dials and probes of one broker said.
type BrokerHealth struct {
	Node  int32
	Up    bool
	Since time.Time // when it came up or went down
	Err   error     // why the last attempt failed; nil if up
}

// Health of every broker that metadata lists, in order of node id.
func (p *Pool) Health() []BrokerHealth { return p.health.all() }

// health is what is known of each broker's well-being. Dials may only find
// that a broker is down; only a probe that was answered brings it up again:
// without TLS and SASL a connection alone proves nothing.
type health struct {
	mu    sync.Mutex // never held over I/O
	nodes map[int32]*nodeHealth
}

type nodeHealth struct {
	since time.Time
	err   error // nil: up
	fails int
	retry time.Time // when the monitor probes it again
}

// down returns why a node is down, nil if it is not known to be.
func (h *health) down(node int32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.nodes[node]; n != nil && n.err != nil {
		return fmt.Errorf("broker has been down since %s: %w", n.since.UTC().Format(time.RFC3339), n.err)
	}
	return nil
}

// failed notes a failure and says whether the node was up before. A failure of
// a node that is already down counts only when its probe was due: a hundred
// dials that were under way together are one failure.
func (h *health) failed(node int32, now time.Time, err error) (fell bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.nodes[node]
	if n == nil {
		return false // metadata dropped it meanwhile
	}
	if fell = n.err == nil; fell {
		n.since, n.fails = now, 0
	} else if now.Before(n.retry) {
		return false
	}
	n.err = err
	n.retry = now.Add(min(maxBackoff, minBackoff<<min(n.fails, 10)))
	n.fails++
	return fell
}

// answered notes that a probe was answered and says whether the node was down before.
func (h *health) answered(node int32, now time.Time) (rose bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.nodes[node]
	if n == nil || n.err == nil {
		return false
	}
	*n = nodeHealth{since: now}
	return true
}

// retryAt is when a node that is down is to be probed; ok is false if it is up.
func (h *health) retryAt(node int32) (at time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.nodes[node]; n != nil && n.err != nil {
		return n.retry, true
	}
	return time.Time{}, false
}

// track begins with a clean slate for a node that is new or has moved.
func (h *health) track(node int32, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nodes == nil {
		h.nodes = make(map[int32]*nodeHealth)
	}
	h.nodes[node] = &nodeHealth{since: now}
}

func (h *health) forget(node int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.nodes, node)
}

func (h *health) all() []BrokerHealth {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]BrokerHealth, 0, len(h.nodes))
	for node, n := range h.nodes {
		out = append(out, BrokerHealth{Node: node, Up: n.err == nil, Since: n.since, Err: n.err})
	}
	slices.SortFunc(out, func(a, b BrokerHealth) int { return int(a.Node) - int(b.Node) })
	return out
}

// lastError is why no broker is up, on one line.
func (h *health) lastError() error {
	err := errors.New("none has answered")
	for _, b := range h.all() {
		if b.Err != nil {
			err = fmt.Errorf("%w; %w", err, b.Err)
		}
	}
	return err
}
