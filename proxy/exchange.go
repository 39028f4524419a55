package proxy

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
	"weir/proxy/wire"
)

// exchange walks one request from the client to its answer, or to the broker
// that will give it:
//
//	header → is it in the table? → map → forward → (answers:) unmap → answer
func (c *conn) exchange(frame []byte) error {
	h, body, err := wire.ParseRequest(frame)
	if err != nil && !(h.Key == int16(kmsg.ApiVersions) && len(frame) >= 10) {
		return &closing{reason: reasonMalformed, err: err}
	}
	c.srv.metrics.request(h.Key, len(frame))
	p := &pending{key: h.Key, version: h.Version, correlation: h.Correlation, tab: c.purse.tab, frames: arrivedFrame(frame)}
	api, known := rewrite.Lookup(h.Key, h.Version)
	switch kmsg.Key(h.Key) {
	case kmsg.ApiVersions:
		return c.replyApiVersions(p, body)
	case kmsg.SASLHandshake, kmsg.SASLAuthenticate:
		return c.reauthenticate(p, known, body)
	}
	if !known {
		return unsupported(h)
	}
	if c.reauth != nil {
		return closef(reasonReauth, "%s while re-authenticating", kmsg.NameForKey(h.Key))
	}
	if !c.expires.IsZero() && time.Now().After(c.expires) {
		return &closing{reason: reasonExpired, fix: "the client must re-authenticate (KIP-368) before its session ends"}
	}

	plan, err := api.Plan(c.exchangeOf(h, p), body)
	if err != nil {
		return c.alarmed(err)
	}
	c.mapped(p)
	if plan.Request == nil {
		if plan.Silent {
			return nil
		}
		return c.reply(p, plan.Answer)
	}
	p.unmap, p.held, p.usage = plan.Unmap, plan.Held, plan.Usage
	if c.pool.PerInstance() && poolWide(h.Key) {
		return c.askAsGateway(h, p, plan)
	}
	c.awaitFetch(h, plan)
	p.lowerFetch(plan.Request)
	c.awaitBroker(p, plan)
	err = c.forward(h, p, plan)
	if err == nil && plan.Silent {
		c.meter(p, 0)
		c.unanswered(p)
	}
	if err != nil {
		p.flight.landed(false)
	}
	if reason, _ := reasonOf(err); err != nil && reason == reasonUnreachable { // nothing was sent
		if answer, ok := rewrite.Unreachable(h.Key, h.Version, body); ok {
			c.srv.cfg.Log.Debug("coordinator is unreachable", "conn", c.id, "err", err)
			return c.reply(p, answer)
		}
	}
	return err
}

// exchangeOf is what the request's rewrite sees of it.
func (c *conn) exchangeOf(h wire.RequestHeader, p *pending) *rewrite.Exchange {
	switch {
	case h.ClientID == nil:
		c.client = nil
	case c.client == nil || *c.client != string(h.ClientID):
		id := string(h.ClientID)
		c.client = &id
	}
	x := &rewrite.Exchange{Session: c.sess, Ctx: c.ctx, Key: h.Key, Version: h.Version, ClientID: c.client}
	if p.scope != nil {
		x.Mutations = p
	}
	return x
}

// unsupported closes: for a key or version that was not advertised Kafka does the same.
func unsupported(h wire.RequestHeader) error {
	return closef(reasonUnsupported, "key %d (%s) version %d", h.Key, kmsg.NameForKey(h.Key), h.Version)
}
