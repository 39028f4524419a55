package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
	"weir/tenancy"
	"weir/upstream"
)

// heldPool holds names in memory.
type heldPool struct {
	mu                   sync.Mutex
	topics, groups, txns []string
	err                  error // every call's, if not nil
}

func (p *heldPool) holdTopics(names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topics = append(p.topics, names...)
}

func (p *heldPool) FirstTopic(_ context.Context, prefixes ...string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range p.topics {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return name, p.err
		}
	}
	return "", p.err
}

func (p *heldPool) TopicsExist(_ context.Context, names ...string) (map[string]bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	exist := map[string]bool{}
	for _, name := range names {
		exist[name] = slices.Contains(p.topics, name)
	}
	return exist, p.err
}

func (p *heldPool) Coordinated(_ context.Context, prefix string) (upstream.Coordinated, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := func(names []string) (kept []string) {
		for _, name := range names {
			if strings.HasPrefix(name, prefix) {
				kept = append(kept, name)
			}
		}
		return kept
	}
	return upstream.Coordinated{Groups: keep(p.groups), Txns: keep(p.txns)}, p.err
}

func (p *heldPool) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

func (p *heldPool) ListTopics(context.Context, string) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.topics), p.err
}

func (f *fixture) putAlias(id string, a ...tenancy.Alias) {
	f.t.Helper()
	if _, err := f.store.PutAliases(f.t.Context(), tenancy.InstanceID(id), a...); err != nil {
		f.t.Fatal(err)
	}
}

func TestAliases(t *testing.T) {
	f := newFixture(t)
	f.start()
	f.create("t-acme", "orders")
	f.pool.holdTopics("legacy_bills", "legacy_more")
	op := f.token("", "operator")
	a := f.do(op, http.MethodPost, "/v1/instances/orders/aliases", api.CreateAliases{Aliases: []api.CreateAlias{
		{Alias: api.Alias{Kind: "topic", Name: "bills", Physical: "legacy_bills"}},
		{Alias: api.Alias{Kind: "topic", Name: "more", Physical: "legacy_more", ReadOnly: true}},
		{Alias: api.Alias{Kind: "group", Name: "a b/c?", Physical: "Old group"}},
	}})
	if a.status != http.StatusCreated || decodeAs[api.CreatedAliases](t, a).ReadyOn.Of != 1 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if v, ok := f.directory.View("orders"); !ok || v.Space.Physical(tenancy.KindTopic, "bills") != "legacy_bills" {
		t.Error("the alias is not in force although the answer says so")
	}
	want := []api.Alias{
		{Kind: "group", Name: "a b/c?", Physical: "Old group"},
		{Kind: "topic", Name: "bills", Physical: "legacy_bills"},
		{Kind: "topic", Name: "more", Physical: "legacy_more", ReadOnly: true},
	}
	if diff := cmp.Diff(want, decodeAs[api.Aliases](t, f.do(op, http.MethodGet, "/v1/instances/orders/aliases", nil)).Items); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, path := range []string{"/v1/instances/orders/aliases/group/a%20b%2Fc%3F", "/v1/instances/orders/aliases/topic/more"} {
		if a := f.do(op, http.MethodDelete, path, nil); a.status != http.StatusNoContent {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if got := decodeAs[api.Aliases](t, f.do(op, http.MethodGet, "/v1/instances/orders/aliases", nil)).Items; len(got) != 1 {
		t.Errorf("what is left is %v", got)
	}
}

func TestAliasesRefused(t *testing.T) {
	f := newFixture(t)
	f.start()
	f.create("t-acme", "orders")
	f.create("t-other", "other")
	f.pool.topics = []string{"legacy", "theirs", "orders.own", "other.x"}
	f.pool.groups, f.pool.txns = []string{"orders.g"}, []string{"orders.t"}
	f.putAlias("other", tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "v", Physical: "theirs"})
	f.putAlias("orders", tenancy.Alias{Kind: tenancy.KindGroup, Virtual: "taken", Physical: "G"})
	for name, tt := range map[string]struct {
		body string
		want code
		in   string
	}{
		"no such topic":        {`{"kind":"topic","name":"a","physical":"nothing"}`, codeAliasMissing, "nothing"},
		"own topic":            {`{"kind":"topic","name":"own","physical":"legacy"}`, codeAliasAmbiguous, "own"},
		"own group":            {`{"kind":"group","name":"g","physical":"x"}`, codeAliasAmbiguous, "group"},
		"own transactional id": {`{"kind":"transactional-id","name":"t","physical":"x"}`, codeAliasAmbiguous, "transactional-id"},
		"owned":                {`{"kind":"topic","name":"a","physical":"theirs"}`, codeAliasOwned, "theirs"},
		"under a prefix":       {`{"kind":"topic","name":"a","physical":"other.x"}`, codeAliasOwned, "prefix of instance other"},
		"taken":                {`{"kind":"group","name":"taken","physical":"x"}`, codeAliasTaken, "taken"},
		"internal":             {`{"kind":"topic","name":"a","physical":"__consumer_offsets"}`, codeValidation, "aliases[0]"},
		"shared group":         {`{"kind":"group","name":"a","physical":"x","read_only":true}`, codeValidation, "only topics"},
		"another kind":         {`{"kind":"user","name":"a","physical":"x"}`, codeValidation, "aliases[0].kind"},
		"misspelt":             {`{"kind":"group","name":"a","physical":"x","readonly":true}`, codeValidation, "readonly"},
		"the second of two":    {`{"kind":"topic","name":"ok","physical":"legacy"},{"kind":"topic","name":"a","physical":"nothing"}`, codeAliasMissing, "aliases[1]"},
		"nothing":              {``, codeValidation, "aliases"},
	} {
		a := f.do(f.token("", "operator"), http.MethodPost, "/v1/instances/orders/aliases", `{"aliases":[`+tt.body+`]}`)
		if p := a.problem(t); p.Code != string(tt.want) || !strings.Contains(a.body, tt.in) {
			t.Errorf("%s: want %s with %q: %s", name, tt.want, tt.in, a.body)
		}
	}
	if got := f.do(f.token("", "operator"), http.MethodDelete, "/v1/instances/orders/aliases/topic/ok", nil).problem(t); got.Code != string(codeAliasNotFound) {
		t.Errorf("deleting what is not there: %v", got)
	}
	f.pool.err = errors.New("away")
	a := f.do(f.token("", "operator"), http.MethodPost, "/v1/instances/orders/aliases", `{"aliases":[{"kind":"topic","name":"ok","physical":"legacy"}]}`)
	if p := a.problem(t); p.Code != string(codePool) || !p.Retryable {
		t.Errorf("without the pool: %s", a.body)
	}
}

// An id is not given to somebody whose names the pool has already.
func TestIDHeldInThePool(t *testing.T) {
	f := newFixture(t)
	f.start()
	f.create("t-acme", "used")
	f.pool.topics = []string{"pay_x", "bill.x", "other", "used.x"}
	f.pool.groups, f.pool.txns = []string{"grp.1"}, []string{"txn.1"}
	post := func(token, body string) answer { return f.do(token, http.MethodPost, "/v1/instances", body) }
	op, admin := f.token("", "operator"), f.token("t-acme", "tenant-admin")
	for id, want := range map[string]string{"pay": `the topic "pay_x"`, "bill": `the topic "bill.x"`, "grp": `the group "grp.1"`, "txn": `the transactional id "txn.1"`} {
		a := post(op, `{"id":"`+id+`","tenant":"t-acme"}`)
		if p := a.problem(t); p.Code != string(codePoolHolds) || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s", id, a.body)
		}
		a = post(admin, `{"id":"`+id+`"}`)
		if p := a.problem(t); p.Code != string(codePoolHolds) || strings.Contains(p.Detail, want) {
			t.Errorf("a tenant is told: %s", a.body)
		}
	}
	if p := post(op, `{"id":"used","tenant":"t-acme"}`).problem(t); p.Code != string(codeInstanceIDTaken) {
		t.Errorf("a taken id: %v", p)
	}
	for _, body := range []string{`{"id":"oth"}`, `{"name":"pay"}`} {
		if a := post(admin, body); a.status != http.StatusCreated {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	f.putAlias("oth", tenancy.Alias{Kind: tenancy.KindGroup, Virtual: "g", Physical: "claimed.g"})
	if p := post(op, `{"id":"claimed","tenant":"t-acme"}`).problem(t); p.Code != string(codePoolHolds) {
		t.Errorf("an id over an alias: %v", p)
	}

	f.pool.err = errors.New("away")
	if a := post(op, `{"id":"later","tenant":"t-acme"}`); a.status != http.StatusCreated || !strings.Contains(f.log.String(), "without a look at the pool") {
		t.Errorf("operator without the pool: %d %s", a.status, a.body)
	}
	if p := post(admin, `{"id":"latest"}`).problem(t); p.Code != string(codePool) || !p.Retryable {
		t.Errorf("a tenant's choice without the pool: %v", p)
	}
	if a := post(admin, `{"name":"latest"}`); a.status != http.StatusCreated {
		t.Errorf("a generated id without the pool: %d %s", a.status, a.body)
	}
}

// What collides is warned of by name, once and not without end.
func TestSurvey(t *testing.T) {
	f := newFixture(t)
	f.start()
	f.create("t-acme", "pay")
	f.putAlias("pay", tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "x", Physical: "pay_imported"})
	f.create("t-acme", "again") // the directory has seen the alias
	f.pool.holdTopics("pay_x", "pay.x", "pay", "payx_y", "pay_imported", "stranger_x", "pay.a_b")
	s := Survey{Directory: f.directory, Pools: map[string]Surveyed{testPool: f.pool}, Log: slog.New(slog.NewJSONHandler(f.log, nil))}
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const line = "a topic of the pool collides"
	if log := f.log.String(); strings.Count(log, line) != 1 || !strings.Contains(log, `"topic":"pay_x"`) {
		t.Errorf("the log says %s", log)
	}
	for range 2 * surveyLines {
		f.pool.holdTopics("pay_y")
	}
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log := f.log.String(); strings.Count(log, line) != 1+surveyLines || !strings.Contains(log, "more topics") {
		t.Errorf("the log has %d lines", strings.Count(log, line))
	}
}
