package tenancy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func someIssuer(name string) Issuer {
	return Issuer{Name: name, URL: "https://login.example.com/" + name, Audiences: []string{"kafka"}, CreatedAt: time.Unix(1_700_000_000, 0).UTC()}
}

func TestIssuerCheck(t *testing.T) {
	for name, change := range map[string]func(*Issuer){
		"no name":            func(i *Issuer) { i.Name = "" },
		"long name":          func(i *Issuer) { i.Name = strings.Repeat("n", 65) },
		"name with a slash":  func(i *Issuer) { i.Name = "a/b" },
		"no URL":             func(i *Issuer) { i.URL = "" },
		"relative":           func(i *Issuer) { i.URL = "/realms/one" },
		"file":               func(i *Issuer) { i.URL = "file:///etc/passwd" },
		"opaque":             func(i *Issuer) { i.URL = "https:login.example.com" },
		"user":               func(i *Issuer) { i.URL = "https://login.example.com@evil.example/" },
		"query":              func(i *Issuer) { i.URL = "https://login.example.com/?x" },
		"empty query":        func(i *Issuer) { i.URL = "https://login.example.com/?" },
		"fragment":           func(i *Issuer) { i.URL = "https://login.example.com/#x" },
		"dots":               func(i *Issuer) { i.URL = "https://login.example.com/a/../b" },
		"dots at the end":    func(i *Issuer) { i.URL = "https://login.example.com/a/.." },
		"escaped dots":       func(i *Issuer) { i.URL = "https://login.example.com/a/%2e%2e/b" },
		"two slashes":        func(i *Issuer) { i.URL = "https://login.example.com//b" },
		"backslash":          func(i *Issuer) { i.URL = `https://login.example.com\b` },
		"control character":  func(i *Issuer) { i.URL = "https://login.example.com/\n" },
		"long URL":           func(i *Issuer) { i.URL = "https://login.example.com/" + strings.Repeat("x", 512) },
		"keys in a file":     func(i *Issuer) { i.JWKSURL = "file:///etc/passwd" },
		"no audience":        func(i *Issuer) { i.Audiences = nil },
		"empty audience":     func(i *Issuer) { i.Audiences = []string{""} },
		"many audiences":     func(i *Issuer) { i.Audiences = strings.Split(strings.Repeat("a ", 33), " ") },
		"two scopes in one":  func(i *Issuer) { i.Scopes = []string{"a b"} },
		"long claim":         func(i *Issuer) { i.Claims = map[string]string{"a": strings.Repeat("x", 257)} },
		"claim of no name":   func(i *Issuer) { i.Claims = map[string]string{"": "x"} },
		"user claim with LF": func(i *Issuer) { i.PrincipalClaim = "a\nb" },
	} {
		i := someIssuer("login")
		change(&i)
		if err := i.Check(); !errors.Is(err, ErrIssuer) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	i := someIssuer("login")
	i.JWKSURL, i.Scopes, i.Claims, i.PrincipalClaim = "https://keys.example.com/k", []string{"a"}, map[string]string{"org": ""}, "/a/b"
	if err := i.Check(); err != nil {
		t.Error(err)
	}
}

func TestIssuers(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	mustCreate(t, s, someInstance("i-one"))
	ctx := t.Context()
	put := func(i Issuer) error { _, _, err := s.PutIssuer(ctx, "i-one", i); return err }

	if err := put(someIssuer("b")); err != nil {
		t.Fatal(err)
	}
	if err := put(someIssuer("a")); err != nil {
		t.Fatal(err)
	}
	again := someIssuer("a")
	again.Audiences, again.CreatedAt = []string{"other"}, time.Now()
	if err := put(again); err != nil {
		t.Fatal(err)
	}
	again.CreatedAt = someIssuer("a").CreatedAt // stays
	all, err := s.Issuers(ctx, "i-one")
	if diff := cmp.Diff([]Issuer{again, someIssuer("b")}, all); diff != "" || err != nil {
		t.Error(err, diff)
	}
	taken := someIssuer("c")
	taken.URL = again.URL
	wantErr(t, "the URL of another", put(taken), ErrExists)
	wantErr(t, "a broken one", put(Issuer{}), ErrIssuer)
	_, _, err = s.PutIssuer(ctx, "i-nobody", someIssuer("a"))
	wantErr(t, "no instance", err, ErrNotFound)
	for n := 2; n < MaxIssuers; n++ {
		if err := put(someIssuer(fmt.Sprint("n", n))); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "one too many", put(someIssuer("z")), ErrFull)
	if _, err := s.DeleteIssuer(ctx, "i-one", "b"); err != nil {
		t.Error(err)
	}
	_, err = s.DeleteIssuer(ctx, "i-one", "b")
	wantErr(t, "deleted twice", err, ErrNotFound)
	if err := put(someIssuer("z")); err != nil {
		t.Error(err)
	}
}
