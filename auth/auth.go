package auth

import (
	"errors"
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

// ErrFailed is all that a client may learn of a failed authentication. The cause, for our log only, is wrapped around it.
var ErrFailed = errors.New("authentication failed")

// Principal is who a client proved to be.
type Principal struct {
	Instance tenancy.InstanceID
	User     string
}

// Lookup finds an instance's present view; *tenancy.Directory provides it.
type Lookup interface {
	View(id tenancy.InstanceID) (*tenancy.View, bool)
}

// Config configures New.
type Config struct {
	Directory Lookup
	Log       *slog.Logger
	Now       func() time.Time // time.Now if nil
	Rand      io.Reader        // crypto/rand if nil
	// Pepper is a secret shared by all gateways from which the salts of
	// unknown users are derived, so that they look like known ones.
	Pepper []byte
}

// Authenticator checks credentials. Any goroutine.
type Authenticator struct{}

// New returns an authenticator.
func New(cfg Config) *Authenticator { panic("stub") }

// Mechanisms that clients may choose.
func (a *Authenticator) Mechanisms() []string { return []string{ScramSHA256, ScramSHA512, Plain} }

// Peer is what is known of the client before it authenticates.
type Peer struct {
	Addr netip.Addr
	// Instance is what the endpoint's host name (SNI) says, "" if the endpoint
	// does not tell; then the user name must (user@instance).
	Instance tenancy.InstanceID
}

// Conversation is one SASL exchange. Not for concurrent use.
type Conversation struct{}

// Start begins a conversation; ok is false for a mechanism that is not listed.
func (a *Authenticator) Start(mechanism string, peer Peer) (c *Conversation, ok bool) { panic("stub") }

// Step consumes a client token. It returns the reply, and done once the client
// has proved who it is. Any failure wraps ErrFailed and ends the conversation.
func (c *Conversation) Step(token []byte) (reply []byte, done bool, err error) { panic("stub") }

// Principal is who was proved; valid after done.
func (c *Conversation) Principal() Principal { panic("stub") }

// NewCredentials derives SCRAM keys for every SCRAM mechanism from a password.
func NewCredentials(rand io.Reader, password string) ([]tenancy.Credential, error) { panic("stub") }
