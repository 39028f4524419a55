package rewrite

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// FuzzCoordinated holds any request and any answer of the group and transaction
// APIs against these rules: nothing panics, what comes out is a whole message,
// upstream every name is behind the prefix, and downstream every name is one
// that the broker gave for this instance or that the client itself sent. The
// scenarios are its corpus.
func FuzzCoordinated(f *testing.F) {
	for _, s := range loadScenarios(f) {
		if !slices.Contains(coordinated(), kmsg.Key(s.key)) {
			continue
		}
		for _, v := range s.versions {
			var broker []byte
			if s.files["broker"] != "" {
				broker = s.body(f, "broker", v)
			}
			f.Add(s.key, v, s.body(f, "request", v), broker)
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, request, response []byte) {
		api, ok := Lookup(key, version)
		if !ok || !slices.Contains(coordinated(), api.Key) {
			return
		}
		fuzzCoordinated(t, api, version, request, response)
	})
}

func fuzzCoordinated(t *testing.T, api API, version int16, request, response []byte) {
	s := scenario{key: int16(api.Key)}
	x := &Exchange{Session: newSession(newFakePool("acme.orders", "other.orders")), Ctx: t.Context(), Key: s.key, Version: version}
	before := bytes.Clone(request)
	plan, err := api.Plan(x, request)
	if !bytes.Equal(before, request) {
		t.Fatal("the client's body was written to")
	}
	if err != nil {
		s.err = ReasonMalformed
		s.wantError(t, err)
		return
	}
	known := namesIn(s.decode(t, "request", version, request))
	if plan.Answer != nil {
		onlyKnown(t, known, s.decode(t, "response", version, join(plan.Answer)))
		return
	}
	for name := range namesIn(s.decode(t, "forwarded", version, join(plan.Request))) {
		if !strings.HasPrefix(name, "acme.") || name == "acme." {
			t.Fatalf("%q was forwarded", name)
		}
	}
	pieces, err := plan.Unmap(response)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ReasonBadUpstream && e.Reason != ReasonTripwire {
			t.Fatalf("error %v", err)
		}
		return
	}
	if broker := s.blank("broker", version); decode(broker, layoutOf(broker), response, math.MaxInt) == nil { // kmsg alone would loop by an announced count
		for name := range namesIn(broker) {
			if virtual, ok := strings.CutPrefix(name, "acme."); ok {
				known[virtual] = true
			}
		}
		onlyKnown(t, known, s.decode(t, "response", version, join(pieces)))
	}
}

func onlyKnown(t *testing.T, known map[string]bool, resp Message) {
	for name := range namesIn(resp) {
		if !known[name] {
			t.Fatalf("the client was told of %q", name)
		}
	}
}

// namesIn are the names of topics, groups and transactions in m.
func namesIn(m Message) map[string]bool {
	found := map[string]bool{}
	eachLeaf(reflect.ValueOf(m).Elem(), "", func(field string, v reflect.Value) {
		if holdsName(m, field, v) && !v.IsZero() {
			found[reflect.Indirect(v).String()] = true
		}
	})
	return found
}
