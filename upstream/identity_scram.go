package upstream

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/sasl"
)

const (
	// scramName is the one mechanism of identities.
	scramName = "SCRAM-SHA-512"
	// scramIterations is the least that Kafka takes (ScramMechanism): iterations
	// make guessing slow, and nobody guesses 256 random bits.
	scramIterations = 4096
	// scramMaxIterations bounds what a broker may make the gateway compute; Kafka's
	// own bound for what it stores is 16384.
	scramMaxIterations = 1 << 20
)

// scramSHA512 is the client's side of SCRAM-SHA-512 (RFC 5802) for one user. It
// remembers the keys that it derived, so that only the first of many connections
// pays for the iterations (RFC 5802 5.1 provides for that). franz-go's derives
// them each time. Any goroutine.
type scramSHA512 struct {
	user, password string
	derived        atomic.Pointer[scramKeys] // of the newest salt
}

// scramKeys are what a password became under a salt.
type scramKeys struct {
	salt              string
	iterations        int
	clientKey, server []byte
}

func newScramSHA512(user, password string) *scramSHA512 {
	return &scramSHA512{user: user, password: password}
}

// Name of the mechanism.
func (*scramSHA512) Name() string { return scramName }

// Authenticate begins one login.
func (s *scramSHA512) Authenticate(context.Context, string) (sasl.Session, []byte, error) {
	nonce := rand.Text()
	name := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s.user)
	c := &scramConversation{mech: s, nonce: nonce, first: "n=" + name + ",r=" + nonce}
	return c, []byte("n,," + c.first), nil
}

// keys derives, or remembers.
func (s *scramSHA512) keys(salt string, iterations int) (*scramKeys, error) {
	if k := s.derived.Load(); k != nil && k.salt == salt && k.iterations == iterations {
		return k, nil
	}
	salted, err := pbkdf2.Key(sha512.New, s.password, []byte(salt), iterations, sha512.Size)
	if err != nil {
		return nil, err
	}
	k := &scramKeys{salt: salt, iterations: iterations, clientKey: mac(salted, "Client Key"), server: mac(salted, "Server Key")}
	s.derived.Store(k)
	return k, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha512.New, key)
	_, _ = h.Write([]byte(text)) // a hash never fails
	return h.Sum(nil)
}

// scramConversation is one login. One goroutine.
type scramConversation struct {
	mech         *scramSHA512
	nonce, first string // first: client-first-message-bare
	want         []byte // the server's signature; nil before its first message
}

// Challenge answers the broker's message; done once the broker has proved that
// it knows the keys, too.
func (c *scramConversation) Challenge(in []byte) (done bool, out []byte, err error) {
	if c.want == nil {
		out, err = c.prove(string(in))
		return false, out, err
	}
	text, found := strings.CutPrefix(string(in), "v=")
	got, err := base64.StdEncoding.DecodeString(text)
	if !found || err != nil || !hmac.Equal(got, c.want) {
		return false, nil, errors.New("the broker does not prove that it knows the user")
	}
	return true, nil, nil
}

// prove reads the server's first message and makes the client's final one.
func (c *scramConversation) prove(serverFirst string) ([]byte, error) {
	nonce, salt, iterations, err := parseServerFirst(serverFirst)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(nonce, c.nonce) || len(nonce) == len(c.nonce) {
		return nil, errors.New("the broker's nonce does not extend ours")
	}
	keys, err := c.mech.keys(salt, iterations)
	if err != nil {
		return nil, err
	}
	final := "c=biws,r=" + nonce // biws: base64 of "n,,"
	message := c.first + "," + serverFirst + "," + final
	stored := sha512.Sum512(keys.clientKey)
	proof := bytes.Clone(keys.clientKey)
	for i, b := range mac(stored[:], message) {
		proof[i] ^= b
	}
	c.want = mac(keys.server, message)
	return []byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// parseServerFirst reads r=NONCE,s=SALT,i=ITERATIONS and ignores extensions.
func parseServerFirst(text string) (nonce, salt string, iterations int, err error) {
	parts := strings.Split(text, ",")
	if len(parts) < 3 || !strings.HasPrefix(parts[0], "r=") || !strings.HasPrefix(parts[1], "s=") || !strings.HasPrefix(parts[2], "i=") {
		return "", "", 0, fmt.Errorf("the broker's first message of %d bytes is not r=,s=,i=", len(text))
	}
	raw, err := base64.StdEncoding.DecodeString(parts[1][2:])
	if err != nil || len(raw) == 0 {
		return "", "", 0, errors.New("the broker's salt is not base64")
	}
	iterations, err = strconv.Atoi(parts[2][2:])
	if err != nil || iterations < scramIterations || iterations > scramMaxIterations {
		return "", "", 0, fmt.Errorf("the broker wants %.20q iterations, %d to %d are right", parts[2][2:], scramIterations, scramMaxIterations)
	}
	return parts[0][2:], string(raw), iterations, nil
}
