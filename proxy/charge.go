package proxy

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/quota"
)

// maxClientID is how much of a client id counts, in bytes: sub-quotas have no
// longer names (tenancy.QuotaEntity).
const maxClientID = 255

// purse is what a connection's requests are charged to. Reading goroutine only.
type purse struct {
	scope   *quota.Scope   // of the newest client id; nil: nothing was charged yet
	former  []*quota.Scope // of others, whose answers are still to be charged
	client  string
	begun   time.Time     // when the request that arrives did
	tab     tab           // of the request that arrives, or arrived last
	paused  time.Duration // of that request
	inARow  bool          // it was held, and the one before it
	grouped bool          // a member of a group speaks here
}

// tab is what one request was charged, and to whom.
type tab struct {
	scope    *quota.Scope // nil: to nobody
	decision quota.Decision
	aside    bool          // never throttled
	starved  bool          // a fetch that was held to the end, and still nothing is left
	timed    bool          // the work on it is charged too
	most     time.Duration // that its client may be told to wait
	worked   time.Duration // on the request, until it went to the broker; if timed
	began    int64         // unix nanoseconds of when work on its answer did; 0: none yet, or not timed
}

// hold is called when a request's header has arrived and its body has not: begin is
// the frame as far as it is there, size the whole frame's. It returns when the
// instance's limits, and the gateway's memory, let the body be read. What is held
// takes no memory here: the client's own socket waits.
func (c *conn) hold(begin []byte, size int) error {
	if err := c.charge(begin, size); err != nil {
		return err
	}
	return c.awaitMemory(begin, size)
}

// charge holds a request until its instance's limits let it proceed, and charges it.
func (c *conn) charge(begin []byte, size int) error {
	if c.srv.cfg.Quota == nil {
		return nil
	}
	u := &c.purse
	u.enter(c, begin)
	key := kmsg.Key(binary.BigEndian.Uint16(begin))
	kind := kindOf(key)
	u.grouped = u.grouped || kind == keepsMember
	t := tab{scope: u.scope, aside: kind != ordinary, most: c.throttleMost()}
	_, t.timed = u.scope.AtOnce(quota.RequestTime)
	u.paused = 0
	if t.aside && c.side.take(u.begun, u.scope, size) {
		u.inARow = false
	} else if err := c.pause(key, size, t.timed); err != nil {
		return err
	}
	t.decision = u.scope.Spend(quota.Requests, 1)
	switch key {
	case kmsg.Produce:
		t.decision = t.decision.Max(u.scope.Spend(quota.ProduceBytes, frameBytes(size)))
	case kmsg.Fetch, kmsg.ShareFetch:
		t.starved = u.paused > 0 && u.scope.Spend(quota.FetchBytes, 0).Throttle > 0
	}
	u.tab = t
	return nil
}

// frameBytes is a whole frame's size: with the four bytes that say it.
func frameBytes(size int) int64 { return int64(size) + 4 }

// enter makes the scope that of the request's client id. Nothing is allocated
// while it stays the same.
func (u *purse) enter(c *conn, begin []byte) {
	var id []byte
	if len(begin) > 10 {
		n := int(int16(binary.BigEndian.Uint16(begin[8:])))
		id = begin[10 : 10+min(max(n, 0), len(begin)-10, maxClientID)]
	}
	if u.scope != nil && string(id) == u.client {
		return
	}
	if u.scope != nil {
		u.former = append(u.former, u.scope)
	}
	u.client = string(id)
	u.scope = c.srv.cfg.Quota.Scope(c.principal.Instance, c.principal.User, u.client)
	u.retire(c)
}

// retire gives back those former scopes that no answer will be charged to. A bucket
// that nobody holds is forgotten, and with it what would be charged later: who says
// another client id while a fetch is under way would have it for nothing.
func (u *purse) retire(c *conn) {
	charged := make(map[*quota.Scope]bool, 4)
	c.mu.Lock()
	for _, p := range c.queue {
		charged[p.scope] = true
	}
	c.mu.Unlock()
	u.former = slices.DeleteFunc(u.former, func(s *quota.Scope) bool {
		if charged[s] {
			return false
		}
		s.Close()
		return true
	})
}

// leave gives all scopes back.
func (u *purse) leave() {
	for _, s := range append(u.former, u.scope) {
		if s != nil {
			s.Close()
		}
	}
	u.scope, u.former = nil, nil
}

// kind is how a request is throttled.
type kind uint8

const (
	ordinary kind = iota
	// keepsAlive: a group, a transaction or a login ends if it comes late.
	keepsAlive
	// keepsMember: so does its client's membership in a group.
	keepsMember
)

var kinds = [kmsg.MaxKey + 1]kind{ //nolint:gochecknoglobals // read-only table
	kmsg.ApiVersions: keepsAlive, kmsg.SASLHandshake: keepsAlive, kmsg.SASLAuthenticate: keepsAlive,
	kmsg.FindCoordinator: keepsAlive, kmsg.OffsetCommit: keepsAlive, kmsg.OffsetFetch: keepsAlive,
	kmsg.InitProducerID: keepsAlive, kmsg.AddPartitionsToTxn: keepsAlive, kmsg.AddOffsetsToTxn: keepsAlive,
	kmsg.TxnOffsetCommit: keepsAlive, kmsg.EndTxn: keepsAlive, kmsg.ShareAcknowledge: keepsAlive,
	kmsg.JoinGroup: keepsMember, kmsg.SyncGroup: keepsMember, kmsg.Heartbeat: keepsMember, kmsg.LeaveGroup: keepsMember,
	kmsg.ConsumerGroupHeartbeat: keepsMember, kmsg.ShareGroupHeartbeat: keepsMember, kmsg.StreamsGroupHeartbeat: keepsMember,
}

func kindOf(key kmsg.Key) kind {
	if key < 0 || int(key) >= len(kinds) {
		return ordinary
	}
	return kinds[key]
}
