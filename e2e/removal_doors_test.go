//go:build real

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// all are the doors.
func (d *doors) all() []door {
	var password, key string
	onlyName := func() (user string) { user, _, _ = strings.Cut(d.in.user, "@"); return user }
	return []door{
		{
			name: "user disabled",
			open: func(t *testing.T, round int) []kgo.Opt {
				password = d.newUser(t, name("user", round))
				return d.by(d.wildcard(), kgo.SASL(scram.Auth{User: name("user", round), Pass: password}.AsSha512Mechanism()))
			},
			shut: func(t *testing.T, round int) {
				d.ask(t, http.MethodPatch, "/users/"+name("user", round), `{"disabled":true}`)
			},
		},
		{
			name: "user deleted",
			open: func(t *testing.T, round int) []kgo.Opt {
				password = d.newUser(t, name("gone", round))
				return d.by(d.wildcard(), kgo.SASL(scram.Auth{User: name("gone", round), Pass: password}.AsSha512Mechanism()))
			},
			shut: func(t *testing.T, round int) {
				d.ask(t, http.MethodDelete, "/users/"+name("gone", round), "", http.StatusNoContent)
			},
		},
		{
			name: "password rotated, no grace",
			open: func(t *testing.T, round int) []kgo.Opt {
				password = d.newUser(t, name("leak", round))
				return d.by(d.wildcard(), kgo.SASL(scram.Auth{User: name("leak", round), Pass: password}.AsSha512Mechanism()))
			},
			shut: func(t *testing.T, round int) {
				d.ask(t, http.MethodPost, "/users/"+name("leak", round)+"/rotate", `{"grace":"0s"}`)
			},
		},
		{
			name: "API key deleted",
			open: func(t *testing.T, _ int) []kgo.Opt {
				var made struct {
					Key                struct{ ID string }
					Username, Password string
				}
				d.decode(t, d.ask(t, http.MethodPost, "/users/"+onlyName()+"/keys", `{"comment":"e2e"}`, http.StatusCreated), &made)
				key = made.Key.ID
				return d.by(d.wildcard(), kgo.SASL(plain.Auth{User: made.Username, Pass: made.Password}.AsMechanism()))
			},
			shut: func(t *testing.T, _ int) { d.ask(t, http.MethodDelete, "/keys/"+key, "", http.StatusNoContent) },
		},
		{
			name: "network removed",
			open: func(t *testing.T, round int) []kgo.Opt {
				d.replace(t, "/networks", `{"allow":[{"cidr":"127.0.0.0/8"}]}`)
				return d.by(d.wildcard(), d.scram())
			},
			shut: func(t *testing.T, _ int) {
				d.replace(t, "/networks", `{"allow":[{"cidr":"192.0.2.0/24"}]}`)
			},
		},
		{
			name: "host name removed",
			open: func(t *testing.T, round int) []kgo.Opt {
				d.replace(t, "/networks", `{"allow":[{"cidr":"127.0.0.0/8"}]}`)
				chain, key := d.authority.server(t, "kafka.doors.example", "*.kafka.doors.example")
				body, _ := json.Marshal(map[string]string{"certificate_chain": chain, "private_key": key})
				d.ask(t, http.MethodPut, "/hosts/kafka.doors.example", string(body), http.StatusCreated)
				return d.by(&tls.Config{RootCAs: d.authority.pool(), ServerName: "kafka.doors.example", MinVersion: tls.VersionTLS12}, d.scram())
			},
			shut: func(t *testing.T, _ int) {
				d.ask(t, http.MethodDelete, "/hosts/kafka.doors.example", "", http.StatusNoContent)
			},
		},
		{
			name: "client CA removed",
			open: func(t *testing.T, round int) []kgo.Opt {
				d.clientCA(t, "")
				return d.by(d.certified(t, round))
			},
			shut: func(t *testing.T, _ int) { d.ask(t, http.MethodDelete, "/client-cas/e2e", "", http.StatusNoContent) },
		},
		{
			name: "certificate revoked",
			open: func(t *testing.T, round int) []kgo.Opt {
				d.clientCA(t, "")
				return d.by(d.certified(t, round))
			},
			shut: func(t *testing.T, _ int) { d.clientCA(t, d.authority.revokeLast(t)) },
		},
		{
			name: "issuer removed",
			open: func(t *testing.T, round int) []kgo.Opt {
				body := fmt.Sprintf(`{"url":%q,"jwks_url":%q,"audiences":["weir"]}`, d.keys.url, d.keys.url+"jwks")
				d.ask(t, http.MethodPut, "/issuers/e2e", body, http.StatusCreated)
				token := oauth.Auth{Token: d.keys.token(t, "app")}
				return d.by(d.wildcard(), kgo.SASL(token.AsMechanism()))
			},
			shut: func(t *testing.T, _ int) { d.ask(t, http.MethodDelete, "/issuers/e2e", "", http.StatusNoContent) },
		},
	}
}

// by is how a client of one round connects: to the instance's host name.
func (d *doors) by(cfg *tls.Config, more ...kgo.Opt) []kgo.Opt {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		raw, err := new(net.Dialer).DialContext(ctx, "tcp", d.bootstrap())
		if err != nil {
			return nil, err
		}
		return d.closed.watch(0, tls.Client(raw, cfg)), nil
	}
	return append([]kgo.Opt{kgo.SeedBrokers(d.bootstrap()), kgo.Dialer(dial)}, more...)
}

// wildcard is TLS to the instance's name under the gateway's domain.
func (d *doors) wildcard() *tls.Config {
	return &tls.Config{RootCAs: d.roots, ServerName: "i-doors.kafka.localhost", MinVersion: tls.VersionTLS12}
}

// certified is TLS with a client certificate.
func (d *doors) certified(t *testing.T, round int) *tls.Config {
	t.Helper()
	cfg := d.wildcard()
	cfg.Certificates = []tls.Certificate{d.authority.client(t, name("client", round))}
	return cfg
}

func (d *doors) scram() kgo.Opt {
	user, _, _ := strings.Cut(d.in.user, "@")
	return kgo.SASL(scram.Auth{User: user, Pass: d.in.password}.AsSha512Mechanism())
}

func (d *doors) clientCA(t *testing.T, crl string) {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"certificates": d.authority.pem, "crls": crl, "rules": []map[string]string{{"from": "common-name"}}})
	d.ask(t, http.MethodPut, "/client-cas/e2e", string(body), http.StatusCreated)
}

// newUser makes a user and returns its password.
func (d *doors) newUser(t *testing.T, user string) string {
	t.Helper()
	var made struct {
		Credentials struct{ Password string }
	}
	d.decode(t, d.ask(t, http.MethodPost, "/users", fmt.Sprintf(`{"name":%q}`, user), http.StatusCreated), &made)
	return made.Credentials.Password
}

func (d *doors) decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}
