package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// loginAs authenticates with PLAIN and any password.
func loginAs(c net.Conn, user, password string) error {
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = auth.Plain
	resp, err := send(c, h, 1)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.(*kmsg.SASLHandshakeResponse).ErrorCode); err != nil {
		return err
	}
	a := kmsg.NewPtrSASLAuthenticateRequest()
	a.SASLAuthBytes = []byte("\x00" + user + "\x00" + password)
	if resp, err = send(c, a, 1); err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.(*kmsg.SASLAuthenticateResponse).ErrorCode)
}

// giveKey makes an API key of a user, in force when it returns.
func (r *rig) giveKey(id tenancy.InstanceID, user string) (k tenancy.Key, secret string) {
	r.t.Helper()
	u, err := r.store.User(r.t.Context(), id, user)
	if err != nil {
		r.t.Fatal(err)
	}
	k, secret, err = r.srv.cfg.Auth.NewKey(nil, id, u, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	rev, err := r.store.CreateKey(r.t.Context(), id, k)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
	return k, secret
}

// changeUser changes user u of i-a.
func (r *rig) changeUser(change func(*tenancy.User)) {
	r.t.Helper()
	u, err := r.store.User(r.t.Context(), "i-a", "u")
	if err != nil {
		r.t.Fatal(err)
	}
	change(&u)
	if _, _, err := r.store.PutUser(r.t.Context(), "i-a", u); err != nil {
		r.t.Fatal(err)
	}
}

// From the write to the end of the connection as its client sees it, twenty times
// for each way to lose a right. A neighbour's session stays all the while.
func TestLostCredentialsCloseInTime(t *testing.T) {
	r := newRig(t)
	first, err := r.store.User(t.Context(), "i-a", "u")
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := auth.Rotate([]byte("pepper"), nil, first, "a new password", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	neighbour := r.dial(0, "")
	if err := login(neighbour, "u@i-b"); err != nil {
		t.Fatal(err)
	}
	var key tenancy.Key
	for _, tc := range []struct {
		name string
		key  bool
		lose func()
	}{
		{"user disabled", false, func() { r.changeUser(func(u *tenancy.User) { u.Disabled = true }) }},
		{"user ended", false, func() { r.changeUser(func(u *tenancy.User) { u.ExpiresAt = time.Now() }) }},
		{"password leaked", false, func() { r.changeUser(func(u *tenancy.User) { u.Credentials = rotated }) }},
		{"key deleted", true, func() {
			if _, err := r.store.DeleteKey(t.Context(), "i-a", key.ID); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		var took []time.Duration
		for range 20 {
			r.changeUser(func(u *tenancy.User) { u.Disabled, u.ExpiresAt, u.Credentials = false, time.Time{}, first.Credentials })
			var secret string
			key, secret = r.giveKey("i-a", "u")
			name, with := "u@i-a", password
			if tc.key {
				name, with = key.ID+"@i-a", secret
			}
			c := r.dial(0, "")
			if err := loginAs(c, name, with); err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			begin := time.Now()
			tc.lose()
			if _, err := io.ReadAll(c); errors.Is(err, syscall.ETIMEDOUT) || isTimeout(err) {
				t.Fatalf("%s: the connection stays", tc.name)
			}
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		t.Logf("%s: p50 %s, p99 %s of %d", tc.name, took[len(took)/2], took[len(took)-1], len(took))
		if slow := took[len(took)/2]; slow > 100*time.Millisecond {
			t.Errorf("%s: half of them took longer than %s", tc.name, slow)
		}
	}
	if _, err := send(neighbour, kmsg.NewPtrMetadataRequest(), 9); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
}

// Re-authentication (KIP-368) may renew by another secret of the same user, by the
// same mechanism, and changes neither user nor instance.
func TestReauthenticationKeepsThePrincipal(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxReauth = time.Hour })
	r.create("c", "u", "other")
	own, ownSecret := r.giveKey("i-c", "u")
	others, othersSecret := r.giveKey("i-c", "other")
	foreign, foreignSecret := r.giveKey("i-b", "u")
	for name, tc := range map[string]struct {
		user, password string
		may            bool
	}{
		"itself":                       {"u@i-c", password, true},
		"a key of the same user":       {own.ID + "@i-c", ownSecret, true},
		"another user":                 {"other@i-c", password, false},
		"a key of another user":        {others.ID + "@i-c", othersSecret, false},
		"the user of that name of b":   {"u@i-b", password, false},
		"a key of the user of b":       {foreign.ID + "@i-b", foreignSecret, false},
		"a wrong password":             {"u@i-c", "wrong password", false},
		"nobody, and nobody's secrets": {"key-aaaaaaaaaaaaaaaa@i-c", ownSecret, false},
	} {
		c := r.dial(0, "")
		if err := loginAs(c, "u@i-c", password); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err := loginAs(c, tc.user, tc.password)
		if tc.may != (err == nil) || err != nil && !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = send(c, kmsg.NewPtrMetadataRequest(), 9)
		if tc.may != (err == nil) {
			t.Errorf("%s: a request after it: %v", name, err)
		}
	}
}

// A session that was renewed by a key hangs on the key, no longer on the password.
func TestReauthenticationMovesTheProof(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxReauth = time.Hour })
	key, secret := r.giveKey("i-a", "u")
	c := r.dial(0, "")
	if err := errors.Join(loginAs(c, "u@i-a", password), loginAs(c, key.ID+"@i-a", secret)); err != nil {
		t.Fatal(err)
	}
	rev, err := r.store.DeleteKey(t.Context(), "i-a", key.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	closedWithout(t, c)
}

// A mechanism cannot be changed by re-authentication, as on Kafka.
func TestReauthenticationKeepsTheMechanism(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxReauth = time.Hour })
	c := r.dial(0, "")
	if err := loginAs(c, "u@i-a", password); err != nil {
		t.Fatal(err)
	}
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Mechanism = auth.ScramSHA256
	if _, err := send(c, h, 1); err != nil {
		t.Fatal(err)
	}
	a := kmsg.NewPtrSASLAuthenticateRequest()
	a.SASLAuthBytes = []byte("n,,n=u@i-a,r=client")
	resp, err := send(c, a, 1)
	if err != nil || resp.(*kmsg.SASLAuthenticateResponse).ErrorCode != kerr.SaslAuthenticationFailed.Code {
		t.Errorf("%+v, %v", resp, err)
	}
	closedWithout(t, c)
}

// What 1000 bad logins cost, before the limit on their address closes the door at
// the first message of the handshake and after. Clients' work is in both.
func TestStuffingIsCheap(t *testing.T) {
	r := newRig(t)
	var shaken atomic.Int64 // handshakes that came to their end
	attempt := func(serverName, user string) {
		raw, err := net.Dial("tcp", r.srv.Addrs()[0])
		if err != nil {
			t.Error(err)
			return
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
		cfg := r.tls()
		cfg.ServerName = serverName
		c := tls.Client(raw, cfg)
		if c.HandshakeContext(t.Context()) == nil {
			shaken.Add(1)
			_ = loginAs(c, user, "guess-guess")
		}
	}
	const attackers = 20
	cost := func(n int, serverName, user string) float64 {
		before := processorTime(t)
		var wg sync.WaitGroup
		for range attackers {
			wg.Go(func() {
				for range n / attackers {
					attempt(serverName, user)
				}
			})
		}
		wg.Wait()
		return (processorTime(t) - before).Seconds() / float64(n) * 1000
	}
	begun := time.Now()
	cost(20, "localhost", "u@i-a") // empties the bucket
	open := cost(200, "localhost", "u@i-a")
	if n := shaken.Swap(0); n != 220 {
		t.Errorf("%d of 220 handshakes where no host name says the instance", n)
	}
	closed := cost(400, "i-a.kafka.localhost", "u")
	// One failure more is allowed each three seconds, and all who knock then come in.
	most := int64(time.Since(begun)/(3*time.Second)) * attackers
	t.Logf("processor seconds for 1000 bad logins: %.2f with a handshake each, %.2f refused at its first message", open, closed)
	if closed > open/2 {
		t.Errorf("%.2f s are more than half of %.2f s", closed, open)
	}
	if n := shaken.Load(); n > most {
		t.Errorf("%d of 400 handshakes after the limit, at most %d were allowed meanwhile", n, most)
	}
}

// processorTime is what this process has used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
