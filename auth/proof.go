package auth

import (
	"time"

	"weir/tenancy"
)

// Proof is by what a principal was proved, as far as it must hold for as long as
// the session does. Immutable.
type Proof struct {
	// Mechanism is the SASL mechanism, or Certificate.
	Mechanism string
	// Until is when the proof ends by itself; zero: never.
	Until time.Time

	secret      string            // of the user's, tenancy.Credential.Secret; SCRAM, and PLAIN without key
	key         string            // id of the API key; PLAIN
	token       *tokenProof       // OAUTHBEARER
	certificate *certificateProof // TLS, also beside SASL
}

// byItself reports whether the principal needs no user of that name: who issued
// the token or certificate says that there is one.
func (p Proof) byItself() bool {
	return p.token != nil || p.Mechanism == Certificate
}

// Admit says why a client may not even begin to prove who it is, "" if it may: it
// comes from none of the instance's networks. For an endpoint that names an
// instance; where the endpoint does not tell, [Conversation.Step] asks as soon as
// the client has. An instance that there is not counts as one of the default plan
// without networks, so that who may not come in cannot tell which there are. It
// costs no cryptography; any goroutine.
func (a *Authenticator) Admit(peer Peer) Reason {
	if peer.Instance == "" {
		return ""
	}
	view, _ := a.directory.View(peer.Instance)
	if !a.reachable(view, peer.From) {
		return ReasonNetwork
	}
	return ""
}

// Enter is asked, after Admit, when a client begins a TLS handshake, before any
// cryptography: it says why not, if too many logins from its address have failed, or
// too many handshakes came to nothing. It decides by how often addresses have asked
// for a name, whether there is an instance of that name or not. paid is for Entered.
// Any goroutine.
func (a *Authenticator) Enter(peer Peer) (paid bool, why Reason) {
	return a.limiter.enter(a.now(), peer.From.Addr, peer.Instance)
}

// Entered is told once for each connection that its client has proved who it is.
// Any goroutine.
func (a *Authenticator) Entered(p Principal, peer Peer, paid bool) {
	a.limiter.entered(peer.From.Addr, p.Instance, paid)
}

// reachable reports whether an instance may be reached from there. No view: there
// is no such instance.
func (a *Authenticator) reachable(view *tenancy.View, from tenancy.From) bool {
	switch {
	case view == nil:
		return !a.defaults("").DenyNetworks
	case !view.Access.Restricted():
		return !a.defaults(view.Instance.Plan).DenyNetworks
	}
	return view.Access.Allows(from)
}

// Check says why a principal that was proved earlier may not stay, "" if it may:
// its instance is active, may be reached from where it is, its user is not
// disabled, and its proof still counts. Call it for every live session when its
// instance's view has changed and now and then besides, since time ends proofs
// too; it is cheap and takes no lock.
//
// A session lives as long as the secret that opened it (passwordHolds). A user that
// is deleted and made again between two calls counts as the same one.
func (a *Authenticator) Check(p Principal, proof Proof, peer Peer) Reason {
	view, ok := a.directory.View(p.Instance)
	switch {
	case !ok || view.Instance.State != tenancy.StateActive:
		return ReasonRevoked
	case !view.Instance.Serves():
		return ReasonBudgetSpent
	}
	if !a.reachable(view, peer.From) {
		return ReasonNetwork
	}
	if ended(proof.Until, a.now()) {
		return ReasonExpired
	}
	user, ok := view.Users[p.User]
	if user.Disabled || !ok && !proof.byItself() {
		return ReasonRevoked
	}
	if why := a.holds(view, user, proof); why != "" {
		return why
	}
	if why := proof.token.check(view); why != "" {
		return why
	}
	if why := proof.certificate.check(view); why != "" {
		return why
	}
	return proof.satisfies(view.Access.Authentication)
}

// satisfies says what an instance's policy asks beside.
func (p Proof) satisfies(policy tenancy.Authentication) Reason {
	switch alone := p.Mechanism == Certificate; {
	case alone && policy.RequireSASL:
		return ReasonSASLRequired
	case !alone && !policy.Allows(p.Mechanism):
		return ReasonMechanism
	case policy.RequireCertificate && p.certificate == nil:
		return ReasonCertificateMissing
	}
	return ""
}

// holds says why a user, or what of it opened the session, does not count any more.
func (a *Authenticator) holds(view *tenancy.View, user tenancy.User, proof Proof) Reason {
	if ended(user.ExpiresAt, a.now()) {
		return ReasonExpired
	}
	if proof.key != "" {
		return a.keyHolds(view, user, proof.key)
	}
	switch proof.Mechanism {
	case Plain, ScramSHA256, ScramSHA512:
		return passwordHolds(user, proof.secret, a.now())
	}
	return ""
}
