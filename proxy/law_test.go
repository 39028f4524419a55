package proxy

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/xdg-go/scram"

	"weir/auth"
	"weir/internal/certs"
	"weir/tenancy"
)

// secrets of one tenant, by which it tries to get in somewhere.
type secrets struct {
	user, password string
	token          string
	cert           *tls.Certificate
}

// apiKey is PLAIN with an API key: no mechanism of its own to clients.
const apiKey = "PLAIN by API key"

// errProved is what a client's side of SASL says when it has nothing more to say.
var errProved = errors.New("proved")

// loginAttempt is one login over a connection to some name: what the server has
// answered, in a form that two servers' answers can be compared in, and whether
// the client is in.
type loginAttempt func(c net.Conn, s secrets) (answers []string, err error)

// The law's table: how clients prove themselves.
func lawMechanisms() map[string]loginAttempt {
	return map[string]loginAttempt{
		auth.Plain:       plainAttempt,
		auth.ScramSHA256: scramAttempt(auth.ScramSHA256, scram.SHA256),
		auth.ScramSHA512: scramAttempt(auth.ScramSHA512, scram.SHA512),
		apiKey:           plainAttempt,
		auth.OAuthBearer: bearerAttempt,
		auth.Certificate: certificateAttempt,
	}
}

func plainAttempt(c net.Conn, s secrets) ([]string, error) {
	sent := false
	return saslAttempt(c, auth.Plain, func([]byte) ([]byte, error) {
		if sent {
			return nil, errProved
		}
		sent = true
		return []byte("\x00" + s.user + "\x00" + s.password), nil
	})
}

func scramAttempt(mechanism string, hash scram.HashGeneratorFcn) loginAttempt {
	return func(c net.Conn, s secrets) ([]string, error) {
		client, err := hash.NewClient(s.user, s.password, "")
		if err != nil {
			return nil, err
		}
		conv := client.NewConversation()
		return saslAttempt(c, mechanism, func(challenge []byte) ([]byte, error) {
			answer, err := conv.Step(string(challenge))
			if err == nil && conv.Done() {
				return nil, errProved
			}
			return []byte(answer), err
		})
	}
}

// salted is the only part of an answer that differs from one name to another
// without telling anything (see auth's phantoms).
var salted = regexp.MustCompile(`r=[^,]+,s=[^,]+,i=\d+`)

func saslAttempt(c net.Conn, mechanism string, next func(challenge []byte) ([]byte, error)) (answers []string, err error) {
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = mechanism
	resp, err := send(c, h, 1)
	if err != nil {
		return nil, err
	}
	answers = append(answers, fmt.Sprintf("%+v", resp))
	var challenge []byte
	for {
		token, err := next(challenge)
		if errors.Is(err, errProved) {
			return answers, ask(c)
		}
		if err != nil {
			return answers, err
		}
		a := kmsg.NewPtrSASLAuthenticateRequest()
		a.SASLAuthBytes = token
		resp, err := send(c, a, 2)
		if err != nil {
			return append(answers, "closed"), err
		}
		r := resp.(*kmsg.SASLAuthenticateResponse)
		challenge = r.SASLAuthBytes
		text := ""
		if r.ErrorMessage != nil {
			text = *r.ErrorMessage
		}
		answers = append(answers, fmt.Sprint(r.ErrorCode, " ", text, " ", salted.ReplaceAllString(string(challenge), "salt"), " ", r.SessionLifetimeMillis))
		if r.ErrorCode != 0 {
			rest, err := io.ReadAll(c)
			return append(answers, fmt.Sprintf("then %q %v", rest, err)), auth.ErrFailed
		}
	}
}

// certificateAttempt is over a connection on which the certificate was shown.
func certificateAttempt(c net.Conn, _ secrets) (answers []string, err error) {
	resp, err := send(c, kmsg.NewPtrApiVersionsRequest(), 2)
	if err != nil {
		return []string{err.Error()}, err
	}
	answers = append(answers, fmt.Sprintf("%d keys", len(resp.(*kmsg.ApiVersionsResponse).ApiKeys)))
	if err = ask(c); err != nil {
		answers = append(answers, err.Error())
	}
	return answers, err
}

// approach connects to a name, in its very spelling, as the n-th client: each from
// an address of its own, since the limit of failures has tests of its own.
func (r *rig) approach(n int64, listener int, name string, s secrets) (net.Conn, error) {
	cfg := r.tls()
	cfg.ServerName, cfg.InsecureSkipVerify = name, true
	if s.cert != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.cert, nil }
	}
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}
	d := tls.Dialer{Config: cfg, NetDialer: &net.Dialer{LocalAddr: from}}
	c, err := d.DialContext(r.t.Context(), "tcp", r.srv.Addrs()[listener])
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c, nil
}

// user makes a user, or gives it another password.
func (r *rig) user(id, name, password string) {
	r.t.Helper()
	creds, err := auth.NewCredentials([]byte("pepper"), rand.Reader, password)
	if err != nil {
		r.t.Fatal(err)
	}
	u := tenancy.User{Name: name, CreatedAt: time.Now()}
	if was, err := r.store.User(r.t.Context(), tenancy.InstanceID("i-"+id), name); err == nil {
		u = was
	}
	u.Credentials = creds
	_, rev, err := r.store.PutUser(r.t.Context(), tenancy.InstanceID("i-"+id), u)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
}

// SNI is law: a host name, its certificate and its credentials belong together.
// Whoever comes by B's name with what is A's fails, by every mechanism, under every
// spelling of either, and cannot tell it from a wrong password or a strange
// certificate.
func TestSNIIsLaw(t *testing.T) {
	ids := []string{"a", "b"}
	login := newIssuers(t, ids...)
	r := newRig(t, sealing, login.believing)
	hosts := map[string]string{"a": ownHost, "b": "bus.example"}
	has := map[string]map[string]secrets{} // by instance and mechanism; "": all others
	for _, id := range ids {
		r.user(id, "u", "password of "+id)
		r.user(id, "only-"+id, "password of "+id)
		r.setHost(id, hosts[id])
		ca := certs.NewCA(t, "ca of "+id)
		r.trust(id, ca, "")
		cert := ca.Client(t, "u")
		r.believe(id, login)
		key, secret := r.key(id, "u")
		has[id] = map[string]secrets{
			"":               {user: "u", password: "password of " + id},
			apiKey:           {user: key, password: secret},
			auth.OAuthBearer: {token: login.token(t, id, id)},
			auth.Certificate: {cert: &cert},
		}
	}
	stranger := certs.NewCA(t, "stranger").Client(t, "u")
	names := func(id string) []string {
		wild, own := "i-"+id+".kafka.localhost", hosts[id]
		return []string{wild, strings.ToUpper(wild), "b0-" + wild, "B2-" + wild, own, strings.ToUpper(own), "b0." + own, "B2." + own}
	}
	// of are an instance's secrets for a mechanism, under the given names of its users.
	of := func(mechanism, id string, users ...string) (all []secrets) {
		s, special := has[id][mechanism]
		if !special {
			s = has[id][""]
		}
		for _, user := range users {
			if special {
				if strings.HasPrefix(user, "only") {
					continue
				}
				user = s.user + strings.TrimPrefix(user, "u")
			}
			with := s
			with.user = user
			all = append(all, with)
			if mechanism == auth.Certificate {
				break // it has the user's name in it
			}
		}
		return all
	}
	right := func(mechanism, id string) []secrets {
		return of(mechanism, id, "u", "u@i-"+id, "only-"+id, "only-"+id+"@i-"+id)
	}

	var wg sync.WaitGroup
	var clients atomic.Int64
	slots := make(chan struct{}, 16)
	try := func(attempt loginAttempt, listener int, name string, s secrets, judge func(answers []string, err error)) {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			c, err := r.approach(clients.Add(1), listener, name, s)
			if err != nil {
				judge(nil, err)
				return
			}
			defer c.Close()
			judge(attempt(c, s))
		})
	}
	var tried, in atomic.Int64
	for mechanism, attempt := range lawMechanisms() {
		for i, a := range ids {
			b := ids[1-i]
			// What a wrong secret is told at b's name, before all else.
			wrong := secrets{user: "u", password: "wrong password", token: login.token(t, b, "stranger")}
			if mechanism == auth.Certificate {
				wrong.cert = &stranger
			}
			var want []string
			try(attempt, 0, "i-"+b+".kafka.localhost", wrong, func(answers []string, err error) {
				if want = answers; err == nil || len(want) == 0 {
					t.Errorf("%s: a wrong secret: %q, %v", mechanism, want, err)
				}
			})
			wg.Wait()
			foreign := append(right(mechanism, a), of(mechanism, a, "u@i-"+b, "only-"+a+"@i-"+b, "u@I-"+strings.ToUpper(a), "u@"+hosts[a],
				"u@i-"+a+"@i-"+b, "u@i-"+b+"@i-"+a, "u@i-"+a+".kafka.localhost")...)
			for listener := range 2 { // a bootstrap port, and a broker's
				if listener == 1 {
					foreign = foreign[:1]
				}
				for _, name := range names(b) {
					for _, s := range foreign {
						tried.Add(1)
						try(attempt, listener, name, s, func(answers []string, err error) {
							if err == nil {
								in.Add(1)
								t.Errorf("%s: %s of %s got in at %s", mechanism, s.user, a, name)
							} else if diff := cmp.Diff(want, answers); diff != "" {
								t.Errorf("%s: %s of %s at %s is not told what a wrong secret is (-want +got):\n%s", mechanism, s.user, a, name, diff)
							}
						})
					}
				}
				// And the right ones do get in, or all this would say nothing.
				for _, name := range names(a) {
					for _, s := range right(mechanism, a) {
						try(attempt, listener, name, s, func(_ []string, err error) {
							if err != nil {
								t.Errorf("%s: %s of %s does not get in at its own %s: %v", mechanism, s.user, a, name, err)
							}
						})
					}
				}
			}
		}
	}
	wg.Wait()
	t.Logf("%d attempts with another's secrets, %d got in", tried.Load(), in.Load())
}

// What TLS carries as a name, and what comes of it. Names that lead nowhere leave the
// choice to the port, and that to user@instance.
func TestOddServerNames(t *testing.T) {
	r := newRig(t, sealing, func(c *Config) {
		c.Listeners = append(c.Listeners, Listener{ // names only: no brokers' ports
			Address: "127.0.0.1:0", TLS: c.Listeners[0].TLS, SNI: c.Listeners[0].SNI, Node: AnyNode,
		})
	})
	r.setHost("a", ownHost)
	const pure = 4
	for what, test := range map[string]struct {
		name string // as it stands in the ClientHello
		user string // gets in; "": the handshake fails
	}{
		"own host":              {ownHost, "u"},
		"own host, upper case":  {strings.ToUpper(ownHost), "u"},
		"trailing dot":          {ownHost + ".", ""}, // RFC 6066 3 has none; crypto/tls insists
		"none":                  {"", "u@i-a"},
		"unknown domain":        {"kafka.other.example", "u@i-b"},
		"NUL behind":            {ownHost + "\x00", "u@i-b"},
		"NUL within":            {ownHost + "\x00.kafka.localhost", "u@i-b"},
		"255 bytes":             {strings.Repeat("a", 255), "u@i-b"},
		"255 bytes, own domain": {strings.Repeat("a.", 120) + "kafka.localhost", "u@i-b"},
		"not UTF-8":             {"\xff\xfe." + ownHost, "u@i-b"},
	} {
		for _, listener := range []int{0, pure} {
			c, err := r.helloAs(listener, test.name)
			if (err == nil) != (test.user != "") {
				t.Errorf("%s on listener %d: handshake: %v", what, listener, err)
			}
			if err != nil {
				continue
			}
			if err := login(c, test.user); err != nil {
				t.Errorf("%s on listener %d: %s: %v", what, listener, test.user, err)
			}
			if err := ask(c); err != nil {
				t.Errorf("%s on listener %d: %v", what, listener, err)
			}
			if !strings.Contains(test.user, "@") {
				continue
			}
			// There no name says the instance, so the user must.
			if c, err = r.helloAs(listener, test.name); err != nil || login(c, "u") == nil {
				t.Errorf("%s on listener %d: u without an instance got in, %v", what, listener, err)
			}
		}
	}
}

// helloAs connects with any bytes as the name of the ClientHello. crypto/tls sends no
// trailing dot, so that one is put in below TLS: enough for a handshake that fails.
func (r *rig) helloAs(listener int, name string) (net.Conn, error) {
	cfg := r.tls()
	cfg.InsecureSkipVerify = true
	raw, err := net.Dial("tcp", r.srv.Addrs()[listener])
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { _ = raw.Close() })
	cfg.ServerName = name
	if bare, dotted := strings.CutSuffix(name, "."); dotted {
		cfg.ServerName = bare + "x"
		raw = &patched{raw, []byte(cfg.ServerName), []byte(name)}
	}
	_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
	c := tls.Client(raw, cfg)
	return c, c.HandshakeContext(r.t.Context())
}

// patched replaces bytes in what is written.
type patched struct {
	net.Conn
	from, to []byte
}

func (p *patched) Write(b []byte) (int, error) {
	return p.Conn.Write(bytes.ReplaceAll(b, p.from, p.to))
}
