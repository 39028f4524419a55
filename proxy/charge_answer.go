package proxy

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
	"weir/quota"
)

// onlyBatch makes a broker give the first batch alone, whatever its size (KIP-74).
const onlyBatch = 1

func fetches(key int16) bool { return kmsg.Key(key) == kmsg.Fetch || kmsg.Key(key) == kmsg.ShareFetch }

// lowerFetch bounds what the answer to a fetch will cost: a second's worth of the
// limit. request is what is sent to the broker.
func (p *pending) lowerFetch(request [][]byte) {
	if p.scope == nil || !fetches(p.key) {
		return
	}
	most, bounded := p.scope.AtOnce(quota.FetchBytes)
	if !bounded {
		return
	}
	most = max(most, leastFetch)
	if p.starved && kmsg.Key(p.key) == kmsg.Fetch { // a share fetch divides it by its partitions
		most = onlyBatch
	}
	rewrite.LowerMaxBytes(p.key, p.version, request, int32(min(most, 1<<31-1)))
}

// throttle charges an answer of size bytes and says in it how long the client is to
// wait. Who owns c.out.
func (c *conn) throttle(p *pending, body [][]byte, size int) time.Duration {
	if p.scope == nil {
		return 0
	}
	if fetches(p.key) {
		p.decision = p.decision.Max(p.scope.Spend(quota.FetchBytes, int64(size)))
	}
	if p.aside {
		return 0
	}
	decision := p.decision.Max(c.owed)
	c.owed = quota.Decision{}
	d := min(decision.Throttle, p.most)
	if d <= 0 {
		return 0
	}
	p.scope.Told(decision, d)
	rewrite.SetThrottle(p.key, p.version, body, int32((d+time.Millisecond-1)/time.Millisecond))
	c.mute(d) // before the client can have the answer, and once more when it is written
	return d
}

// writeRate is what writing to a client is charged at the most, in bytes a second:
// beyond that we wait for it.
const writeRate = 50 << 20

// charged is called when an answer of size bytes was written, whose client was told
// to wait for d.
func (c *conn) charged(p *pending, size int, d time.Duration) {
	if d > 0 {
		c.mute(d)
	}
	if !p.timed {
		return
	}
	work := p.worked
	if p.began != 0 {
		work += min(time.Duration(time.Now().UnixNano()-p.began), time.Millisecond+time.Duration(size)*time.Second/writeRate)
	}
	c.owed = c.owed.Max(p.scope.Spend(quota.RequestTime, max(1, work.Microseconds())))
}

// mapped notes how long the work on a request took before it was sent on: since it
// had arrived whole.
func (c *conn) mapped(p *pending) {
	if p.timed {
		p.worked = time.Duration(time.Now().UnixNano() - c.lastRead.Load())
	}
}

// unanswered mutes for a request that no answer follows.
func (c *conn) unanswered(p *pending) {
	if p.scope == nil {
		return
	}
	if d := min(p.decision.Throttle, p.most); d > 0 {
		p.scope.Told(p.decision, d)
		c.mute(d)
	}
	if p.timed {
		p.scope.Spend(quota.RequestTime, max(1, p.worked.Microseconds()))
	}
}
