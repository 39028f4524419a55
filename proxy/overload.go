package proxy

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// Steps of overload, by what part of the budget is used (operations.md A.2 rule 4).
const (
	stepShrink = 1 // buffers are not kept
	stepHold   = 2 // Produce bodies and Fetch requests wait, by shares
	stepRefuse = 3 // no TLS handshake begins
	stepClose  = 4 // who holds most, of the instance most above its share, is closed
)

const (
	// stepHysteresis is by how much the use must be below a step's begin for its end.
	stepHysteresis = 0.05
	// relieveEvery is how often it is looked who is to be closed.
	relieveEvery = 50 * time.Millisecond
	// stuckAfter is after how long in which nobody who waits was let in somebody is
	// closed: those who hold the memory may be waiting for more of it themselves.
	stuckAfter = time.Second
)

var stepsUp = [...]float64{0.75, 0.85, 0.92, 0.97} //nolint:gochecknoglobals // read-only table

// stepOf is the step that follows a step at a use of the budget, 0 to 1 and more.
func stepOf(step int32, use float64) int32 {
	for int(step) < len(stepsUp) && use >= stepsUp[step] {
		step++
	}
	for step > 0 && use < stepsUp[step-1]-stepHysteresis {
		step--
	}
	return step
}

// look changes the step if the use has crossed one of its bounds.
func (m *memory) look() {
	if used := m.used(); used >= m.up.Load() || used < m.down.Load() {
		m.stepping.Lock()
		defer m.stepping.Unlock()
		m.setStep(stepOf(m.step.Load(), float64(m.used())/float64(m.budget)))
	}
}

// setStep puts a step and its bounds in force. stepping is held.
func (m *memory) setStep(step int32) {
	up, down := int64(math.MaxInt64), int64(math.MinInt64)
	if int(step) < len(stepsUp) {
		up = int64(stepsUp[step] * float64(m.budget))
	}
	if step > 0 {
		down = int64((stepsUp[step-1] - stepHysteresis) * float64(m.budget))
	}
	m.up.Store(up)
	m.down.Store(down)
	if m.step.Swap(step) != step {
		m.wake()
	}
}

// tight reports whether buffers are not to be kept.
func (m *memory) tight() bool { return m.step.Load() >= stepShrink }

// short reports whether what is large has to wait: from stepHold on, or because others
// do already, whose pieces do not fit below it.
func (m *memory) short() bool { return m.step.Load() >= stepHold || m.gate.Waiting() > 0 }

// refuse says why no new connection is let in; nil if it is.
func (m *memory) refuse() error {
	if m.step.Load() < stepRefuse {
		return nil
	}
	return closef(reasonOverloaded, "%d of %d bytes of memory are in use", m.used(), m.budget)
}

// wake lets run look whether something is to be done. It does not block.
func (m *memory) wake() {
	select {
	case m.busy <- struct{}{}:
	default:
	}
}

// observed shows the memory in metrics.
func (m *memory) observed(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	reg.MustRegister(
		gauge("weir_overload_stage", "How short memory is: 0 not, 1 buffers are not kept, 2 Produce and Fetch wait by shares, 3 no new connections, 4 the largest are closed.",
			func() float64 { return float64(m.step.Load()) }),
		gauge("weir_memory_bytes", "Bytes of memory that requests and answers take at this moment.", func() float64 { return float64(m.used()) }),
		gauge("weir_memory_budget_bytes", "Bytes of memory that requests and answers may take: limits.memory.", func() float64 { return float64(m.budget) }),
	)
}

// run relieves the memory while it is short, until ctx ends.
func (m *memory) run(ctx context.Context, conns *registry) {
	r := relief{memory: m, conns: conns}
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.busy:
			r.run(ctx)
		}
	}
}

// relief is one stretch of time in which memory is short, or somebody waits for it.
type relief struct {
	*memory
	conns    *registry
	logged   int32     // the step that the log knows
	loggedAt time.Time // since when
	rested   time.Time // when idle buffers were last asked for
	admitted int64     // as the gate says
	moved    time.Time // when that last changed, or nobody waited
	victim   *conn     // that was closed last
	closedAt time.Time // when
}

func (r *relief) run(ctx context.Context) {
	tick := time.NewTicker(relieveEvery)
	defer tick.Stop()
	r.moved = time.Now()
	for {
		r.relieve(time.Now())
		if r.memory.step.Load() == 0 && r.gate.Waiting() == 0 && r.logged == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// relieve does what is due.
func (r *relief) relieve(now time.Time) {
	r.tell(now)
	if r.tight() && now.Sub(r.rested) >= stuckAfter {
		r.rested = now
		r.conns.each(func(c *conn) { c.rest(now) })
	}
	if n := r.gate.Admitted(); n != r.admitted || r.gate.Waiting() == 0 {
		r.admitted, r.moved = n, now
	}
	if r.memory.step.Load() >= stepClose || now.Sub(r.moved) >= stuckAfter {
		r.closeLargest(now)
	}
}

// tell logs a change of the step: at most one a second.
func (r *relief) tell(now time.Time) {
	is := r.memory.step.Load()
	if is == r.logged || now.Sub(r.loggedAt) < time.Second {
		return
	}
	attrs := []any{"stage", is, "was", r.logged, "bytes", r.used(), "budget", r.budget}
	if is > r.logged {
		r.log.Warn("memory is short", append(attrs, "fix", "raise limits.memory, or add gateways: docs/overload.md")...)
	} else {
		r.log.Info("memory is less short", attrs...)
	}
	r.logged, r.loggedAt = is, now
}

// closeLargest closes the connection that holds most of the instance that is most
// above its share, and no other before that one's memory is back.
func (r *relief) closeLargest(now time.Time) {
	if r.victim != nil && r.victim.mem.used.Load() > 0 && now.Sub(r.closedAt) < stuckAfter {
		return
	}
	r.victim = nil
	most := int64(0)
	r.conns.ofInstance(r.mostAbove(now), func(c *conn) {
		if n := c.mem.used.Load(); n > most && !c.closing() {
			r.victim, most = c, n
		}
	})
	if r.victim == nil {
		return
	}
	r.moved, r.closedAt = now, now
	err := closef(reasonOverloaded, "held %d bytes, the most of an instance above its share, with %d of %d in use", most, r.used(), r.budget)
	r.victim.close(err)
}

// mostAbove is the instance that holds most above its share.
func (m *memory) mostAbove(now time.Time) (id tenancy.InstanceID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reweighLocked(now)
	worst := int64(math.MinInt64)
	for _, h := range m.holdings {
		if above := h.used.Load() - m.shareLocked(h); above > worst && h.active() && h.id != "" {
			id, worst = h.id, above
		}
	}
	return id
}
