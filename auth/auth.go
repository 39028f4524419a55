package auth

import (
	"crypto/rand"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"weir/tenancy"
)

// Mechanisms in the order in which they are listed to clients.
const (
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
	Plain       = "PLAIN"
)

// Principal is who a client proved to be. Comparable: re-authentication
// (KIP-368) must prove an equal one.
type Principal struct {
	Instance tenancy.InstanceID
	User     string
}

// Lookup finds an instance's present view; *tenancy.Directory provides it. It
// must not block; any goroutine.
type Lookup interface {
	View(id tenancy.InstanceID) (*tenancy.View, bool)
}

// Config configures New.
type Config struct {
	// Directory says which instances and users there are. Required.
	Directory Lookup
	// Log receives mistakes in this configuration. slog.Default() if nil.
	Log *slog.Logger
	// Now is the clock of the failure limit and of the cache. time.Now if nil.
	Now func() time.Time
	// Rand is where nonces come from; any goroutine may read. crypto/rand if nil.
	Rand io.Reader
	// Pepper is a secret shared by all gateways from which the salts of
	// unknown users are derived, so that they look like known ones. If empty,
	// a random one is taken: then who asks two gateways, or asks again after a
	// restart, can tell an unknown user by its changing salt.
	Pepper []byte
	// DenyByDefault says of a plan whether its instances deny what no ACL speaks
	// of; else they allow it (Kafka's allow.everyone.if.no.acl.found). It must not
	// block; any goroutine. All allow if nil.
	DenyByDefault func(plan string) bool
}

// Authenticator checks credentials. Any goroutine.
type Authenticator struct {
	directory Lookup
	now       func() time.Time
	rand      io.Reader
	pepper    []byte
	deny      func(plan string) bool // may be nil

	limiter  *limiter
	verifier *verifier
}

// New returns an authenticator.
func New(cfg Config) *Authenticator {
	a := &Authenticator{
		directory: cfg.Directory,
		now:       cfg.Now,
		rand:      cfg.Rand,
		pepper:    cfg.Pepper,
		deny:      cfg.DenyByDefault,
		limiter:   newLimiter(maxTracked),
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.rand == nil {
		a.rand = rand.Reader
	}
	a.verifier = newVerifier(a.now)
	if len(a.pepper) == 0 {
		log := cfg.Log
		if log == nil {
			log = slog.Default()
		}
		log.Warn("no pepper is configured: the salts of unknown users differ between gateways; give all gateways the same one")
		a.pepper = randomKey()
	}
	return a
}

// Mechanisms that clients may choose, in the order in which to list them.
func (a *Authenticator) Mechanisms() []string { return []string{ScramSHA256, ScramSHA512, Plain} }

// Valid reports whether a principal that was proved earlier may stay: its
// instance is active and its user exists and is enabled. Call it for every
// live session when its instance's view has changed; it is cheap and takes no lock.
//
// A changed password does not end sessions, as in Kafka: rotating it must not
// disturb running clients, and the next login, or re-authentication within the
// session's lifetime, needs the new one. To throw out who knows the old
// password, disable the user until its sessions are closed, or delete it. A
// user that is deleted and made again between two calls counts as the same one.
func (a *Authenticator) Valid(p Principal) bool {
	view, ok := a.directory.View(p.Instance)
	if !ok || view.Instance.State != tenancy.StateActive {
		return false
	}
	user, ok := view.Users[p.User]
	return ok && !user.Disabled
}

// Peer is what is known of the client before it authenticates.
type Peer struct {
	Addr netip.Addr
	// Instance is what the endpoint's host name (SNI) says, "" if the endpoint
	// does not tell; then the user name must (user@instance).
	Instance tenancy.InstanceID
}

// randomKey returns a secret of this process. Reading crypto/rand never fails.
func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}
