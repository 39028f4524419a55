package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"

	"weir/tenancy"
)

const (
	// iterations of PBKDF2 in every credential we make.
	iterations = 8192
	// saltBytes is the length of every salt we make. RFC 5802 asks for no length;
	// NIST SP 800-132 for 16 bytes at least.
	saltBytes = 16
	// Length of a password, in bytes of UTF-8.
	minPassword, maxPassword = 8, 256
)

// ErrPassword is wrapped by every error about the form of a password.
var ErrPassword = errors.New("password not accepted")

// NewCredentials makes what a password is checked against: keys for every SCRAM
// mechanism (RFC 5802 section 3), and for PLAIN a hash under the gateways' pepper,
// each with a salt of its own. It takes some 10 ms of processor time. random is
// crypto/rand if nil. The error wraps [ErrPassword] and says which rule the
// password breaks, never the password.
//
// A password has 8 to 256 bytes of UTF-8, no control characters, and must be
// its own SASLprep form (RFC 4013): some clients prepare what the user typed
// (sarama) and some do not (Java, librdkafka, franz-go), so that any other
// password would work with only one kind.
func NewCredentials(pepper []byte, random io.Reader, password string) ([]tenancy.Credential, error) {
	return Rotate(pepper, random, tenancy.User{}, password, time.Time{})
}

func checkPassword(password string) error {
	switch {
	case len(password) < minPassword || len(password) > maxPassword:
		return fmt.Errorf("%w: it must have %d to %d bytes, has %d", ErrPassword, minPassword, maxPassword, len(password))
	case !utf8.ValidString(password):
		return fmt.Errorf("%w: it must be valid UTF-8", ErrPassword)
	}
	for _, r := range password {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: it must have no control characters", ErrPassword)
		}
	}
	// The error of SASLprep quotes a part of the password: keep it out.
	if prepared, err := stringprep.SASLprep.Prepare(password); err != nil || prepared != password {
		return fmt.Errorf("%w: it has characters that clients treat differently (RFC 4013); "+
			"choose others, printable ASCII always works", ErrPassword)
	}
	return nil
}

// newHash returns the hash of a SCRAM mechanism.
func newHash(mechanism string) func() hash.Hash {
	if mechanism == ScramSHA512 {
		return sha512.New
	}
	return sha256.New
}

// deriveKeys is RFC 5802 section 3: SaltedPassword, ClientKey, StoredKey, ServerKey.
func deriveKeys(mechanism, password string, salt []byte, iter int) (stored, server []byte, err error) {
	h := newHash(mechanism)
	salted, err := pbkdf2.Key(h, password, salt, iter, h().Size())
	if err != nil {
		return nil, nil, err
	}
	stored, server = saltedKeys(h, salted)
	return stored, server, nil
}

// saltedKeys is what of RFC 5802 section 3 follows SaltedPassword.
func saltedKeys(h func() hash.Hash, salted []byte) (stored, server []byte) {
	digest := h()
	digest.Write(keyed(h, salted, "Client Key"))
	return digest.Sum(nil), keyed(h, salted, "Server Key")
}

func keyed(h func() hash.Hash, key []byte, data string) []byte {
	mac := hmac.New(h, key)
	_, _ = io.WriteString(mac, data) // a hash.Hash never returns an error
	return mac.Sum(nil)
}

// joined puts parts into one string, each behind its length, so that no two
// lists of parts give the same one.
func joined(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return string(b)
}
