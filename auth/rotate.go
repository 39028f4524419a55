package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"time"

	"weir/tenancy"
)

// secretBytes of randomness are in the id of a password.
const secretBytes = 10

// pair is what a user has for one mechanism: of the newest password and, during a
// rotation, of the one before. They share salt and iterations, so that the
// server's first SCRAM message is one and a PLAIN password is hashed once.
type pair [2]tenancy.Credential

// passwords are a user's credentials for a mechanism: none, one, or two. Of
// two that cannot be served together the first counts.
func passwords(user tenancy.User, mechanism string) (p pair, n int) {
	for _, cred := range user.Credentials {
		switch {
		case cred.Mechanism != mechanism || n == 2:
		case n == 0, string(cred.Salt) == string(p[0].Salt) && cred.Iterations == p[0].Iterations:
			p[n] = cred
			n++
		}
	}
	return p, n
}

// CanUse reports whether a user has what a mechanism is checked against.
func CanUse(user tenancy.User, mechanism string) bool {
	_, n := passwords(user, mechanism)
	return n > 0
}

// Rotate gives a user a new password and returns the credentials to store: its own,
// first, and until the given moment those of the password before, whatever was
// before that one is dropped. Zero: the password before is worth nothing at once.
// The error is that of [NewCredentials], also if the password is the present one.
//
// The new password takes over salt and iterations. Otherwise there could not be
// two of one user; and who asks for a salt now and then would see it change, which
// says that there is such a user. Only what was made elsewhere (KIP-554) and is not
// needed any more gives way to our own form.
//
// pepper is that of [Config].
func Rotate(pepper []byte, random io.Reader, user tenancy.User, password string, until time.Time) ([]tenancy.Credential, error) {
	if err := checkPassword(password); err != nil {
		return nil, err
	}
	if random == nil {
		random = rand.Reader
	}
	secret, err := newSecretID(random)
	if err != nil {
		return nil, err
	}
	r := rotation{pepper: pepper, random: random, user: user, password: password, secret: secret, until: until}
	creds := make([]tenancy.Credential, 0, 6)
	for _, mechanism := range []string{ScramSHA256, ScramSHA512, Plain} {
		if creds, err = r.add(creds, mechanism); err != nil {
			return nil, err
		}
	}
	return creds, nil
}

// rotation is one call of Rotate.
type rotation struct {
	pepper   []byte
	random   io.Reader
	user     tenancy.User
	password string
	secret   string
	until    time.Time
}

// add makes the new credential of one mechanism, and keeps the old one.
func (r *rotation) add(creds []tenancy.Credential, mechanism string) ([]tenancy.Credential, error) {
	before, n := passwords(r.user, mechanism)
	old, own := before[0], iterations
	if mechanism == Plain {
		own = 0
	}
	keep := n > 0 && (!r.until.IsZero() || len(old.Salt) == saltBytes && old.Iterations == own)
	made := tenancy.Credential{Mechanism: mechanism, Salt: old.Salt, Iterations: old.Iterations, Secret: r.secret}
	if !keep {
		made.Salt, made.Iterations = make([]byte, saltBytes), own
		if _, err := io.ReadFull(r.random, made.Salt); err != nil {
			return nil, fmt.Errorf("reading a random salt: %w", err)
		}
	}
	if mechanism == Plain {
		made.StoredKey = plainHash(r.pepper, made.Salt, r.password)
	} else {
		var err error
		if made.StoredKey, made.ServerKey, err = deriveKeys(mechanism, r.password, made.Salt, made.Iterations); err != nil {
			return nil, fmt.Errorf("deriving %s keys: %w", mechanism, err)
		}
	}
	if keep && subtle.ConstantTimeCompare(made.StoredKey, old.StoredKey) == 1 {
		return nil, fmt.Errorf("%w: it is the present one", ErrPassword)
	}
	creds = append(creds, made)
	if n > 0 && !r.until.IsZero() {
		old.ExpiresAt = earlier(old.ExpiresAt, r.until.UTC().Round(0))
		creds = append(creds, old)
	}
	return creds, nil
}

// NewCredentials is the function of that name, with this authenticator's pepper.
func (a *Authenticator) NewCredentials(random io.Reader, password string) ([]tenancy.Credential, error) {
	return NewCredentials(a.pepper, random, password)
}

// Rotate is the function of that name, with this authenticator's pepper.
func (a *Authenticator) Rotate(random io.Reader, user tenancy.User, password string, until time.Time) ([]tenancy.Credential, error) {
	return Rotate(a.pepper, random, user, password, until)
}

// newSecretID draws the id of a password: 16 characters of base32. It says nothing
// about it.
func newSecretID(random io.Reader) (string, error) {
	var b [secretBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("drawing the id of a password: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:])), nil
}

// passwordHolds says why a session may not stay that was opened with a password of
// that id, "" if it may. A password that is gone has been rotated away, but where
// the user has one without an id it came over Kafka's protocol, which replaces
// passwords and leaves sessions alone.
func passwordHolds(user tenancy.User, secret string, now time.Time) Reason {
	why, heir := ReasonRevoked, ReasonRevoked
	for i := range user.Credentials {
		cred := &user.Credentials[i]
		holds := Reason("")
		if ended(cred.ExpiresAt, now) {
			holds = ReasonExpired
		}
		switch {
		case cred.Secret == secret && holds == "":
			return ""
		case cred.Secret == secret:
			why = holds
		case cred.Secret == "" && heir != "":
			heir = holds
		}
	}
	if why == ReasonRevoked {
		return heir
	}
	return why
}

// earlier is the first of two moments of which a zero one never comes.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// ended reports whether a moment has come; zero never does.
func ended(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
