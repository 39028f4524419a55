package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/proxy/rewrite"
	"weir/proxy/wire"
)

// failureDelay makes guessing slower; Kafka has connection.failed.authentication.delay.ms.
const failureDelay = 100 * time.Millisecond

// handshake takes a connection through initial → handshake → authenticate →
// ready (Kafka's SaslServerAuthenticator). ApiVersions may come before the
// handshake; anything else that is out of its turn closes the connection, unless the
// client has proved itself by its certificate: then it is ready.
func (c *conn) handshake() error {
	var conv *auth.Conversation
	if c.certified != nil {
		c.in.Inspect, c.in.Charge = c.inspectFirst, c.holdFirst
	}
	for {
		frame, err := c.in.Next(c.firstLimit())
		if err != nil && conv == nil && c.certifiedIdle(err) {
			return c.beginCertified(nil)
		}
		if err != nil {
			return c.readEnded(err)
		}
		c.frameBy.Store(0)
		h, body, err := wire.ParseRequest(frame)
		if err != nil && h.Key != int16(kmsg.ApiVersions) {
			return &closing{reason: reasonMalformed, err: err}
		}
		p := &pending{key: h.Key, version: h.Version, correlation: h.Correlation, frames: arrivedFrame(frame)}
		_, known := rewrite.Lookup(h.Key, h.Version)
		switch key := kmsg.Key(h.Key); {
		case key == kmsg.ApiVersions && conv == nil:
			err = c.replyApiVersions(p, body)
		case !known:
			return unsupported(h)
		case key == kmsg.SASLHandshake && conv == nil:
			conv, err = c.startSASL(p, body)
			if err == nil && h.Version == 0 {
				return c.bareTokens(conv)
			}
		case key == kmsg.SASLAuthenticate && conv != nil:
			var done bool
			done, err = c.saslStep(p, conv, body)
			if err == nil && done {
				c.proved(conv)
				return nil
			}
		case conv != nil:
			return c.illegalState(p)
		case c.certified != nil && key != kmsg.SASLAuthenticate:
			return c.beginCertified(frame)
		default:
			return &closing{
				reason: reasonSASLFirst, fix: "the client must authenticate: set security.protocol=SASL_SSL and a mechanism",
				err: errors.New(kmsg.NameForKey(h.Key) + " before SaslHandshake"),
			}
		}
		if err != nil {
			return err
		}
	}
}

// startSASL answers SaslHandshake (17).
func (c *conn) startSASL(p *pending, body []byte) (*auth.Conversation, error) {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.SetVersion(p.version)
	if err := rewrite.Decode(req, body); err != nil {
		return nil, &closing{reason: reasonMalformed, err: err}
	}
	resp := kmsg.NewPtrSASLHandshakeResponse()
	resp.SetVersion(p.version)
	resp.SupportedMechanisms = c.srv.cfg.Auth.Mechanisms()
	conv, ok := c.srv.cfg.Auth.Start(req.Mechanism, c.peer())
	c.mechanism = mechanismName(req.Mechanism)
	if !ok {
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
	}
	if err := c.reply(p, [][]byte{resp.AppendTo(nil)}); err != nil {
		return nil, err
	}
	if !ok {
		return nil, &closing{
			reason: reasonMechanism, err: errors.New("mechanism " + shorten(req.Mechanism) + " is not offered"),
			fix: "set sasl.mechanism to one of those that the server lists",
		}
	}
	return conv, nil
}

// saslStep answers SaslAuthenticate (36).
func (c *conn) saslStep(p *pending, conv *auth.Conversation, body []byte) (done bool, err error) {
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SetVersion(p.version)
	if err := rewrite.Decode(req, body); err != nil {
		return false, &closing{reason: reasonMalformed, err: err}
	}
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(p.version)
	if was := c.proof.Load(); c.sess != nil && was.Mechanism != auth.Certificate && conv.Mechanism() != was.Mechanism {
		return false, c.refuse(p, fmt.Errorf("mechanism would change from %s to %s", was.Mechanism, conv.Mechanism()))
	}
	token, done, err := conv.Step(req.SASLAuthBytes)
	if err != nil {
		if failure, ok := errors.AsType[*auth.Failure](err); ok && failure.Later() {
			wait(c.ctx, failureDelay)
			return false, authFailed(err)
		}
		return false, c.refuse(p, err)
	}
	if done && c.sess != nil && conv.Principal() != c.principal {
		return false, c.refuse(p, fmt.Errorf("principal would change from %v to %v", c.principal, conv.Principal()))
	}
	resp.SASLAuthBytes = token
	if resp.SASLAuthBytes == nil {
		resp.SASLAuthBytes = []byte{}
	}
	if done {
		resp.SessionLifetimeMillis = c.startLifetime(conv.Proof().Until)
	}
	return done, c.reply(p, [][]byte{resp.AppendTo(nil)})
}

// proved notes who the client is and by what.
func (c *conn) proved(conv *auth.Conversation) {
	if c.sess == nil {
		c.principal = conv.Principal() // re-authentication does not change it
	}
	proof := conv.Proof()
	c.proof.Store(&proof) // from here on others look at both
}

// refuse tells the client no more than that it failed, and not at once.
func (c *conn) refuse(p *pending, cause error) error {
	wait(c.ctx, failureDelay)
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(p.version)
	resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
	resp.ErrorMessage = kmsg.StringPtr(auth.ClientText)
	resp.SASLAuthBytes = []byte{}
	if err := c.reply(p, [][]byte{resp.AppendTo(nil)}); err != nil {
		return err
	}
	c.awaitAnswers(0)
	return authFailed(cause)
}

func authFailed(cause error) error {
	return &closing{reason: reasonAuth, err: cause, fix: "check user name (user@instance where the host name does not say the instance) and password"}
}

// illegalState answers a SASL or other request that is out of its turn while
// authenticating with ILLEGAL_SASL_STATE where it can, then closes.
func (c *conn) illegalState(p *pending) error {
	if kmsg.Key(p.key) == kmsg.SASLHandshake {
		resp := kmsg.NewPtrSASLHandshakeResponse()
		resp.SetVersion(p.version)
		resp.ErrorCode = kerr.IllegalSaslState.Code
		if err := c.reply(p, [][]byte{resp.AppendTo(nil)}); err != nil {
			return err
		}
	}
	return closef(reasonSASLFirst, "%s while authenticating", kmsg.NameForKey(p.key))
}

// bareTokens is the exchange that follows SaslHandshake v0: i32 length | token
// both ways, without headers (before KIP-152; old Sarama and kafka-python).
// A failure has no answer there: the connection is closed.
func (c *conn) bareTokens(conv *auth.Conversation) error {
	for {
		token, err := c.in.Next(preAuthFrame)
		if err != nil {
			return c.readEnded(err)
		}
		answer, done, err := conv.Step(slices.Clone(token))
		if err != nil {
			wait(c.ctx, failureDelay)
			return authFailed(err)
		}
		frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...)
		if _, err := c.nc.Write(frame); err != nil {
			return &closing{reason: reasonClientGone, err: err}
		}
		if done {
			c.proved(conv)
			c.startLifetime(conv.Proof().Until)
			return nil
		}
	}
}

// startLifetime begins a session that ends with MaxReauth or with its proof,
// whichever comes first (KIP-368), and returns its length in milliseconds as the
// client is told it; 0: no end.
func (c *conn) startLifetime(until time.Time) int64 {
	now := time.Now()
	c.expires = time.Time{}
	if life := c.srv.cfg.MaxReauth; life > 0 {
		c.expires = now.Add(life)
	}
	if !until.IsZero() && (c.expires.IsZero() || until.Before(c.expires)) {
		c.expires = until
	}
	if c.expires.IsZero() {
		return 0
	}
	return max(1, c.expires.Sub(now).Milliseconds()) // 0 would say that it never ends
}

// reauthenticate serves SASL on a session that is under way (KIP-368): same
// principal and instance, or the connection ends. Without a lifetime there is
// nothing to renew, and Kafka answers ILLEGAL_SASL_STATE.
func (c *conn) reauthenticate(p *pending, known bool, body []byte) error {
	if !known {
		return closef(reasonUnsupported, "%s v%d", kmsg.NameForKey(p.key), p.version)
	}
	handshake := kmsg.Key(p.key) == kmsg.SASLHandshake
	switch {
	case handshake && c.reauth == nil && !c.expires.IsZero() && p.version > 0:
		conv, err := c.startSASL(p, body)
		c.reauth = conv
		return err
	case !handshake && c.reauth != nil:
		conv := c.reauth
		done, err := c.saslStep(p, conv, body)
		if err != nil {
			return err
		}
		if done {
			c.reauth = nil
			c.proved(conv)
			// What has changed since Step was judged by the proof before.
			return c.mayStay(conv.Proof())
		}
		return nil
	}
	return c.lateSASL(p)
}

// lateSASL answers SASL requests on a session that has no use for them.
func (c *conn) lateSASL(p *pending) error {
	if kmsg.Key(p.key) == kmsg.SASLHandshake {
		resp := kmsg.NewPtrSASLHandshakeResponse()
		resp.SetVersion(p.version)
		resp.ErrorCode = kerr.IllegalSaslState.Code
		return c.reply(p, [][]byte{resp.AppendTo(nil)})
	}
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(p.version)
	resp.ErrorCode = kerr.IllegalSaslState.Code
	resp.SASLAuthBytes = []byte{}
	return c.reply(p, [][]byte{resp.AppendTo(nil)})
}
