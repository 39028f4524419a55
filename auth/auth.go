package auth

import (
	"crypto/rand"
	"crypto/x509"
	"io"
	"log/slog"
	"runtime"
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
	// Log receives mistakes in this configuration, and in those of instances. slog.Default() if nil.
	Log *slog.Logger
	// Now is the clock by which limits refill and proofs end. time.Now if nil.
	Now func() time.Time
	// Rand is where nonces come from; any goroutine may read. crypto/rand if nil.
	Rand io.Reader
	// Pepper is a secret shared by all gateways from which the salts of
	// unknown users are derived, so that they look like known ones. If empty,
	// a random one is taken: then who asks two gateways, or asks again after a
	// restart, can tell an unknown user by its changing salt.
	Pepper []byte
	// Defaults of a plan; of "", those of the default plan. It must not block; any
	// goroutine. The zero Defaults for every plan if nil.
	Defaults func(plan string) Defaults
	// Issuers whose tokens instances may believe. OAUTHBEARER is offered if there
	// are any; each must have passed Check.
	Issuers []AllowedIssuer
	// KeyAge is for how long an issuer's keys are believed without asking it again.
	// DefaultKeyAge if zero.
	KeyAge time.Duration
}

// Defaults are what a plan says where an instance says nothing.
type Defaults struct {
	// DenyACLs denies what no ACL speaks of; else it is allowed (Kafka's
	// allow.everyone.if.no.acl.found).
	DenyACLs bool
	// DenyNetworks refuses everybody while the instance has no networks; else
	// everybody is let in.
	DenyNetworks bool
}

// Authenticator checks credentials. Any goroutine.
type Authenticator struct {
	directory Lookup
	now       func() time.Time
	rand      io.Reader
	pepper    []byte
	defaults  func(plan string) Defaults
	log       *slog.Logger

	limiter    *limiter
	tokenSlots *slots                                            // to check signatures in
	plainSlots *slots                                            // to check passwords in
	chainSlots *slots                                            // to verify certificates in
	nobodys    [64]byte                                          // keys that nothing matches; random, immutable
	hash       func(pepper, salt []byte, password string) []byte // plainHash; tests count it
	keys       *keyring                                          // nil: OAUTHBEARER is not offered
}

// New returns an authenticator.
func New(cfg Config) *Authenticator {
	a := &Authenticator{
		directory:  cfg.Directory,
		now:        cfg.Now,
		rand:       cfg.Rand,
		pepper:     cfg.Pepper,
		defaults:   cfg.Defaults,
		log:        cfg.Log,
		limiter:    newLimiter(maxTracked),
		tokenSlots: newSlots(runtime.GOMAXPROCS(0), patience),
		plainSlots: newSlots(runtime.GOMAXPROCS(0), patience),
		chainSlots: newSlots(runtime.GOMAXPROCS(0), patience),
		hash:       plainHash,
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.defaults == nil {
		a.defaults = func(string) Defaults { return Defaults{} }
	}
	if a.rand == nil {
		a.rand = rand.Reader
	}
	rand.Read(a.nobodys[:])
	if len(cfg.Issuers) > 0 {
		a.keys = newKeyring(cfg.Issuers, cfg.KeyAge, a.now, a.log)
	}
	if len(a.pepper) == 0 {
		a.log.Warn("no pepper is configured: the salts of unknown users differ between gateways; give all gateways the same one")
		a.pepper = randomKey()
	}
	return a
}

// Mechanisms that clients may choose, in the order in which to list them.
func (a *Authenticator) Mechanisms() []string {
	all := []string{ScramSHA256, ScramSHA512, Plain}
	if a.keys != nil {
		all = append(all, OAuthBearer)
	}
	return all
}

// Peer is what is known of the client before it authenticates.
type Peer struct {
	From tenancy.From
	// Instance is what the endpoint's host name (SNI) says, "" if the endpoint
	// does not tell; then the user name must (user@instance).
	Instance tenancy.InstanceID
	// Chain is what the client showed in the TLS handshake, leaf first: it has the
	// leaf's key, nothing else is known. nil: no certificate.
	Chain []*x509.Certificate
}

// randomKey returns a secret of this process. Reading crypto/rand never fails.
func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}
