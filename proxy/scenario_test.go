package proxy

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/tools/txtar"
)

// The keys that the gateway answers by itself before there is a session are data
// as well: testdata/<NN_api>/*.txtar, one exchange each, run for every version:
//
//	What this shows, in words.
//	versions: 0-1
//	after: handshake, login        what the client has done before; absent: nothing
//	ends                           the connection is closed after the answer
//
//	-- request --
//	-- response --                 absent: the connection is closed without an answer
//
// Bodies are kmsg structs as JSON over their defaults. A list of keys or features
// that the response leaves out is only demanded not to be empty without an error.
func TestScenarios(t *testing.T) {
	r := newRig(t)
	paths, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, path := range paths {
		ar, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		number, _, _ := strings.Cut(filepath.Base(filepath.Dir(path)), "_")
		key, err := strconv.ParseInt(number, 10, 16)
		if err != nil {
			t.Fatalf("%s: the folder does not begin with an API key", path)
		}
		s := preauth{key: int16(key), files: map[string]string{}}
		for line := range strings.Lines(string(ar.Comment)) {
			if list, ok := strings.CutPrefix(line, "versions: "); ok {
				if n, _ := fmt.Sscanf(list, "%d-%d", &s.from, &s.to); n == 1 {
					s.to = s.from
				}
			}
			if after, ok := strings.CutPrefix(line, "after: "); ok {
				s.after = strings.TrimSpace(after)
			}
			s.ends = s.ends || strings.TrimSpace(line) == "ends"
		}
		for _, f := range ar.Files {
			s.files[f.Name] = string(f.Data)
		}
		for v := s.from; v <= s.to; v++ {
			t.Run(strings.TrimSuffix(strings.TrimPrefix(path, "testdata/"), ".txtar")+"/v"+strconv.Itoa(int(v)), func(t *testing.T) { s.run(t, r, v) })
		}
	}
}

// preauth is one scenario.
type preauth struct {
	key, from, to int16
	after         string
	ends          bool
	files         map[string]string
}

func (s preauth) run(t *testing.T, r *rig, version int16) {
	c := r.dial(0, "")
	s.prepare(t, c)
	req, want := kmsg.RequestForKey(s.key), kmsg.ResponseForKey(s.key)
	readJSON(t, s.files["request"], req)
	got, err := send(c, req, version)
	answer, answered := s.files["response"]
	if !answered {
		if err == nil {
			t.Errorf("answered: %+v", got)
		}
		return
	}
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	readJSON(t, answer, want)
	want.SetVersion(version)
	encoded := want.AppendTo(nil)
	want = kmsg.ResponseForKey(s.key)
	want.SetVersion(version)
	if err := want.ReadFrom(encoded); err != nil {
		t.Fatal(err)
	}
	if got, ok := got.(*kmsg.ApiVersionsResponse); ok {
		withoutLists(t, got, want.(*kmsg.ApiVersionsResponse))
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(kmsg.Tags{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.ends {
		closedWithout(t, c)
	}
}

// prepare brings the connection to where the exchange takes place.
func (s preauth) prepare(t *testing.T, c net.Conn) {
	t.Helper()
	switch s.after {
	case "":
	case "handshake":
		h := kmsg.NewPtrSASLHandshakeRequest()
		h.Mechanism = "PLAIN"
		if _, err := send(c, h, 1); err != nil {
			t.Fatal(err)
		}
	case "login":
		if err := login(c, "u@i-a"); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("after: %s", s.after)
	}
}

// withoutLists takes out what the pool decides, unless want says it.
func withoutLists(t *testing.T, got, want *kmsg.ApiVersionsResponse) {
	t.Helper()
	if want.ErrorCode == 0 && len(got.ApiKeys) == 0 {
		t.Error("no keys are advertised")
	}
	if want.ApiKeys == nil {
		got.ApiKeys = nil
	}
	got.SupportedFeatures, got.FinalizedFeatures, got.FinalizedFeaturesEpoch = nil, nil, want.FinalizedFeaturesEpoch
}

func readJSON(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
