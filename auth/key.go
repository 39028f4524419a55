package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"weir/tenancy"
)

// keySecretBytes of randomness are in an API key's secret: 43 characters of base64url.
const keySecretBytes = 32

// NewKey draws an API key for a user: what to store, and its secret, which nobody
// can find again. A key counts for the user that is there at its creation, not for
// one that is made later under the same name. random is crypto/rand if nil.
func (a *Authenticator) NewKey(random io.Reader, id tenancy.InstanceID, user tenancy.User, now time.Time) (k tenancy.Key, secret string, err error) {
	if random == nil {
		random = rand.Reader
	}
	if k.ID, err = tenancy.NewKeyID(random); err != nil {
		return tenancy.Key{}, "", err
	}
	raw := make([]byte, keySecretBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return tenancy.Key{}, "", fmt.Errorf("drawing the secret of an API key: %w", err)
	}
	secret = base64.RawURLEncoding.EncodeToString(raw)
	k.User, k.CreatedAt = user.Name, now.UTC()
	if k.CreatedAt.Before(user.CreatedAt) { // another gateway's clock goes ahead of ours
		k.CreatedAt = user.CreatedAt
	}
	k.Hash = a.keyHash(id, k.ID, secret)
	return k, secret, nil
}

// keyHash is what is stored of a key's secret (S06). It is bound to its place: moved
// to another instance or id in Redis it opens nothing. A plain HMAC is enough
// against guessing, since the secret has 256 random bits.
func (a *Authenticator) keyHash(id tenancy.InstanceID, key, secret string) []byte {
	return keyed(sha256.New, a.pepper, joined("api key", string(id), key, secret))
}

// plainKey checks PLAIN for a name that reads as a key's id. Whether there is such a
// key, the work is one HMAC and one comparison.
func (c *Conversation) plainKey(name, secret string) outcome {
	c.claim = c.auth.resolveKey(c.peer, name)
	if why := c.admit(""); why != "" {
		return refuse(why)
	}
	key := &c.claim.key
	if !hmac.Equal(c.auth.keyHash(c.claim.target, key.ID, secret), key.Hash) {
		return refuse(ReasonPasswordWrong)
	}
	return outcome{proved: true, proof: Proof{key: key.ID, Until: key.ExpiresAt}}
}

// resolveKey finds the key of an id as a client sent it, key or key@instance. For
// one that is not there it does the same, with a key that nothing matches.
func (a *Authenticator) resolveKey(peer Peer, name string) claim {
	id, target, mismatch := place(peer, name)
	c := claim{target: target, key: tenancy.Key{ID: id, Hash: a.nobodys[:sha256.Size]}}
	view, why := a.instance(&c, mismatch)
	if why != "" {
		c.refusal = why
		return c
	}
	key, ok := view.Access.Keys[id]
	if ok {
		c.key, c.user = key, key.User
	}
	user, there := view.Users[key.User]
	c.refusal = a.barred(view, user, peer.From)
	switch {
	case !ok:
		c.refusal = ReasonUserUnknown
	case c.refusal != "":
	case !there || key.CreatedAt.Before(user.CreatedAt):
		c.refusal = ReasonUserUnknown
	case ended(key.ExpiresAt, a.now()):
		c.refusal = ReasonExpired
	}
	return c
}

// keyHolds says why a session may not stay that an API key has opened, "" if it may.
func (a *Authenticator) keyHolds(view *tenancy.View, user tenancy.User, id string) Reason {
	key, ok := view.Access.Keys[id]
	switch {
	case !ok, key.User != user.Name, key.CreatedAt.Before(user.CreatedAt):
		return ReasonRevoked
	case ended(key.ExpiresAt, a.now()):
		return ReasonExpired
	}
	return ""
}

// isKey reports whether a name as a client sends it is a key's.
func isKey(name string) bool {
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		name = name[:at]
	}
	return tenancy.IsKeyID(name)
}
