package auth

import (
	"strings"

	"weir/tenancy"
)

// maxName bounds a user name as sent, in bytes: the longest that can exist is
// 64 + "@" + 32; RFC 4616 allows 255.
const maxName = 255

// claim is who a client says it is, with the credential that its proof is to
// be checked against. Whatever does not exist has a phantom credential, so
// that the conversation goes on as it would for a real account.
type claim struct {
	instance tenancy.InstanceID // "" if there is no such instance
	target   tenancy.InstanceID // the instance that was named, part of the client's message
	user     string             // a copy, so as not to keep the client's message; "" if there is no such user
	cred     tenancy.Credential
	refusal  Reason // why it fails even with the right password; "" if it does not
}

// resolve finds the account of a name as a client sent it: "user" or
// "user@instance". The instance comes from the endpoint, from the name, or
// from both, which then must agree. PLAIN is checked against the keys of
// SCRAM-SHA-256, or of SCRAM-SHA-512 for a user that has no others.
//
// An account that may not log in at the moment keeps its real credential: its
// salt must not change when it is disabled or its instance is suspended.
func (a *Authenticator) resolve(mechanism string, peer Peer, name string) claim {
	user, target, mismatch := name, peer.Instance, false
	if i := strings.LastIndexByte(name, '@'); i >= 0 { // no user name has an '@'
		switch suffix := tenancy.InstanceID(name[i+1:]); target {
		case "", suffix:
			user, target = name[:i], suffix
		default:
			mismatch = true // user stays the whole name: nobody's
		}
	}
	// Made for known accounts too, to be the same work.
	c := claim{target: target, cred: phantom(a.pepper, mechanism, target, user)}

	view, ok := a.directory.View(target)
	if ok {
		c.instance = view.Instance.ID
	}
	switch {
	case target == "":
		c.refusal = ReasonInstanceMissing
	case !ok:
		c.refusal = ReasonInstanceUnknown
	case mismatch:
		c.refusal = ReasonInstanceMismatch
	default:
		c.account(mechanism, view, user, a.reachable(view, peer.From))
	}
	return c
}

// account fills in what the view knows of the user. Who comes from elsewhere
// fails like who has a wrong password, after the same work.
func (c *claim) account(mechanism string, view *tenancy.View, name string, reachable bool) {
	user, ok := view.Users[name]
	if !ok {
		c.refusal = ReasonUserUnknown
		return
	}
	c.user = strings.Clone(name)
	c.refusal = ReasonMechanismUnset
	if cred, ok := credential(user, mechanism); ok {
		c.cred, c.refusal = cred, ""
	}
	switch state := view.Instance.State; {
	case !reachable:
		c.refusal = ReasonNetwork
	case state == tenancy.StateSuspended:
		c.refusal = ReasonInstanceSuspended
	case state != tenancy.StateActive:
		c.refusal = ReasonInstanceDeleting
	case user.Disabled:
		c.refusal = ReasonUserDisabled
	}
}

// CanUse reports whether a user has what a mechanism is checked against.
func CanUse(user tenancy.User, mechanism string) bool {
	_, ok := credential(user, mechanism)
	return ok
}

// credential is the one of a user's that a mechanism is checked against.
func credential(user tenancy.User, mechanism string) (found tenancy.Credential, ok bool) {
	for _, cred := range user.Credentials {
		switch {
		case cred.Mechanism == mechanism, mechanism == Plain && cred.Mechanism == ScramSHA256:
			return cred, true
		case mechanism == Plain:
			found, ok = cred, true
		}
	}
	return found, ok
}
