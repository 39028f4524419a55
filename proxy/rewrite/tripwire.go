package rewrite

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// The tripwire looks at every answer once more before it leaves, knowing nothing
// of the rewrite that made it: only what fields.tsv says that its fields mean. A
// rewrite that forgets a field thereby costs its client a connection, and nobody
// a name.
//
// What a tenant calls its own things never trips it, whatever it looks like. A
// name that begins like an instance's is looked for among what may be said: the
// names of the client's own request, and the virtual forms of this instance's
// names in the broker's answer. That takes decoding the answer anew, so it is
// done only once such a name is seen.

// Leak is what would have left: the Err of an Error whose reason is
// ReasonTripwire. It never holds the value itself.
type Leak struct {
	Key     int16
	Version int16
	Field   string // as in fields.tsv; "" if the rewrite itself refused a name
	Kind    string // what the field is
	Owner   string // whose prefix it begins with, "" if no instance's
	Digest  string // the first 8 bytes of the value's SHA-256, in hex
}

func (l *Leak) Error() string {
	what := l.Kind
	if l.Field != "" {
		what += " in " + l.Field
	}
	if l.Owner != "" {
		what += " of instance " + l.Owner
	}
	return fmt.Sprintf("%s v%d: %s (sha256 %s) would have left", kmsg.NameForKey(l.Key), l.Version, what, l.Digest)
}

// leak is the Error for a value that must not leave.
func (s *Session) leak(field, kind, value string) *Error {
	l := &Leak{Field: field, Kind: kind, Digest: fmt.Sprintf("%x", sha256.Sum256([]byte(value)))[:16]}
	if label, _, ok := strings.Cut(value, "."); ok && s.registered(label) {
		l.Owner = label
	}
	return &Error{Reason: ReasonTripwire, Err: l}
}

// tripped completes an error with the exchange in which it came up. A Leak
// anywhere in err makes it the tripwire's.
func (x *Exchange) tripped(err error) error {
	if l, ok := errors.AsType[*Leak](err); ok {
		l.Key, l.Version = x.Key, x.Version
		return &Error{Reason: ReasonTripwire, Err: l}
	}
	return err
}

// registered reports whether label is an instance's id, this one's included.
func (s *Session) registered(label string) bool {
	return label+"." == s.Space.Prefix() || s.Registered != nil && s.Registered(label)
}

// tripwire is one row's: where its messages could show something. Any goroutine.
type tripwire struct{ requests, responses probes }

// watch is the tripwire over one exchange. It begins before the rewrite, which
// maps the request in place.
type watch struct {
	x     *Exchange
	wire  *tripwire
	kind  string // protocol type of the blobs in the answer
	group string // virtual, if the answer's blobs are of a type that only JoinGroup names

	label      string // the newest one that was looked up
	registered bool

	raw     []byte   // the broker's answer; nil if the answer is the gateway's own
	allowed *allowed // nil until something suspicious is seen
}

// watch notes what the request says.
func (t *tripwire) watch(x *Exchange, req Message) *watch {
	w := &watch{x: x, wire: t}
	x.said, x.words = nil, nil
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		w.kind = req.ProtocolType
	case *kmsg.SyncGroupRequest:
		if w.group = req.Group; req.ProtocolType != nil {
			w.kind = *req.ProtocolType
		}
	}
	_ = walk(reflect.ValueOf(req).Elem(), t.requests.of(req, "req"), (*asking)(w))
	return w
}

// asking is a watch while it reads the request.
type asking watch

func (w *asking) protocol(string) {}

func (w *asking) value(_ *probe, _, f reflect.Value) error {
	if text := f.String(); f.Kind() == reflect.String && text != "" {
		w.x.said = append(w.x.said, text)
	}
	return nil
}

// check judges what would be sent, and clips its texts. raw is the broker's
// answer; nil for one of the gateway's own, whose names are not judged: they are
// the request's, or what the pool was asked for besides.
func (w *watch) check(resp Message, raw []byte) error {
	w.raw = raw
	if err := walk(reflect.ValueOf(resp).Elem(), w.wire.responses.of(resp, "resp"), w); err != nil {
		return w.x.tripped(err)
	}
	return nil
}

func (w *watch) protocol(kind string) { w.kind = kind }

// value judges one field.
func (w *watch) value(p *probe, in, f reflect.Value) error {
	switch p.as {
	case snareName:
		return w.name(p, f.String())
	case snareRegex:
		return w.regex(p, f.String())
	case snareText:
		err := w.text(p, f.String())
		f.SetString(clipped(f.String()))
		return err
	case snareHost:
		return w.host(p, in, f.String())
	case snareClient:
		return w.unless(f.String() == gatewayClientHost, p, f.String())
	case snareCluster:
		return w.unless(f.String() == w.x.ClusterID, p, f.String())
	case snareSubscription:
		return w.blob(p, f.Bytes(), mapSubscription)
	case snareAssignment:
		return w.blob(p, f.Bytes(), mapAssignment)
	case snareQuoted: // only in requests
	}
	return nil
}

func (w *watch) unless(fine bool, p *probe, value string) error {
	if fine || value == "" {
		return nil
	}
	return w.x.leak(p.path, p.as.String(), value)
}

func (w *watch) name(p *probe, name string) error {
	if w.raw == nil || !w.suspicious(name) || w.may().names[name] {
		return nil
	}
	return w.x.leak(p.path, p.as.String(), name)
}

// suspicious reports whether a name could be one of the pool's: it begins with
// some instance's prefix, or is what an alias stands for.
func (w *watch) suspicious(name string) bool {
	if i := strings.IndexByte(name, '.'); i > 0 && w.isInstance(name[:i]) {
		return true
	}
	_, aliased := w.x.aliasedName(name)
	return aliased
}

// isInstance remembers the last answer: names that stand together begin alike.
func (w *watch) isInstance(label string) bool {
	if label != w.label {
		w.label, w.registered = label, w.x.Session.registered(label)
	}
	return w.registered
}

// regex judges a pattern over topics, of which the gateway's own part begins with
// the quoted prefix.
func (w *watch) regex(p *probe, pattern string) error {
	label, _, quoted := strings.Cut(strings.TrimPrefix(pattern, aliasedHead), regexp.QuoteMeta("."))
	if w.raw == nil || !quoted || !w.isInstance(strings.ReplaceAll(label, `\`, "")) || w.may().names[pattern] {
		return nil
	}
	return w.x.leak(p.path, p.as.String(), label+".")
}

// host judges an address by the node that it stands beside.
func (w *watch) host(p *probe, in reflect.Value, host string) error {
	if host == "" {
		return nil
	}
	if p.node >= 0 && p.port >= 0 {
		h, port := w.x.Address(int32(in.Field(p.node).Int()))
		if host == h && int64(port) == in.Field(p.port).Int() {
			return nil
		}
	}
	return w.x.leak(p.path, p.as.String(), host)
}

// text judges what a client is told, unless it is told so by the gateway alone.
// What it said itself may be in it.
func (w *watch) text(p *probe, text string) error {
	if text == "" || w.raw == nil || w.x.Foreign == nil || standardTexts()[text] || !w.x.foreign(text) {
		return nil
	}
	return w.unless(w.may().texts[text], p, text)
}

// maxText is how long a text for people may be, in bytes: as many as tell what is
// wrong. One that repeats what a request says could have more than a Kafka string
// holds, and make a row that nobody can read.
const maxText = 4096

func clipped(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText-3], "") + "..."
}

// blob judges the topics in a blob of the consumer protocol.
func (w *watch) blob(p *probe, blob []byte, walk blobWalk) error {
	if w.raw == nil || bytes.IndexByte(blob, '.') < 0 && w.x.Space.Aliases() == nil || !w.consumer() {
		return nil
	}
	var err error
	_, _ = walk(blob, func(name string) (string, bool) {
		if err == nil {
			err = w.name(p, name)
		}
		return name, true
	})
	return err
}

// consumer reports whether the answer's blobs name topics. Where neither request
// nor answer says so it is the type with which the group was joined.
func (w *watch) consumer() bool {
	if w.kind == "" && w.group != "" {
		w.kind, _ = w.x.groupType(w.group)
	}
	return w.kind == consumerProtocol
}

type blobWalk func([]byte, nameMap) ([]byte, error)

// allowed is what may be said though it looks like somebody else's.
type allowed struct {
	x     *Exchange
	names map[string]bool
	texts map[string]bool
}

// may finds out what may be said.
func (w *watch) may() *allowed {
	if w.allowed == nil {
		w.allowed = &allowed{x: w.x, names: map[string]bool{}, texts: map[string]bool{}}
		for _, name := range w.x.said {
			w.allowed.names[name] = true
		}
		raw := kmsg.ResponseForKey(w.x.Key)
		raw.SetVersion(w.x.Version)
		if w.raw != nil && raw.ReadFrom(w.raw) == nil { // it has been read once
			_ = walk(reflect.ValueOf(raw).Elem(), w.wire.responses.of(raw, "resp"), w.allowed)
		}
	}
	return w.allowed
}

func (a *allowed) protocol(string) {}

// value notes the virtual forms of a field of the broker's answer.
func (a *allowed) value(p *probe, _, f reflect.Value) error {
	switch p.as {
	case snareName:
		a.name(f.String())
	case snareRegex:
		if pattern, ok := a.x.virtualPattern(f.String()); ok {
			a.names[pattern] = true
		}
	case snareText:
		if text, ok := a.x.told(f.String()); ok {
			a.texts[text] = true
		}
	case snareSubscription:
		_, _ = mapSubscription(f.Bytes(), a.name)
	case snareAssignment:
		_, _ = mapAssignment(f.Bytes(), a.name)
	case snareHost, snareClient, snareCluster: // never the broker's
	case snareQuoted: // only in requests
	}
	return nil
}

func (a *allowed) name(physical string) (string, bool) {
	for _, kind := range []tenancy.Kind{tenancy.KindTopic, tenancy.KindGroup, tenancy.KindTxn} {
		if virtual, ok := a.x.Space.Virtual(kind, physical); ok {
			a.names[virtual] = true
		}
	}
	return physical, true
}

// standardTexts are Kafka's general descriptions of all codes.
var standardTexts = sync.OnceValue(func() map[string]bool { //nolint:gochecknoglobals // read-only table
	all := map[string]bool{}
	for code := int16(-1); code < 512; code++ {
		if e := kerr.TypedErrorForCode(code); e != nil {
			all[e.Description] = true
		}
	}
	return all
})
