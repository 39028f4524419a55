package proxy

import (
	"errors"

	"weir/auth"
	"weir/metering"
	"weir/proxy/rewrite"
	"weir/tenancy"
)

// What a session uses is counted on its instance's account: record batches before the
// answer about them leaves (meter), frames when somebody has the time (countWire).

// use is what a session counts on, as long as its instance is on one plan.
type use struct {
	of    metering.Of
	whole *metering.Account
	user  *metering.Account // of the breakdown; nil: there is none
	parts *portions         // of the breakdown, by topic; nil: there is none
}

// meter counts what p has used, before its answer of size bytes leaves or, where there
// is none, when it was sent on. Who owns c.out; of a silent one, the reading goroutine.
func (c *conn) meter(p *pending, size int) {
	p.frames.out = size
	if p.usage == nil {
		return
	}
	if u := c.use.Load(); u != nil {
		u.count(p.usage)
	}
	p.usage.Done(c.sess)
}

func (u *use) count(of *rewrite.Usage) {
	for i := range of.Produced() {
		b, topic := of.Batch(i)
		b.Parts = [2]*metering.Account{u.user, u.parts.topic(topic)}
		u.whole.Produced(&b)
	}
	bytes, records := of.Fetched()
	if bytes == 0 {
		return
	}
	fetched(u.whole, bytes, records)
	fetched(u.user, bytes, records)
	for i := range of.Topics() {
		topic, bytes, records := of.Topic(i)
		fetched(u.parts.topic(topic), bytes, records)
	}
}

func fetched(a *metering.Account, bytes, records int64) {
	if a == nil || bytes == 0 {
		return
	}
	a.Add(metering.FetchBytes, bytes)
	addSome(a, metering.FetchRecords, records)
}

// beginUse opens the accounts of a session.
func (c *conn) beginUse(v *tenancy.View) {
	u := c.srv.usage.open(v, c.pool.Name(), c.principal.User)
	if u == nil {
		return
	}
	u.whole.Connected(1)
	c.use.Store(u)
}

// recount goes on with other accounts if the instance is on another plan now. Any
// goroutine. Who counts at this moment may still do so on the old ones, which are kept.
func (c *conn) recount(v *tenancy.View) {
	was := c.use.Load()
	if was == nil || was.of == ofView(v, was.of.Pool) {
		return
	}
	now := c.srv.usage.open(v, was.of.Pool, c.principal.User)
	c.mu.Lock()
	changed := c.use.CompareAndSwap(was, now) // else somebody was faster, or the session is over
	if changed {
		c.past = append(c.past, was)
		c.wire.count(was.whole)
		was.whole.Connected(-1)
		now.whole.Connected(1)
	}
	c.mu.Unlock()
	if !changed {
		c.srv.usage.close(now)
	}
}

// endUse gives the accounts back: nobody works on the connection any more.
func (c *conn) endUse() {
	c.mu.Lock()
	u := c.use.Swap(nil)
	if u != nil {
		c.wire.count(u.whole)
		u.whole.Connected(-1)
	}
	past := c.past
	c.past = nil
	c.mu.Unlock()
	for _, u := range append(past, u) {
		c.srv.usage.close(u)
	}
}

// attempted counts a connection that named an instance; err is why it was not let in.
// Nothing is counted, or kept, for names that no instance has.
func (c *conn) attempted(err error) {
	id, failure := c.principal.Instance, (*auth.Failure)(nil)
	reason, _ := reasonOf(err)
	failed := err != nil && (errors.As(err, &failure) || reason == reasonAuth)
	if id == "" && failure != nil {
		id = failure.Instance
	}
	if id == "" {
		id = c.route.instance
	}
	c.srv.usage.attempt(c.srv.cfg.Directory, id, failed)
}
