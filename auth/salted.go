package auth

import (
	"errors"
	"fmt"
	"slices"

	"weir/tenancy"
)

const (
	// MinIterations and MaxIterations bound what a credential made elsewhere may
	// ask of its clients, (Kafka's ScramMechanism and
	// ScramControlManager).
	MinIterations, MaxIterations = 4096, 16384
	// maxSalt bounds a salt, in bytes, which Kafka does not: every gateway keeps
	// all salts in memory. The longest known is librdkafka's, 64.
	maxSalt = 256
)

// ErrCredential is wrapped by every error about the form of a credential that
// was made elsewhere.
var ErrCredential = errors.New("credential not accepted")

// CredentialFromSalted makes the credential of a SCRAM mechanism from a password
// that a client has salted itself (KIP-554, RFC 5802 section 3: SaltedPassword).
// What the password was cannot be known, so the rules of [NewCredentials] for
// it do not hold. The error wraps [ErrCredential] and quotes no secret.
func CredentialFromSalted(mechanism string, salt, salted []byte, iter int) (tenancy.Credential, error) {
	if mechanism != ScramSHA256 && mechanism != ScramSHA512 {
		return tenancy.Credential{}, fmt.Errorf("%w: %.80q is no mechanism that keeps keys", ErrCredential, mechanism)
	}
	h := newHash(mechanism)
	switch size := h().Size(); {
	case iter < MinIterations || iter > MaxIterations:
		return tenancy.Credential{}, fmt.Errorf("%w: it must have %d to %d iterations, has %d", ErrCredential, MinIterations, MaxIterations, iter)
	case len(salt) == 0 || len(salt) > maxSalt:
		return tenancy.Credential{}, fmt.Errorf("%w: its salt must have 1 to %d bytes, has %d", ErrCredential, maxSalt, len(salt))
	case len(salted) != size:
		return tenancy.Credential{}, fmt.Errorf("%w: its salted password must have %d bytes for %s, has %d", ErrCredential, size, mechanism, len(salted))
	}
	c := tenancy.Credential{Mechanism: mechanism, Salt: slices.Clone(salt), Iterations: iter}
	c.StoredKey, c.ServerKey = saltedKeys(h, salted)
	return c, nil
}
