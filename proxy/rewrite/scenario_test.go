package rewrite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/tools/txtar"

	"weir/quota"
	"weir/tenancy"
)

// Scenarios are testdata/<NN_api>/*.txtar, NN being the API key. One file is one
// exchange of instance "acme", run for every version that it lists:
//
//	What this shows, in words.
//	versions: 0-2,4
//	alias: topic bills = legacy_bills            optional, any number; with "read-only" behind it a share
//	limit: topics 3                              optional, any number; of groups there are none yet.
//	                                             "limit: full" is too much storage
//	refused: topics                              optional: the limits that are noted to have refused something
//
//	-- pool --       optional {"topics": [physical names], "answers": {"<key>": response}};
//	                 without it the pool holds acme.orders, acme.payments, other.orders
//	-- store --      optional {"users": [...], "quotas": [...]} that there are before (storeSpec)
//	-- stored --     optional, the same afterwards
//	-- acls --       optional lines "allow User:alice WRITE topic:orders" (aclLine), before
//	-- acls after -- optional, the same afterwards
//	-- request --    what the client sends
//	-- forwarded --  what the broker gets; absent: the gateway answers by itself
//	-- broker --     what the broker answers; absent: the exchange ends with forwarded
//	-- response --   what the client gets
//
// Bodies are kmsg structs as JSON over their defaults. Each is encoded and
// decoded at the version under test before it is compared, so a field that a
// version does not have is ignored, and one file serves versions that differ
// only in such fields; null and empty lists differ. "error: <reason>" in the
// head instead of a response (or forwarded) is the Error that closes the
// connection.
//
// What the ACLs say is in the head too, with virtual names (* is every name):
//
//	deny: topic orders write     all else is allowed
//	allow-only: cluster describe nothing else is allowed but other allow-only lines
//
// Within JSON these stand for values (text/template):
//
//	{{id "acme.orders"}}                       a topic's id; {{id ""}} is zero
//	{{subscription 3 "orders" "payments"}}     consumer protocol, version, topics (base64)
//	{{assignment 1 "orders" "payments"}}       the same for an assignment; partition 0 of each
//	{{bytes "text"}}                           base64 of text
//	{{long 300}}                               300 times x, without quotes
//
// No response may hold a name or address of the pool: that is checked of all.
type scenario struct {
	name     string
	key      int16
	versions []int16
	err      string
	guard    *fakeGuard // nil: everything is allowed
	aliases  []tenancy.Alias
	limited  bool
	bounds   quota.Bounds
	full     bool
	refused  []tenancy.LimitName
	files    map[string]string
}

func TestScenarios(t *testing.T) {
	for _, s := range loadScenarios(t) {
		for _, v := range s.versions {
			t.Run(fmt.Sprintf("%s/v%d", s.name, v), func(t *testing.T) { s.run(t, v) })
		}
	}
}

func (s scenario) run(t *testing.T, version int16) {
	api, ok := Lookup(s.key, version)
	if !ok || !api.Mapped() {
		t.Fatalf("%s v%d is not in the table", kmsg.NameForKey(s.key), version)
	}
	x := &Exchange{Session: newSession(s.pool(t)), Ctx: t.Context(), Key: s.key, Version: version}
	if s.guard != nil {
		x.Guard = s.guard
	}
	x.Space = tenancy.NewNamespace("acme", s.aliases...)
	defer s.limit(t, x)()
	if store, ok := x.Store.(*fakeStore); ok {
		defer s.stock(t, store)()
	}

	plan, err := api.Plan(x, s.body(t, "request", version))
	if s.files["forwarded"] == "" && s.files["response"] == "" {
		s.wantError(t, err)
		return
	}
	if err != nil {
		t.Fatalf("map: %v", err)
	}
	if s.files["forwarded"] == "" {
		if plan.Answer == nil {
			t.Fatalf("forwarded, want a local answer: %s", show(t, s.decode(t, "forwarded", version, join(plan.Request))))
		}
		s.check(t, "response", version, join(plan.Answer))
		return
	}
	if plan.Answer != nil {
		t.Fatalf("answered locally, want forwarded: %s", show(t, s.decode(t, "response", version, join(plan.Answer))))
	}
	s.check(t, "forwarded", version, join(plan.Request))
	if s.files["broker"] == "" {
		return
	}
	pieces, err := plan.Unmap(s.body(t, "broker", version))
	if s.err != "" {
		s.wantError(t, err)
		return
	}
	if err != nil {
		t.Fatalf("unmap: %v", err)
	}
	s.check(t, "response", version, join(pieces))
}

func (s scenario) wantError(t testing.TB, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != s.err {
		t.Fatalf("got error %v, want reason %q", err, s.err)
	}
}

// check compares a body with the scenario's file of that name.
func (s scenario) check(t *testing.T, file string, version int16, got []byte) {
	t.Helper()
	want := s.decode(t, file, version, s.body(t, file, version))
	if diff := cmp.Diff(want, s.decode(t, file, version, got), cmpopts.IgnoreUnexported(kmsg.Tags{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
	if file == "response" {
		for _, secret := range []string{"acme.", "other.", "pool.internal", "legacy"} {
			if bytes.Contains(bytes.ReplaceAll(got, []byte("acme.weir.test"), nil), []byte(secret)) {
				t.Errorf("the response holds %q", secret)
			}
		}
	}
}

// blank returns the message that file holds, at its defaults.
func (s scenario) blank(file string, version int16) Message {
	var m Message = kmsg.RequestForKey(s.key)
	if file == "broker" || file == "response" {
		m = kmsg.ResponseForKey(s.key)
	}
	m.SetVersion(version)
	return m
}

func (s scenario) decode(t testing.TB, file string, version int16, body []byte) Message {
	t.Helper()
	m := s.blank(file, version)
	if err := m.ReadFrom(body); err != nil {
		t.Fatalf("%s is not a %T v%d: %v", file, m, version, err)
	}
	return m
}

// body encodes the scenario's file of that name.
func (s scenario) body(t testing.TB, file string, version int16) []byte {
	t.Helper()
	m := s.blank(file, version)
	unmarshal(t, s.name+": "+file, s.files[file], m)
	m.SetVersion(version)
	return m.AppendTo(nil)
}

func (s scenario) pool(t testing.TB) *fakePool {
	if s.files["pool"] == "" {
		return newFakePool("acme.orders", "acme.payments", "other.orders")
	}
	var spec struct {
		Topics  []string                   `json:"topics"`
		Answers map[string]json.RawMessage `json:"answers"`
	}
	unmarshal(t, s.name+": pool", s.files["pool"], &spec)
	p := newFakePool(spec.Topics...)
	for k, raw := range spec.Answers {
		key, err := strconv.ParseInt(k, 10, 16)
		if err != nil {
			t.Fatalf("%s: pool: answers: key %q: %v", s.name, k, err)
		}
		resp := kmsg.ResponseForKey(int16(key))
		unmarshal(t, s.name+": pool: answers", string(raw), resp)
		p.answers[int16(key)] = resp
	}
	return p
}

func loadScenarios(t testing.TB) []scenario {
	paths, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []scenario
	for _, path := range paths {
		ar, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Base(filepath.Dir(path))
		number, _, _ := strings.Cut(dir, "_")
		key, err := strconv.ParseInt(number, 10, 16)
		if err != nil {
			t.Fatalf("%s: the folder does not begin with an API key", path)
		}
		s := scenario{name: dir + "/" + strings.TrimSuffix(filepath.Base(path), ".txtar"), key: int16(key), files: map[string]string{}}
		for line := range strings.Lines(string(ar.Comment)) {
			if list, ok := strings.CutPrefix(line, "versions:"); ok {
				s.versions = parseVersions(t, path, list)
			}
			if reason, ok := strings.CutPrefix(line, "error:"); ok {
				s.err = strings.TrimSpace(reason)
			}
			for _, head := range []string{"deny:", "allow-only:"} {
				if rule, ok := strings.CutPrefix(line, head); ok {
					if s.guard == nil {
						s.guard = &fakeGuard{}
					}
					s.guard.guardLine(t, rule, head == "allow-only:")
				}
			}
			s.limitLine(t, line)
			if alias, ok := strings.CutPrefix(line, "alias:"); ok {
				s.aliases = append(s.aliases, parseAlias(t, path, alias))
			}
		}
		if len(s.versions) == 0 {
			t.Fatalf("%s: no versions", path)
		}
		for _, f := range ar.Files {
			s.files[f.Name] = string(f.Data)
		}
		all = append(all, s)
	}
	return all
}

// parseAlias reads "topic bills = legacy_bills read-only".
func parseAlias(t testing.TB, path, text string) tenancy.Alias {
	words := strings.Fields(text)
	if len(words) < 4 || words[2] != "=" || len(words) > 4 && words[4] != "read-only" {
		t.Fatalf("%s: alias %q is not <kind> <virtual> = <physical> [read-only]", path, text)
	}
	a := tenancy.Alias{Kind: tenancy.Kind(words[0]), Virtual: words[1], Physical: words[3], ReadOnly: len(words) > 4}
	if err := a.Check("acme"); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return a
}

// parseVersions reads "0-2,4".
func parseVersions(t testing.TB, path, list string) []int16 {
	var versions []int16
	for span := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(span), "-")
		if !isRange {
			to = from
		}
		lo, err1 := strconv.ParseInt(from, 10, 16)
		hi, err2 := strconv.ParseInt(to, 10, 16)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatalf("%s: versions %q: %v", path, list, err)
		}
		for v := lo; v <= hi; v++ {
			versions = append(versions, int16(v))
		}
	}
	return versions
}

// unmarshal expands text as a template and reads it, strictly, as JSON into v.
func unmarshal(t testing.TB, what, text string, v any) {
	t.Helper()
	tmpl, err := template.New(what).Funcs(template.FuncMap{
		"id": func(physical string) (string, error) { return toJSON(idOf(physical)) },
		"subscription": func(version int, topics ...string) (string, error) {
			return toJSON(subscriptionBlob(version, topics...))
		},
		"assignment": func(version int, topics ...string) (string, error) { return toJSON(assignmentBlob(version, topics...)) },
		"bytes":      func(text string) (string, error) { return toJSON([]byte(text)) },
		"long":       func(n int) string { return strings.Repeat("x", n) },
	}).Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var expanded bytes.Buffer
	if err := tmpl.Execute(&expanded, nil); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&expanded)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func toJSON(v any) (string, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}

func show(t testing.TB, v any) string {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func join(pieces [][]byte) []byte { return bytes.Join(pieces, nil) }

// subscriptionBlob is a consumer protocol subscription: owned is topics, partition 0; generation 7; rack "r1".
func subscriptionBlob(version int, topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.UserData, m.Generation = int16(version), topics, []byte("opaque orders"), 7
	rack := "r1"
	m.Rack = &rack
	for _, topic := range topics {
		owned := kmsg.NewConsumerMemberMetadataOwnedPartition()
		owned.Topic, owned.Partitions = topic, []int32{0}
		m.OwnedPartitions = append(m.OwnedPartitions, owned)
	}
	return m.AppendTo(nil)
}

// assignmentBlob is a consumer protocol assignment of partition 0 of each topic.
func assignmentBlob(version int, topics ...string) []byte {
	m := kmsg.NewConsumerMemberAssignment()
	m.Version, m.UserData = int16(version), []byte("opaque orders")
	for _, topic := range topics {
		a := kmsg.NewConsumerMemberAssignmentTopic()
		a.Topic, a.Partitions = topic, []int32{0}
		m.Topics = append(m.Topics, a)
	}
	return m.AppendTo(nil)
}
