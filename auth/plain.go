package auth

import (
	"bytes"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// plain is the only step of PLAIN (RFC 4616): authzid NUL authcid NUL password.
// The password is checked against the account's keyed hash, or as the secret of the
// API key that the name is. Where there is neither, the work is the same.
func (c *Conversation) plain(token []byte) outcome {
	authzid, name, password, ok := parsePlain(token)
	if !ok {
		return refuse(c.admit(ReasonMalformed))
	}
	if isKey(string(name)) && (len(authzid) == 0 || bytes.Equal(authzid, name)) {
		return c.plainKey(string(name), string(password))
	}
	if why := c.identify(Plain, string(name)); why != "" {
		return refuse(why)
	}
	if len(authzid) > 0 && !bytes.Equal(authzid, name) {
		return refuse(ReasonAuthzID)
	}
	prepared, err := stringprep.SASLprep.Prepare(string(password))
	if err != nil {
		prepared = string(password) // nobody's: no credential is made of it; the work is the same
	}
	// In a slot, where the limit is asked again: of many attempts begun together no
	// more are checked than tokens and slots.
	release, ok := c.auth.plainSlots.acquire(c.claim.instance)
	if !ok {
		return refuse(ReasonBusy)
	}
	defer release()
	if why := c.admit(""); why != "" {
		return refuse(why)
	}
	which, ok := c.auth.matches(&c.claim.creds, prepared)
	if !ok {
		return refuse(ReasonPasswordWrong)
	}
	return c.byPassword(which, nil)
}

// parsePlain splits a PLAIN message. Name and password must not be empty, and
// nothing may be longer than what can be right. The parts alias the token.
func parsePlain(token []byte) (authzid, name, password []byte, ok bool) {
	authzid, rest, ok1 := bytes.Cut(token, []byte{0})
	name, password, ok2 := bytes.Cut(rest, []byte{0})
	switch {
	case !ok1 || !ok2 || bytes.IndexByte(password, 0) >= 0 || !utf8.Valid(token):
		return nil, nil, nil, false
	case len(name) == 0 || len(password) == 0:
		return nil, nil, nil, false
	case len(authzid) > maxName || len(name) > maxName || len(password) > maxPassword:
		return nil, nil, nil, false
	}
	return authzid, name, password, true
}
