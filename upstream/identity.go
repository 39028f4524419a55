package upstream

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

// ErrIdentity says that a broker refused a principal that is not the gateway's
// own: it does not know it yet, or no more, or by another password. The broker
// itself is well.
var ErrIdentity = errors.New("the broker refused the instance's principal")

// Identity is a principal of the pool beside the gateway's own, for the
// connections of one instance's clients: what it may not do, a gateway that mixes
// up two instances cannot do either (protocol.md 1.3). Any goroutine.
type Identity struct {
	User string
	mech *scramSHA512
}

// NewIdentity takes a user of the pool with its password, which must be random:
// 256 bits are asked of it.
func NewIdentity(user, password string) *Identity {
	return &Identity{User: user, mech: newScramSHA512(user, password)}
}

// String keeps the password out of whatever prints an identity.
func (i *Identity) String() string { return "principal User:" + i.User }

// GoString is String for %#v.
func (i *Identity) GoString() string { return i.String() }

// principal is the user as ACLs name it.
func principal(user string) string { return "User:" + user }

// mechanism is how a connection authenticates: as somebody, or as the gateway
// if as is nil; nil in a pool without SASL.
func (p *Pool) mechanism(as *Identity) sasl.Mechanism {
	if as != nil {
		return as.mech
	}
	return p.cfg.SASL
}

// Grant is one ALLOW ACL of an identity, from any host.
type Grant struct {
	Resource  kmsg.ACLResourceType
	Name      string
	Prefixed  bool // of every name that begins so; else of that name alone
	Operation kmsg.ACLOperation
}

func (g Grant) pattern() kmsg.ACLResourcePatternType {
	if g.Prefixed {
		return kmsg.ACLResourcePatternTypePrefixed
	}
	return kmsg.ACLResourcePatternTypeLiteral
}
