package upstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// minRefreshInterval is the least time between two refreshes that callers ask
// for: metadata of a Kafka cluster takes about that long to spread anyway.
const minRefreshInterval = time.Second

// bootstrap is the node id under which the monitor keeps the addresses of Config.Bootstrap.
const bootstrap int32 = -2

// monitor questions the brokers and publishes what they say. One goroutine
// runs it and owns every field; a probe is a goroutine of its own that sends
// back one answer, so that a silent broker delays only what concerns itself.
type monitor struct {
	p       *Pool
	answers chan answer
	probes  sync.WaitGroup

	brokers    map[int32]*member
	clusterID  string
	controller int32

	// round grows with each refresh that callers asked for; waiting are those
	// of the newest, which an answer to a probe of that round releases.
	round     int
	roundAt   time.Time
	waiting   []chan struct{}
	isReady   bool
	seedAt    time.Time // when the bootstrap addresses may be asked again
	seedWait  time.Duration
	seedsOpen int // probes of bootstrap addresses under way
}

// member is one broker in the monitor's eyes.
type member struct {
	Broker
	api     *kmsg.ApiVersionsResponse // last answer; nil if there was none
	tried   bool                      // a probe has ended, well or not
	probing bool
	due     time.Time // next regular probe
}

// answer is what came of one probe.
type answer struct {
	node  int32 // bootstrap for an address of the configuration
	addr  string
	round int
	api   *kmsg.ApiVersionsResponse
	meta  *kmsg.MetadataResponse
	err   error
}

func newMonitor(p *Pool) *monitor {
	return &monitor{
		p:          p,
		answers:    make(chan answer),
		brokers:    make(map[int32]*member),
		controller: -1,
	}
}

func (m *monitor) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer m.probes.Wait()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.p.wake:
		case a := <-m.answers:
			m.apply(a, time.Now())
		}
		now := time.Now()
		m.startRound(now)
		m.probeDue(ctx, now)
		timer.Reset(m.nextLook(now).Sub(now))
	}
}

// startRound makes every broker due if somebody waits for fresh metadata.
func (m *monitor) startRound(now time.Time) {
	if now.Sub(m.roundAt) < minRefreshInterval {
		return
	}
	fresh := m.p.takeFresh()
	if fresh == nil {
		return
	}
	m.round++
	m.roundAt = now
	m.waiting = append(m.waiting, fresh)
	for _, b := range m.brokers {
		b.due = now
	}
}

// probeDue starts a probe of every broker whose time has come, and of the
// bootstrap addresses when no broker is up.
func (m *monitor) probeDue(ctx context.Context, now time.Time) {
	up := false
	for node, b := range m.brokers {
		at, down := m.p.health.retryAt(node)
		up = up || !down
		if !down {
			at = b.due
		}
		if !b.probing && !now.Before(at) {
			b.probing = true
			m.probe(ctx, node, b.addr())
		}
	}
	if up || m.seedsOpen > 0 || now.Before(m.seedAt) {
		return
	}
	m.seedWait = min(maxBackoff, max(minBackoff, 2*m.seedWait))
	m.seedAt = now.Add(m.seedWait)
	for _, addr := range m.p.cfg.Bootstrap {
		m.seedsOpen++
		m.probe(ctx, bootstrap, addr)
	}
}

// nextLook is when the monitor has something to do if nothing happens before.
func (m *monitor) nextLook(now time.Time) time.Time {
	next := now.Add(m.p.cfg.MetadataMaxAge)
	if m.p.refreshWanted() {
		next = m.roundAt.Add(minRefreshInterval)
	}
	up := false
	for node, b := range m.brokers {
		at, down := m.p.health.retryAt(node)
		up = up || !down
		if !down {
			at = b.due
		}
		if !b.probing && at.Before(next) {
			next = at
		}
	}
	if !up && m.seedsOpen == 0 && m.seedAt.Before(next) {
		next = m.seedAt
	}
	return next
}

// probe asks one address in the background.
func (m *monitor) probe(ctx context.Context, node int32, addr string) {
	a := answer{node: node, addr: addr, round: m.round}
	m.probes.Go(func() {
		a.api, a.meta, a.err = m.p.question(ctx, addr)
		select {
		case m.answers <- a:
		case <-ctx.Done():
		}
	})
}

// apply takes in what one probe found.
func (m *monitor) apply(a answer, now time.Time) {
	if a.node == bootstrap {
		m.applySeed(a, now)
		return
	}
	b := m.brokers[a.node]
	if b == nil || b.addr() != a.addr {
		return // gone or moved while it was asked
	}
	b.probing, b.tried = false, true
	if a.err != nil {
		b.due = now.Add(m.p.cfg.MetadataMaxAge)
		m.p.blame(a.node, a.err)
	} else {
		b.api = a.api
		b.due = now.Add(m.p.cfg.MetadataMaxAge)
		if m.p.health.answered(a.node, now) {
			m.p.cfg.Log.Info("broker is up again", "node", a.node)
		}
		m.applyMetadata(a, now)
	}
	if a.round < m.round {
		b.due = now // it was under way when somebody asked for news
	}
	m.publish(a)
}

func (m *monitor) applySeed(a answer, now time.Time) {
	m.seedsOpen--
	if a.err != nil {
		if m.seedWait <= minBackoff { // once, not with every try
			m.p.cfg.Log.Warn("bootstrap address does not answer", "addr", a.addr, "err", a.err)
		}
		return
	}
	m.seedWait = 0
	m.applyMetadata(a, now)
	m.publish(a)
}

// applyMetadata makes the broker list that of an answer. A broker cut off from
// its controller may show an old list for a while; the next answer mends it.
func (m *monitor) applyMetadata(a answer, now time.Time) {
	listed := make(map[int32]bool, len(a.meta.Brokers))
	for _, mb := range a.meta.Brokers {
		b := Broker{Node: mb.NodeID, Host: mb.Host, Port: mb.Port, Rack: mb.Rack}
		listed[b.Node] = true
		if old := m.brokers[b.Node]; old != nil && old.addr() == b.addr() {
			old.Broker = b
			continue
		}
		m.brokers[b.Node] = &member{Broker: b, due: now}
		m.p.health.track(b.Node, now)
		m.p.cfg.Log.Info("broker appeared", "node", b.Node, "addr", b.addr())
	}
	for node := range m.brokers {
		if !listed[node] {
			delete(m.brokers, node)
			m.p.health.forget(node)
			m.p.cfg.Log.Info("broker left", "node", node)
		}
	}
	m.controller = a.meta.ControllerID
	if a.meta.ClusterID != nil {
		m.clusterID = *a.meta.ClusterID
	}
}

// publish makes the present state what all readers see, and wakes who waited
// for fresh metadata if a brought it.
func (m *monitor) publish(a answer) {
	s := &snapshot{clusterID: m.clusterID, controller: m.controller, epoch: -1}
	var apis []*kmsg.ApiVersionsResponse
	settled := len(m.brokers) > 0
	for _, b := range m.brokers {
		s.brokers = append(s.brokers, b.Broker)
		settled = settled && b.tried
		if b.api != nil {
			apis = append(apis, b.api)
		}
	}
	slices.SortFunc(s.brokers, func(a, b Broker) int { return int(a.Node) - int(b.Node) })
	s.versions = commonVersions(apis)
	s.features, s.epoch = commonFeatures(apis)
	m.p.snap.Store(s)
	if settled && len(apis) > 0 && !m.isReady {
		m.isReady = true
		close(m.p.ready)
	}
	if a.err != nil || a.round < m.round {
		return
	}
	for _, c := range m.waiting {
		close(c)
	}
	m.waiting = nil
}
