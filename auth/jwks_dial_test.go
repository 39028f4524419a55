package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// The key fetcher cannot be turned against our own network: whatever a name or an
// address leads to, nothing is dialed that is not public or listed.
func TestNoPrivateAddressIsDialed(t *testing.T) {
	var dialed []string
	w := wire{
		lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			return map[string][]netip.Addr{
				"metadata.example.com": {netip.MustParseAddr("169.254.169.254")},
				"loopback.example.com": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")},
				"mapped.example.com":   {netip.MustParseAddr("::ffff:10.0.0.1")},
				"mixed.example.com":    {netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("1.1.1.1")},
				"nobody.example.com":   {},
			}[host], nil
		},
		dial: func(_ context.Context, _ *net.Dialer, address string) (net.Conn, error) {
			dialed = append(dialed, address)
			return nil, errors.New("dialed")
		},
	}
	entry := AllowedIssuer{URL: "https://login.example.com/", Private: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}
	for host, want := range map[string]string{
		"169.254.169.254": "", "127.0.0.1": "", "127.8.8.8": "", "::1": "", "::": "", "0.0.0.0": "", "10.0.0.1": "",
		"172.16.0.1": "", "192.168.1.1": "", "100.64.0.1": "", "100.100.100.200": "", "168.63.129.16": "", "192.0.0.192": "",
		"224.0.0.1": "", "255.255.255.255": "", "fe80::1": "", "fe80::1%eth0": "", "fd00:ec2::254": "", "fc00::1": "", "ff02::1": "",
		"::ffff:127.0.0.1": "", "::ffff:169.254.169.254": "", "64:ff9b::a9fe:a9fe": "", "2002:7f00:1::": "", "2001:db8::1": "",
		"metadata.example.com": "", "loopback.example.com": "", "mapped.example.com": "", "nobody.example.com": "",
		"mixed.example.com": "1.1.1.1:443", "8.8.8.8": "8.8.8.8:443", "2606:4700::1": "[2606:4700::1]:443",
		"10.9.1.1": "10.9.1.1:443", "::ffff:10.9.1.1": "10.9.1.1:443",
	} {
		dialed = nil
		_, err := w.dialFor(entry)(t.Context(), "tcp", net.JoinHostPort(host, "443"))
		if got := strings.Join(dialed, " "); got != want || err == nil {
			t.Errorf("%s: dialed %q, %v; want %q", host, got, err, want)
		}
	}
}

// A name that is public when it is looked at and private when it is dialed: it is
// not looked up a second time, and the socket would be refused.
func TestRebindingGainsNothing(t *testing.T) {
	lookups := 0
	w := realWire()
	w.lookup = func(context.Context, string) ([]netip.Addr, error) {
		lookups++
		return []netip.Addr{netip.MustParseAddr("203.0.114.1")}, nil
	}
	w.dial = func(ctx context.Context, d *net.Dialer, address string) (net.Conn, error) {
		if address != "203.0.114.1:443" {
			t.Errorf("dials %s", address)
		}
		return d.DialContext(ctx, "tcp", "127.0.0.1:9") // whatever leads there after all
	}
	_, err := w.dialFor(AllowedIssuer{})(t.Context(), "tcp", "rebind.example.com:443")
	if !errors.Is(err, errAddress) || lookups != 1 {
		t.Errorf("%v after %d look-ups", err, lookups)
	}
}

// server is an HTTPS server on loopback, and an entry that allows it.
func server(t *testing.T, h http.HandlerFunc) (url string, entry AllowedIssuer) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL, AllowedIssuer{URL: s.URL + "/", Roots: roots, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

func TestGet(t *testing.T) {
	elsewhere := 0
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	t.Cleanup(plain.Close)
	t.Setenv("HTTPS_PROXY", plain.URL)
	t.Setenv("HTTP_PROXY", plain.URL)
	url, entry := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/keys":
			_, _ = w.Write([]byte(`{"keys":[]}`))
		case "/redirect":
			http.Redirect(w, r, plain.URL, http.StatusFound)
		case "/largest":
			_, _ = w.Write(make([]byte, maxDocument))
		case "/large":
			_, _ = w.Write(make([]byte, maxDocument+1))
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 100<<10))
		default:
			http.Error(w, "secret of an inner service", http.StatusForbidden)
		}
	})
	strangers := entry
	strangers.Roots = x509.NewCertPool()
	public := entry
	public.Private = nil
	for name, tc := range map[string]struct {
		entry AllowedIssuer
		from  string
		fails string // "": it does not
	}{
		"right":                 {entry, url + "/keys", ""},
		"redirect":              {entry, url + "/redirect", "status 302"},
		"largest":               {entry, url + "/largest", ""},
		"too large":             {entry, url + "/large", "more than"},
		"too many headers":      {entry, url + "/headers", "does not answer as an HTTPS server"},
		"forbidden":             {entry, url + "/secret", "status 403"},
		"http":                  {entry, "http://login.example.com/keys", "https"},
		"http, not listed":      {public, plain.URL, "https"},
		"file":                  {entry, "file:///etc/passwd", "https"},
		"gopher":                {entry, "gopher://127.0.0.1:6379/_FLUSHALL", "https"},
		"not allowed to dial":   {public, url + "/keys", "not a public address"},
		"unknown CA":            {strangers, url + "/keys", "certificate is not trusted"},
		"plain server on https": {entry, strings.Replace(plain.URL, "http:", "https:", 1), "does not answer as an HTTPS server"},
	} {
		body, err := realWire().get(t.Context(), tc.entry, tc.from)
		switch {
		case tc.fails == "" && err != nil, tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)):
			t.Errorf("%s: %d bytes, %v; want %q", name, len(body), err, tc.fails)
		case err != nil && strings.Contains(err.Error(), "secret"):
			if !strings.Contains(tc.from, "secret") || strings.Contains(err.Error(), "inner") {
				t.Errorf("%s: %v repeats what was answered", name, err)
			}
		}
	}
	if elsewhere != 0 {
		t.Errorf("%d requests went elsewhere", elsewhere)
	}
}

func TestAllowed(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	list := []AllowedIssuer{
		{URL: "https://login.example.com/"},
		{URL: "https://exact.example.com/realms/one", JWKS: []string{"https://keys.example.com/one/", "https://cdn.example.com/jwks.json"}},
		{URL: "http://127.0.0.1:8080/", Private: loopback},
	}
	for _, tc := range []struct {
		issuer, jwks string
		ok           bool
	}{
		{"https://login.example.com/", "", true},
		{"https://login.example.com/realms/one", "", true},
		{"https://login.example.com/realms/one", "https://login.example.com/other/certs", true},
		{"https://login.example.com", "", false},
		{"https://login.example.com.evil.example/", "", false},
		{"https://login.example.com:444/", "", false},
		{"http://login.example.com/", "", false},
		{"https://exact.example.com/realms/one", "https://exact.example.com/realms/one/certs", true},
		{"https://exact.example.com/realms/one", "https://exact.example.com/realms/one-more/certs", false},
		{"https://exact.example.com/realms/one", "https://keys.example.com/one/k", true},
		{"https://exact.example.com/realms/one", "https://keys.example.com/two/k", false},
		{"https://exact.example.com/realms/one", "https://cdn.example.com/jwks.json", true},
		{"https://exact.example.com/realms/one", "https://cdn.example.com/jwks.json/x", false},
		{"https://exact.example.com/realms/one", "https://login.example.com/certs", false},
		{"https://exact.example.com/realms/one/", "", false},
		{"http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a/keys", true},
		{"http://127.0.0.1:8081/a", "", false},
		{"http://localhost:8080/a", "", false},
	} {
		if _, err := allowed(list, tc.issuer, tc.jwks); (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrIssuerNotAllowed) {
			t.Errorf("%s with keys at %q: %v", tc.issuer, tc.jwks, err)
		}
	}
	if err := (AllowedIssuer{URL: "http://10.0.0.1/", Private: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}).Check(); err == nil {
		t.Error("http to what is not loopback")
	}
}

// What discovery may lead to.
func TestDiscovery(t *testing.T) {
	for name, tc := range map[string]struct {
		document string
		want     string
	}{
		"right":          {`{"issuer":"URL","jwks_uri":"URL/keys"}`, ""},
		"other issuer":   {`{"issuer":"URL/","jwks_uri":"URL/keys"}`, "is of issuer"},
		"keys elsewhere": {`{"issuer":"URL","jwks_uri":"https://169.254.169.254/latest"}`, "does not allow"},
		"keys in a file": {`{"issuer":"URL","jwks_uri":"file:///etc/passwd"}`, "does not allow"},
		"keys by dots":   {`{"issuer":"URL","jwks_uri":"URL/../../secret"}`, "does not allow"},
		"no keys":        {`{"issuer":"URL"}`, "no jwks_uri"},
		"not JSON":       {`<html>`, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			var url string
			url, entry := server(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(strings.ReplaceAll(tc.document, "URL", "https://"+r.Host+"/realm")))
			})
			ring := newKeyring([]AllowedIssuer{entry}, 0, nil, nil)
			s := &source{id: sourceID{issuer: url + "/realm"}, ring: ring, allowed: entry}
			at, err := s.discover(t.Context())
			if tc.want == "" && (err != nil || at != url+"/realm/keys") || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s, %v; want %q", at, err, tc.want)
			}
		})
	}
}
