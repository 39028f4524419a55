package tenancy

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	bills    = Alias{Kind: KindTopic, Virtual: "bills", Physical: "legacy_bills"}
	billsRO  = Alias{Kind: KindTopic, Virtual: "theirs", Physical: "legacy_bills", ReadOnly: true}
	billing  = Alias{Kind: KindGroup, Virtual: "billing", Physical: "Billing group é (old), v2 own x"}
	dottedID = Alias{Kind: KindTopic, Virtual: "invoices", Physical: "legacy.invoices"}
)

func mustPut(t *testing.T, s *Store, id InstanceID, aliases ...Alias) Revision {
	t.Helper()
	rev, err := s.PutAliases(t.Context(), id, aliases...)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func wantAliases(t *testing.T, s *Store, id InstanceID, want ...Alias) {
	t.Helper()
	got, err := s.Aliases(t.Context(), id)
	if diff := cmp.Diff(append([]Alias{}, want...), got); err != nil || diff != "" {
		t.Errorf("aliases of %s: %v (-want +got):\n%s", id, err, diff)
	}
}

// What is put is read again, in the directory too, and gone once deleted.
func TestAliases(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	g := run(t, s, "gw-1").waitReady()
	mustPut(t, s, "orders", bills, billing)
	mustPut(t, s, "orders", dottedID)
	wantAliases(t, s, "orders", billing, bills, dottedID)
	g.until("the directory has the aliases", func() bool {
		v, ok := g.View("orders")
		return ok && len(v.Space.Aliases()) == 3 && v.Space.Physical(KindTopic, "bills") == "legacy_bills"
	})

	if _, err := s.DeleteAlias(t.Context(), "orders", KindGroup, "bills"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleting an alias of another kind: %v", err)
	}
	if _, err := s.DeleteAlias(t.Context(), "orders", KindTopic, "bills"); err != nil {
		t.Fatal(err)
	}
	wantAliases(t, s, "orders", billing, dottedID)
	if raw := m.HGet(aliasClaimsKey("eu1"), bills.claimField("orders")); raw != "" {
		t.Errorf("the claim is still there: %q", raw)
	}
	if owner, err := s.AliasOwner(t.Context(), "eu1", KindGroup, billing.Physical); owner != "orders" || err != nil {
		t.Errorf("owner of the group: %q, %v", owner, err)
	}
	g.until("the directory has lost the alias", func() bool {
		v, ok := g.View("orders")
		return ok && v.Space.Physical(KindTopic, "bills") == "orders.bills"
	})
}

// One physical name has one owner in its pool, and each name one alias in its instance.
func TestAliasesExclude(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	for _, id := range []InstanceID{"orders", "other", "elsewhere"} {
		in := someInstance(id)
		if id == "elsewhere" {
			in.Pool = "us1"
		}
		mustCreate(t, s, in)
	}
	mustCreate(t, s, someInstance("gone"))
	mustUpdate(t, s, "gone", setState(StateDeleted))
	mustPut(t, s, "orders", bills)
	tests := map[string]struct {
		id   InstanceID
		a    []Alias
		want error
	}{
		"the same again":            {"orders", []Alias{bills}, ErrExists},
		"virtual name again":        {"orders", []Alias{{Kind: KindTopic, Virtual: "bills", Physical: "free"}}, ErrExists},
		"physical name again":       {"orders", []Alias{{Kind: KindTopic, Virtual: "free", Physical: "legacy_bills"}}, ErrExists},
		"own share":                 {"orders", []Alias{billsRO}, ErrExists},
		"twice at once":             {"orders", []Alias{dottedID, dottedID}, ErrExists},
		"owned by another":          {"other", []Alias{{Kind: KindTopic, Virtual: "mine", Physical: "legacy_bills"}}, ErrOwned},
		"one of two is":             {"other", []Alias{billing, {Kind: KindTopic, Virtual: "mine", Physical: "legacy_bills"}}, ErrOwned},
		"under another prefix":      {"orders", []Alias{{Kind: KindTopic, Virtual: "x", Physical: "other.x"}}, ErrPrefixed},
		"under its own prefix":      {"orders", []Alias{{Kind: KindTopic, Virtual: "x", Physical: "orders.y"}}, ErrOwned},
		"a group under a prefix":    {"orders", []Alias{{Kind: KindGroup, Virtual: "x", Physical: "other. "}}, ErrOwned},
		"under that of a tombstone": {"orders", []Alias{{Kind: KindTopic, Virtual: "x", Physical: "gone.x", ReadOnly: true}}, ErrOwned},
		"no such instance":          {"nobody", []Alias{dottedID}, ErrNotFound},
		"of a deleted one":          {"gone", []Alias{dottedID}, ErrNotFound},
		"not a name":                {"orders", []Alias{{Kind: KindTopic, Virtual: "a/b", Physical: "x"}}, ErrAliasName},
		"too many":                  {"orders", manyAliases(MaxAliases), ErrFull},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := s.PutAliases(t.Context(), tt.id, tt.a...)
			if !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
	wantAliases(t, s, "orders", bills)
	wantAliases(t, s, "other")
	mustPut(t, s, "other", billsRO)   // a share takes nothing away
	mustPut(t, s, "elsewhere", bills) // another pool's
	wantAliases(t, s, "other", billsRO)
}

func manyAliases(n int) []Alias {
	all := make([]Alias, n)
	for i := range all {
		all[i] = Alias{Kind: KindTopic, Virtual: fmt.Sprint("v", i), Physical: fmt.Sprint("p", i)}
	}
	return all
}

func TestAliasCheck(t *testing.T) {
	long := strings.Repeat("x", 250)
	for name, tt := range map[string]struct {
		a    Alias
		want string
	}{
		"fine":               {bills, ""},
		"share":              {billsRO, ""},
		"group":              {billing, ""},
		"longest topic":      {Alias{KindTopic, "x", long[:249], false}, ""},
		"no kind":            {Alias{"", "x", "y", false}, "kind"},
		"no virtual name":    {Alias{KindTopic, "", "y", false}, "virtual name"},
		"virtual dots":       {Alias{KindTopic, "..", "y", false}, "virtual name"},
		"reserved":           {Alias{KindTopic, "__consumer_offsets", "y", false}, "virtual name"},
		"long virtual":       {Alias{KindTopic, long[:243], "y", false}, "virtual name"},
		"no physical name":   {Alias{KindTopic, "x", "", false}, "physical name"},
		"internal":           {Alias{KindTopic, "x", "__anything", false}, "internal"},
		"long physical":      {Alias{KindTopic, "x", long, false}, "physical name"},
		"not a topic name":   {Alias{KindTopic, "x", "a b", false}, "physical name"},
		"shared group":       {Alias{KindGroup, "x", "y", true}, "only topics"},
		"empty group":        {Alias{KindGroup, "", "y", false}, "virtual name"},
		"empty physical txn": {Alias{KindTxn, "x", "", false}, "physical name"},
		"not utf-8":          {Alias{KindTxn, "x", "\xff", false}, "UTF-8"},
		"long group":         {Alias{KindGroup, "x", strings.Repeat("x", 32768), false}, "physical name"},
	} {
		err := tt.a.Check("orders")
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrAliasName) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// A claim whose holder has not the alias is taken over once it is stale; one of a
// deleted instance too.
func TestStaleAliasClaims(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	now := time.Now()
	m.SetTime(now)
	slow, _ := mustCreate(t, s, someInstance("slow"))
	mustCreate(t, s, someInstance("fast"))
	at, err := s.claimAlias(t.Context(), slow, bills)
	if err != nil {
		t.Fatal(err)
	}
	m.SetTime(now.Add(claimStale - time.Second))
	_, err = s.PutAliases(t.Context(), "fast", bills)
	wantErr(t, "a young claim", err, ErrOwned)
	m.SetTime(now.Add(claimStale))
	mustPut(t, s, "fast", bills)
	_, err = s.writeAliases(t.Context(), "slow", MaxAliases, at+claimValid.Milliseconds(), []Alias{bills})
	wantErr(t, "writing late", err, ErrConflict)
	wantAliases(t, s, "slow")

	mustUpdate(t, s, "fast", setState(StateDeleted))
	m.SetTime(now.Add(2 * claimStale))
	mustPut(t, s, "slow", bills)
	if got := m.HGet(settingsKey("fast", settingsAliases), bills.field()); got != "" {
		t.Errorf("an alias outlived its instance: %s", got)
	}
}

// An instance and an alias under its prefix exclude each other, whoever comes first.
func TestAliasAgainstInstance(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("orders"))
	share := dottedID
	share.ReadOnly = true
	mustPut(t, s, "orders", share)
	_, _, err := s.CreateInstance(t.Context(), someInstance("legacy"))
	wantErr(t, "an instance over an alias", err, ErrOwned)
	mustCreate(t, s, someInstance("legac"))
	mustCreate(t, s, someInstance("legacy-2"))

	if _, err := s.DeleteAlias(t.Context(), "orders", KindTopic, "invoices"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "orders", share) // the refused creation left nothing in its way
	mustUpdate(t, s, "orders", setState(StateDeleted))
	m.SetTime(time.Now().Add(claimStale + time.Second))
	mustCreate(t, s, someInstance("legacy")) // its claim is nobody's

	// Registered, not written yet: that counts for an alias.
	if _, err := s.announce(t.Context(), intent, "coming", indexAdd); err != nil {
		t.Fatal(err)
	}
	_, err = s.PutAliases(t.Context(), "legac", Alias{Kind: KindTopic, Virtual: "x", Physical: "coming.x"})
	wantErr(t, "an alias under an id that is being taken", err, ErrOwned)
}

// Of many who want one physical name at once, one gets it.
func TestAliasRace(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	const n = 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range n {
		id := InstanceID(fmt.Sprintf("i-%d", i))
		mustCreate(t, s, someInstance(id))
		wg.Go(func() {
			_, err := s.PutAliases(t.Context(), id, bills)
			if err != nil && !errors.Is(err, ErrOwned) {
				t.Errorf("%s: %v", id, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d instances own one topic", won)
	}
}

// What a record with a broken alias does: the former view stays.
func TestBrokenAlias(t *testing.T) {
	for name, fields := range map[string]map[string]string{
		"wrong field":  {"v topic a": `{"kind":"topic","virtual":"b","physical":"p"}`, "p topic p": "x"},
		"no back":      {"v topic a": `{"kind":"topic","virtual":"a","physical":"p"}`},
		"not json":     {"v topic a": `{`},
		"another back": {"v topic a": `{"kind":"topic","virtual":"a","physical":"p"}`, "p topic q": "x"},
	} {
		if got, err := decodeAliases("orders", fields); err == nil {
			t.Errorf("%s: read as %v", name, got)
		}
	}
}
