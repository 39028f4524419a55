package auth

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"weir/tenancy"
)

const (
	alicePassword = "correct horse battery"
	bobPassword   = "bob's pass, with=signs"
)

// testPepper is the fixtures'.
func testPepper() []byte { return []byte("pepper") }

// directory is a fake Lookup that tests change as they go.
type directory struct {
	mu    sync.Mutex
	views map[tenancy.InstanceID]*tenancy.View
}

func (d *directory) View(id tenancy.InstanceID) (*tenancy.View, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.views[id]
	return v, ok
}

func (d *directory) put(id tenancy.InstanceID, state tenancy.State, users ...tenancy.User) {
	v := &tenancy.View{
		Instance: tenancy.Instance{ID: id, State: state},
		Space:    tenancy.NewNamespace(id),
		Users:    make(map[string]tenancy.User),
		Access:   &tenancy.Access{},
	}
	for _, u := range users {
		v.Users[u.Name] = u
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.views[id] = v
}

// fixture is an authenticator over instances "one" (alice, bob, the disabled
// carol, and dave who has SCRAM-SHA-512 only), "two" (another alice), "asleep"
// (suspended), "dying" (deleting) and "broke" (budget spent), all with alice.
type fixture struct {
	*Authenticator
	dir *directory
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	alice := newUser(tb, "alice", alicePassword)
	carol := newUser(tb, "carol", alicePassword)
	carol.Disabled = true
	dave := newUser(tb, "dave", alicePassword)
	dave.Credentials = dave.Credentials[1:]

	dir := &directory{views: make(map[tenancy.InstanceID]*tenancy.View)}
	dir.put("one", tenancy.StateActive, alice, newUser(tb, "bob", bobPassword), carol, dave)
	dir.put("two", tenancy.StateActive, newUser(tb, "alice", "another password"))
	dir.put("asleep", tenancy.StateSuspended, alice)
	dir.put("dying", tenancy.StateDeleting, alice)
	dir.put("broke", tenancy.StateActive, alice)
	dir.views["broke"].Instance.Restraint = tenancy.RestraintStop
	return &fixture{Authenticator: New(Config{Directory: dir, Pepper: testPepper()}), dir: dir}
}

func newUser(tb testing.TB, name, password string) tenancy.User {
	tb.Helper()
	creds, err := NewCredentials(testPepper(), rand.Reader, password)
	if err != nil {
		tb.Fatal(err)
	}
	return tenancy.User{Name: name, Credentials: creds, CreatedAt: time.Unix(0, 0), Version: 1}
}

// valid is Check as a session from nowhere in particular would ask it that SCRAM
// with one of alice's passwords has opened.
func (f *fixture) valid(p Principal, alice tenancy.User) bool {
	return f.Check(p, Proof{Mechanism: ScramSHA256, secret: alice.Credentials[0].Secret}, Peer{}) == ""
}

// at is a peer at an address, on the endpoint of an instance or none.
func at(addr string, id tenancy.InstanceID) Peer {
	return Peer{From: tenancy.From{Addr: netip.MustParseAddr(addr)}, Instance: id}
}

// login plays a whole client and returns what the last Step returned. SCRAM is
// xdg-go's client, which must find the server's proof right too.
func (f *fixture) login(mechanism string, peer Peer, name, password string) (Principal, error) {
	c, err := f.open(mechanism, peer, name, password)
	if c == nil {
		return Principal{}, err
	}
	return c.Principal(), err
}

// open is login for who wants to see more of the conversation than who was proved.
func (f *fixture) open(mechanism string, peer Peer, name, password string) (*Conversation, error) {
	c, ok := f.Start(mechanism, peer)
	if !ok {
		return nil, errors.New("mechanism is not listed")
	}
	if mechanism == Plain {
		_, done, err := c.Step(plainToken("", name, password))
		if err == nil && !done {
			err = errors.New("PLAIN wants a second step")
		}
		return c, err
	}
	_, err := loginScram(c, mechanism, name, password)
	return c, err
}

func loginScram(c *Conversation, mechanism, name, password string) (Principal, error) {
	client, err := scramHash(mechanism).NewClientUnprepped(name, password, "")
	if err != nil {
		return Principal{}, err
	}
	conv := client.NewConversation()
	message, err := conv.Step("")
	for err == nil {
		var reply []byte
		var done bool
		if reply, done, err = c.Step([]byte(message)); err != nil {
			return c.Principal(), err
		}
		if message, err = conv.Step(string(reply)); err == nil && done {
			if !conv.Valid() {
				return Principal{}, errors.New("the client does not trust the server")
			}
			return c.Principal(), nil
		}
	}
	return Principal{}, err
}

func scramHash(mechanism string) scram.HashGeneratorFcn {
	if mechanism == ScramSHA512 {
		return scram.SHA512
	}
	return scram.SHA256
}

func plainToken(authzid, name, password string) []byte {
	return []byte(strings.Join([]string{authzid, name, password}, "\x00"))
}

// reason is the reason of an error from Step, "" for none. The error must hold
// what every one must: ErrFailed, and no part of a secret.
func reason(tb testing.TB, err error) Reason {
	tb.Helper()
	if err == nil {
		return ""
	}
	failure, ok := errors.AsType[*Failure](err)
	if !ok || !errors.Is(err, ErrFailed) {
		tb.Fatalf("%v is not a *Failure that wraps ErrFailed", err)
	}
	return failure.Reason
}
