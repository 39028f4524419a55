package rewrite

import (
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// outcome is what a typed rewrite returns: answer or forward.
type outcome[P kmsg.Response] struct {
	local bool
	resp  P             // if local
	unmap func(P) error // if forwarded; nil: the response passes as it is
}

// answer ends the exchange here with resp.
func answer[P kmsg.Response](resp P) outcome[P] { return outcome[P]{local: true, resp: resp} }

// forward sends the (changed) request on; unmap makes the broker's response the client's.
func forward[P kmsg.Response](unmap func(P) error) outcome[P] { return outcome[P]{unmap: unmap} }

// heldPerByte is what a request keeps for each of its bytes while it waits: it
// itself, decoded, and rows for what was refused. Measured 4 to 40, the latter
// with nothing in it but empty names.
const heldPerByte = 16

// typed lifts a rewrite over kmsg types to one over bodies: decode, map,
// encode; and on the way back the same. A body that does not decode to its last
// byte closes the connection, as Kafka does.
func typed[Q kmsg.Request, P kmsg.Response](rewrite func(*Exchange, Q) (outcome[P], error)) func(*Exchange, []byte) (Plan, error) {
	var requests, responses layouts
	var wire tripwire
	return func(x *Exchange, body []byte) (Plan, error) {
		req, _ := kmsg.RequestForKey(x.Key).(Q)
		req.SetVersion(x.Version)
		if err := decode(req, requests.of(req), body, maxElements); err != nil {
			return Plan{}, &Error{Reason: ReasonMalformed, Err: fmt.Errorf("%s v%d: %w", kmsg.NameForKey(x.Key), x.Version, err)}
		}
		watch := wire.watch(x, req)
		out, err := rewrite(x, req)
		if err != nil {
			return Plan{}, x.tripped(err)
		}
		if out.local {
			out.resp.SetVersion(x.Version)
			if err := watch.check(out.resp, nil); err != nil {
				return Plan{}, err
			}
			return Plan{Answer: [][]byte{out.resp.AppendTo(nil)}}, nil
		}
		return Plan{
			Request: [][]byte{req.AppendTo(nil)},
			Held:    heldPerByte * len(body),
			Unmap: func(body []byte) ([][]byte, error) {
				resp, _ := req.ResponseKind().(P)
				resp.SetVersion(x.Version)
				if out.unmap == nil && len(wire.responses.of(resp, "resp")) == 0 {
					return [][]byte{body}, nil
				}
				if err := decode(resp, responses.of(resp), body, math.MaxInt); err != nil {
					return nil, x.badUpstream(err)
				}
				if out.unmap != nil {
					if err := out.unmap(resp); err != nil {
						return nil, x.tripped(err)
					}
				}
				if err := watch.check(resp, body); err != nil {
					return nil, err
				}
				return [][]byte{resp.AppendTo(nil)}, nil
			},
		}, nil
	}
}

// Decode reads all of body into m, whose version is set. It refuses what kmsg
// would let pass or pay for: counts and lengths beyond the bytes that are left,
// more than 65,536 array elements, what would take more than twice the body and
// decodeSlack once decoded, and bytes after the end. It is for bodies that are no
// row's (ApiVersions, SASL); rows remember the layout.
func Decode(m Message, body []byte) error { return decode(m, layoutOf(m), body, maxElements) }

// decode is Decode for a known layout, with so many elements at most. That kmsg
// panics is not known to happen; if it does, it costs one connection and not the
// process.
func decode(m Message, l layout, body []byte, most int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoding panicked: %v", p)
		}
	}()
	if err := l.check(body, most); err != nil {
		return err
	}
	return m.ReadFrom(body)
}
