package proxy

import (
	"weir/metering"
	"weir/proxy/rewrite"
	"weir/proxy/wire"
)

// frames are the sizes of what one exchange has sent and received, in bytes.
type frames struct {
	in, out  int // from and to the client
	up, down int // to and from a broker; down only of one in another zone
}

// arrivedFrame is of a request whose frame, without its size, has arrived.
func arrivedFrame(frame []byte) frames { return frames{in: int(frameBytes(len(frame)))} }

// back notes the broker's answer.
func (f *frames) back(frame []byte, far bool) {
	if far {
		f.down = int(frameBytes(len(frame)))
	}
}

// asGateway notes an exchange over a connection of its own.
func (f *frames) asGateway(h wire.RequestHeader, plan rewrite.Plan, answer []byte, far bool) {
	if far {
		f.down = wire.RequestSize(h, wire.Size(plan.Request)) + int(frameBytes(len(answer)))
	}
}

// wireUse is what a connection has used and was not counted yet: a gateway that is
// killed forgets it, since no bill is made of it.
type wireUse struct{ requests, in, out, far int64 }

// answered adds an exchange whose answer has left.
func (w *wireUse) answered(f *frames) {
	w.requests++
	w.in += int64(f.in)
	w.out += int64(f.out)
	w.far += int64(f.down)
}

// forwarded adds a request that is sent to a broker; silent: no answer will come.
func (w *wireUse) forwarded(f *frames, far, silent bool) {
	if far {
		w.far += int64(f.up)
	}
	if silent {
		w.requests++
		w.in += int64(f.in)
	}
}

// count moves it to an account.
func (w *wireUse) count(a *metering.Account) {
	addSome(a, metering.Requests, w.requests)
	addSome(a, metering.RequestBytes, w.in)
	addSome(a, metering.ResponseBytes, w.out)
	addSome(a, metering.CrossZoneBytes, w.far)
	*w = wireUse{}
}

// addSome adds n unless that is nothing, so that nobody seems to have used something.
func addSome(a *metering.Account, m metering.Meter, n int64) {
	if n != 0 {
		a.Add(m, n)
	}
}

// countWire moves what has gathered to the account. Any goroutine.
func (c *conn) countWire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u := c.use.Load(); u != nil {
		c.wire.count(u.whole)
	}
}

// isFar reports whether a broker is known to be in another zone than this gateway.
func (c *conn) isFar(node int32) bool {
	own := c.srv.cfg.Zone
	if own == "" {
		return false
	}
	b, ok := c.pool.Broker(node)
	return ok && b.Rack != nil && *b.Rack != own
}
