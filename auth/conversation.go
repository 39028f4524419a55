package auth

import "cmp"

// maxToken bounds a token of any mechanism but OAUTHBEARER, in bytes. Kafka's clients
// send some 150; the largest that can be right is PLAIN with two names of 255 bytes
// and a password of 256.
const maxToken = 4096

// step consumes one token of a mechanism.
type step func(token []byte) outcome

// outcome of a step. It is a failure unless proved or next says otherwise.
type outcome struct {
	reply  []byte
	next   step // takes the following token
	proved bool // the client has proved its claim
	proof  Proof
	why    Reason
}

func refuse(why Reason) outcome { return outcome{why: why} }

// Conversation is one SASL exchange. Not for concurrent use.
type Conversation struct {
	auth      *Authenticator
	mechanism string
	peer      Peer

	next   step // nil: ended
	claim  claim
	proved Principal
	proof  Proof

	charged bool // the failure has been counted
}

// Start begins a conversation; ok is false for a mechanism that is not listed.
func (a *Authenticator) Start(mechanism string, peer Peer) (c *Conversation, ok bool) {
	c = &Conversation{auth: a, mechanism: mechanism, peer: peer}
	switch mechanism {
	case Plain:
		c.next = c.plain
	case ScramSHA256, ScramSHA512:
		c.next = c.scramFirst
	case OAuthBearer:
		if a.keys == nil {
			return nil, false
		}
		c.next = c.bearerFirst
	default:
		return nil, false
	}
	return c, true
}

// Step consumes a client token, of which it keeps nothing. It returns the
// reply, and done once the client has proved who it is. Any failure wraps
// ErrFailed, is a *Failure, has no reply, and ends the conversation. It may
// wait up to 3 s for a slot.
func (c *Conversation) Step(token []byte) (reply []byte, done bool, err error) {
	run := c.next
	c.next = nil
	if run == nil {
		return nil, false, c.failure(ReasonConversationEnded)
	}
	var o outcome
	if len(token) > c.maxToken() {
		o = refuse(c.admit(ReasonMalformed))
	} else {
		o = run(token)
	}
	if o.proved {
		if o.why = c.settle(o.proof); o.why == "" {
			return o.reply, true, nil
		}
	} else if o.next != nil {
		if o.why != "" { // refused, but the client has a last word
			c.charge(o.why)
		}
		c.next = o.next
		return o.reply, false, nil
	}
	c.charge(o.why)
	return nil, false, c.failure(o.why)
}

func (c *Conversation) maxToken() int {
	if c.mechanism == OAuthBearer {
		return maxBearer
	}
	return maxToken
}

// Mechanism is what Start was asked for.
func (c *Conversation) Mechanism() string { return c.mechanism }

// Principal is who was proved; valid after done, zero before.
func (c *Conversation) Principal() Principal { return c.proved }

// Proof is by what; valid after done.
func (c *Conversation) Proof() Proof { return c.proof }

// identify takes the name that the client sent, and admits the attempt unless
// too many have failed before.
func (c *Conversation) identify(mechanism, name string) Reason {
	c.claim = c.auth.resolve(mechanism, c.peer, name)
	return c.admit("")
}

// admit returns why, or that the limit is exceeded.
func (c *Conversation) admit(why Reason) Reason {
	if !c.auth.limiter.allow(c.auth.now(), c.attempt()) {
		return ReasonRateLimited
	}
	return why
}

// settle ends a conversation whose proof was right.
func (c *Conversation) settle(proof Proof) Reason {
	if c.claim.refusal != "" {
		return c.claim.refusal
	}
	p := Principal{Instance: c.claim.instance, User: c.claim.user}
	proof.Mechanism = c.mechanism
	if view, ok := c.auth.directory.View(p.Instance); ok {
		proof.Until = earlier(proof.Until, view.Users[p.User].ExpiresAt)
	}
	if why := c.auth.besides(&proof, p.Instance, c.peer); why != "" {
		return why
	}
	if why := c.auth.Check(p, proof, c.peer); why != "" { // since the first step
		return why
	}
	c.proved, c.proof = p, proof
	c.auth.limiter.succeeded(c.attempt())
	return ""
}

// charge counts a failure against the client, unless nothing was checked.
func (c *Conversation) charge(why Reason) {
	if c.charged {
		return
	}
	c.charged = true
	switch why {
	case ReasonRateLimited, ReasonBusy, ReasonNonceUnobtainable, ReasonKeyPending, ReasonKeysUnavailable:
	default:
		c.auth.limiter.failed(c.auth.now(), c.attempt())
	}
}

// attempt is by what this attempt is counted. A message that has no name in it
// counts against the endpoint's instance, if that names one.
func (c *Conversation) attempt() attempt {
	id := c.claim.target
	if c.claim.instance != "" { // a copy that may be kept
		id = c.claim.instance
	} else if id == "" {
		id = c.peer.Instance
	}
	// A key has a bucket of its own: a wrong one in a few pods shuts out neither its
	// user nor the user's other keys.
	return newAttempt(c.peer.From.Addr, id, cmp.Or(c.claim.key.ID, c.claim.user, c.claim.unproved))
}

// byPassword is the outcome of a right proof by one of the user's passwords.
func (c *Conversation) byPassword(which int, reply []byte) outcome {
	cred := &c.claim.creds[which]
	if ended(cred.ExpiresAt, c.auth.now()) { // settle would say so later than for a wrong one
		return refuse(ReasonExpired)
	}
	return outcome{reply: reply, proved: true, proof: Proof{secret: cred.Secret, Until: cred.ExpiresAt}}
}

// failure is the error for a reason. A wrong proof for an account that could
// not have logged in anyway is reported as what is wrong with the account.
func (c *Conversation) failure(why Reason) error {
	if why == ReasonPasswordWrong && c.claim.refusal != "" {
		why = c.claim.refusal
	}
	return &Failure{Reason: why, Mechanism: c.mechanism, Instance: c.claim.instance, User: c.claim.user}
}
