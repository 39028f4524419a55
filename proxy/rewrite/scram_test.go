package rewrite

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// alterSCRAM sends a request to a session over store and returns the codes by user.
func alterSCRAM(t *testing.T, store *fakeStore, change func(*kmsg.AlterUserSCRAMCredentialsRequest)) map[string]int16 {
	t.Helper()
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	change(req)
	x := &Exchange{Session: newSession(newFakePool()), Ctx: t.Context(), Key: req.Key()}
	x.Store = store
	api, _ := Lookup(req.Key(), 0)
	plan, err := api.Plan(x, req.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	if err := resp.ReadFrom(join(plan.Answer)); err != nil {
		t.Fatal(err)
	}
	codes := map[string]int16{}
	for _, r := range resp.Results {
		codes[r.User] = r.ErrorCode
	}
	return codes
}

func upsertion(name string, salted []byte) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = name, 1, 4096, []byte("salt"), salted
	return u
}

// What is stored is what one can log in by, beside what was there before.
func TestAlterSCRAMStoresKeys(t *testing.T) {
	store := newFakeStore()
	kept := tenancy.Credential{Mechanism: auth.ScramSHA512, Salt: []byte("kept"), StoredKey: []byte("k"), ServerKey: []byte("s"), Iterations: 8192}
	store.users["alice"] = tenancy.User{Name: "alice", Disabled: true, Version: 3, Credentials: []tenancy.Credential{
		{Mechanism: auth.ScramSHA256, Salt: []byte("old"), Iterations: 8192}, kept,
	}}
	salted, err := pbkdf2.Key(sha256.New, "correct horse battery", []byte("salt"), 4096, 32)
	if err != nil {
		t.Fatal(err)
	}
	codes := alterSCRAM(t, store, func(req *kmsg.AlterUserSCRAMCredentialsRequest) {
		req.Upsertions = append(req.Upsertions, upsertion("alice", salted), upsertion("bob", salted))
	})
	if codes["alice"] != 0 || codes["bob"] != 0 {
		t.Fatalf("codes %v", codes)
	}
	want, _ := auth.CredentialFromSalted(auth.ScramSHA256, []byte("salt"), salted, 4096)
	same := func(a, b tenancy.Credential) bool {
		return fmt.Sprintf("%x", a.StoredKey) == fmt.Sprintf("%x", b.StoredKey) && string(a.Salt) == string(b.Salt)
	}
	alice, bob := store.users["alice"], store.users["bob"]
	if len(alice.Credentials) != 2 || !same(alice.Credentials[0], kept) || !same(alice.Credentials[1], want) || !alice.Disabled {
		t.Errorf("alice has %q, disabled is %v", alice.Credentials, alice.Disabled)
	}
	if len(bob.Credentials) != 1 || !same(bob.Credentials[0], want) || bob.CreatedAt.IsZero() || bob.Disabled {
		t.Errorf("bob is %+v", bob)
	}
}

// So many users and no more, of one request too, and nothing is written for
// those beyond.
func TestAlterSCRAMWithinMaxUsers(t *testing.T) {
	store := newFakeStore()
	for i := range tenancy.MaxUsers - 2 {
		name := fmt.Sprint("u", i)
		store.users[name] = tenancy.User{Name: name, Version: 1}
	}
	codes := alterSCRAM(t, store, func(req *kmsg.AlterUserSCRAMCredentialsRequest) {
		for i := range 500 {
			req.Upsertions = append(req.Upsertions, upsertion(fmt.Sprint("new", i), make([]byte, 32)))
		}
		req.Upsertions = append(req.Upsertions, upsertion("u1", make([]byte, 32)))
	})
	if codes["new1"] != 0 || codes["new2"] != codePolicyViolation || codes["u1"] != 0 {
		t.Errorf("codes: new1 %d, new2 %d, u1 %d", codes["new1"], codes["new2"], codes["u1"])
	}
	if store.rev != 3 || len(store.users) != tenancy.MaxUsers {
		t.Errorf("%d writes, %d users", store.rev, len(store.users))
	}
}

// A credential that somebody else removes first is not there to be removed, and
// one that is put for a user that goes meanwhile makes it anew.
func TestAlterSCRAMMeetsOthers(t *testing.T) {
	store := newFakeStore()
	store.users["alice"] = tenancy.User{Name: "alice", Version: 1, Credentials: []tenancy.Credential{{Mechanism: auth.ScramSHA256}}}
	x := &Exchange{Session: newSession(newFakePool()), Ctx: t.Context()}
	x.Store = store
	before, _ := x.usersByName()
	store.users["alice"] = tenancy.User{Name: "alice", Version: 2, Credentials: []tenancy.Credential{{Mechanism: auth.ScramSHA512}}}
	c := scramChange{user: "alice", mechanism: auth.ScramSHA256}
	if rev := x.alterUser(&c, before); rev != 0 || c.code != 91 || len(store.users) != 1 {
		t.Errorf("code %d, revision %d, %d users", c.code, rev, len(store.users))
	}
	delete(store.users, "alice")
	c = scramChange{user: "alice", mechanism: auth.ScramSHA256, put: tenancy.Credential{Mechanism: auth.ScramSHA256}}
	if rev := x.alterUser(&c, before); rev == 0 || c.code != 0 || store.users["alice"].Version != 1 {
		t.Errorf("code %d, revision %d, version %d", c.code, rev, store.users["alice"].Version)
	}
}

// What JSON cannot say in a scenario.
func TestQuotaNumbers(t *testing.T) {
	for name, tc := range map[string]struct {
		key   string
		value float64
		text  string
	}{
		"largest":         {tenancy.QuotaProducerBytes, math.MaxInt64, ""},
		"beyond":          {tenancy.QuotaConsumerBytes, 1e19, "too large for a LONG"},
		"infinite":        {tenancy.QuotaMutations, math.Inf(1), "too large for a DOUBLE"},
		"infinite bytes":  {tenancy.QuotaProducerBytes, math.Inf(1), "too large for a LONG"},
		"minus infinite":  {tenancy.QuotaMutations, math.Inf(-1), "greater than 0"},
		"no number":       {tenancy.QuotaRequestTime, math.NaN(), "greater than 0"},
		"no number bytes": {tenancy.QuotaProducerBytes, math.NaN(), "greater than 0"},
		"nearly integral": {tenancy.QuotaProducerBytes, 5 + 1e-7, ""},
		"nearly, below":   {tenancy.QuotaProducerBytes, 5 - 1e-7, "fractional"}, // as Kafka
		"smallest":        {tenancy.QuotaRequestTime, math.SmallestNonzeroFloat64, ""},
	} {
		if got := checkQuota(tc.key, tc.value); (got == "") != (tc.text == "") || !strings.Contains(got, tc.text) {
			t.Errorf("%s: %q, want %q", name, got, tc.text)
		}
	}
	odd := kmsg.NewDescribeClientQuotasRequestComponent()
	odd.EntityType, odd.MatchType = quotaUser, 3
	if _, text := nameFits(odd); text != "Unknown match type 3" {
		t.Errorf("a match of type 3: %q", text)
	}
}

// Names that read like the syntax do not make two entities one.
func TestQuotaEntitiesAreApart(t *testing.T) {
	a, tricky, none := "a", `a","client-id"="b`, "-"
	seen := map[string]bool{}
	for _, parts := range [][]quotaPart{
		{{quotaUser, &a}},
		{{quotaClient, &a}},
		{{quotaUser, nil}},
		{{quotaUser, &none}},
		{{quotaUser, &tricky}},
		{{quotaUser, &a}, {quotaClient, nil}},
		{{quotaUser, nil}, {quotaClient, &a}},
		{},
	} {
		id := (&quotaChange{parts: parts}).id()
		back := slices.Clone(parts)
		slices.Reverse(back)
		if seen[id] || (&quotaChange{parts: back}).id() != id {
			t.Errorf("%v: id %s", parts, id)
		}
		seen[id] = true
	}
}
