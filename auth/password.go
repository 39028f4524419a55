package auth

import (
	"crypto/sha256"
	"crypto/subtle"

	"weir/tenancy"
)

// plainHash is what is stored of a password for PLAIN (operations.md S06): a keyed
// hash and not a slow one. It is read without the pepper by nobody, and a wrong
// password, which anybody may send, costs us a microsecond.
func plainHash(pepper, salt []byte, password string) []byte {
	return keyed(sha256.New, pepper, joined("plain", string(salt), password))
}

// phantomPlain is the PLAIN credential of an account that has none.
func phantomPlain(pepper []byte, id tenancy.InstanceID, user string) tenancy.Credential {
	draw := keyed(sha256.New, pepper, joined("plain salt", string(id), user))
	return tenancy.Credential{Mechanism: Plain, Salt: draw[:saltBytes], StoredKey: draw}
}

// matches finds the credential that a password is of. One hash serves both, and
// both are compared.
func (a *Authenticator) matches(creds *pair, password string) (which int, ok bool) {
	stored := a.hash(a.pepper, creds[0].Salt, password)
	first := subtle.ConstantTimeCompare(stored, creds[0].StoredKey)
	second := subtle.ConstantTimeCompare(stored, creds[1].StoredKey)
	return 1 - first, first|second == 1
}
