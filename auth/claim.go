package auth

import (
	"strings"

	"weir/tenancy"
)

// maxName bounds a user name as sent, in bytes: the longest that can exist is
// 64 + "@" + 32; RFC 4616 allows 255.
const maxName = 255

// claim is who a client says it is, with the credentials that its proof is to
// be checked against. Whatever does not exist has a phantom credential, so
// that the conversation goes on as it would for a real account; and whoever has
// one password has a second one that nothing matches, so that nobody can tell
// whose password is being rotated.
type claim struct {
	instance tenancy.InstanceID // "" if there is no such instance
	target   tenancy.InstanceID // the instance that was named, part of the client's message
	user     string             // a copy, so as not to keep the client's message; "" if there is no such user
	creds    pair               // that it may be proved by; always two
	unproved string             // whom a token names before it is believed: to count by, never to log
	key      tenancy.Key        // that it may be proved by, if the client named one
	refusal  Reason             // why it fails even with the right password; "" if it does not
}

// resolve finds the account of a name as a client sent it: "user" or
// "user@instance". The instance comes from the endpoint, from the name, or
// from both, which then must agree.
//
// An account that may not log in at the moment keeps its real credential: its
// salt must not change when it is disabled or its instance is suspended.
func (a *Authenticator) resolve(mechanism string, peer Peer, name string) claim {
	user, target, mismatch := place(peer, name)
	// Made for known accounts too, to be the same work.
	c := claim{target: target, creds: a.alone(phantom(a.pepper, mechanism, target, user))}
	view, why := a.instance(&c, mismatch)
	if why != "" {
		c.refusal = why
		return c
	}
	a.account(&c, mechanism, view, user, peer.From)
	return c
}

// place splits a name as a client sent it. mismatch says that name and endpoint
// disagree: then user is the whole name, nobody's.
func place(peer Peer, name string) (user string, target tenancy.InstanceID, mismatch bool) {
	user, target = name, peer.Instance
	if i := strings.LastIndexByte(name, '@'); i >= 0 { // no user name has an '@'
		switch suffix := tenancy.InstanceID(name[i+1:]); target {
		case "", suffix:
			user, target = name[:i], suffix
		default:
			mismatch = true
		}
	}
	return user, target, mismatch
}

// instance finds the claim's target, or says why nobody can log in there.
func (a *Authenticator) instance(c *claim, mismatch bool) (*tenancy.View, Reason) {
	view, ok := a.directory.View(c.target)
	if ok {
		c.instance = view.Instance.ID
	}
	switch {
	case c.target == "":
		return nil, ReasonInstanceMissing
	case !ok:
		return nil, ReasonInstanceUnknown
	case mismatch:
		return nil, ReasonInstanceMismatch
	}
	return view, ""
}

// alone makes a pair of one credential.
func (a *Authenticator) alone(cred tenancy.Credential) pair {
	nobodys := cred
	nobodys.StoredKey, nobodys.ServerKey = a.nobodys[:len(cred.StoredKey)], a.nobodys[:len(cred.ServerKey)]
	return pair{cred, nobodys}
}

// account fills in what the view knows of the user. Who comes from elsewhere
// fails like who has a wrong password, after the same work.
func (a *Authenticator) account(c *claim, mechanism string, view *tenancy.View, name string, from tenancy.From) {
	user, ok := view.Users[name]
	if !ok {
		c.refusal = ReasonUserUnknown
		if _, isKey := view.Access.Keys[name]; isKey {
			c.refusal = ReasonMechanismUnset // keys are for PLAIN
		}
		return
	}
	c.user = strings.Clone(name)
	c.refusal = ReasonMechanismUnset
	switch creds, n := passwords(user, mechanism); n {
	case 1:
		c.creds, c.refusal = a.alone(creds[0]), ""
	case 2:
		c.creds, c.refusal = creds, ""
	}
	if why := a.barred(view, user, from); why != "" {
		c.refusal = why
	}
}

// barred says why a user may not log in from there whatever it proves, "" if it may.
func (a *Authenticator) barred(view *tenancy.View, user tenancy.User, from tenancy.From) Reason {
	if !a.reachable(view, from) {
		return ReasonNetwork
	}
	return a.suspended(view, user)
}

// suspended is barred, wherever the client is. A zero user is one without a record.
func (a *Authenticator) suspended(view *tenancy.View, user tenancy.User) Reason {
	switch state := view.Instance.State; {
	case state == tenancy.StateSuspended:
		return ReasonInstanceSuspended
	case state != tenancy.StateActive:
		return ReasonInstanceDeleting
	case !view.Instance.Serves():
		return ReasonBudgetSpent
	case user.Disabled:
		return ReasonUserDisabled
	case ended(user.ExpiresAt, a.now()):
		return ReasonExpired
	}
	return ""
}
