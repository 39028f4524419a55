package proxy

import (
	"errors"
	"fmt"

	"weir/auth"
	"weir/proxy/rewrite"
)

// Reasons for which this package closes a connection. Immutable: metric labels
// and log attributes. Those of a rewrite come from package rewrite.
const (
	reasonClientGone     = "client-gone"
	reasonDrained        = "drained"
	reasonStopped        = "stopped"
	reasonFull           = "too-many-handshakes"
	reasonHandshakeSlow  = "handshake-timeout"
	reasonHeaderSpoofed  = "proxy-header-spoofed"
	reasonHeaderNotHere  = "proxy-header-unexpected"
	reasonHeaderMissing  = "proxy-header-missing"
	reasonHeaderBad      = "proxy-header-malformed"
	reasonHealthCheck    = "balancer-check"
	reasonPlaintextOnTLS = "plaintext-on-tls-port"
	reasonTLSOnPlaintext = "tls-on-plaintext-port"
	reasonHTTP           = "http-on-kafka-port"
	reasonTLS            = "tls-failed"
	reasonCertificate    = "certificate-refused" // by the client
	reasonFrameSize      = "frame-size"
	reasonMalformed      = rewrite.ReasonMalformed
	reasonUnsupported    = "request-unsupported"
	reasonSASLFirst      = "not-authenticated"
	reasonMechanism      = "sasl-mechanism"
	reasonAuth           = "authentication-failed"
	reasonReauth         = "reauthentication-failed"
	reasonExpired        = "session-expired"
	reasonRevoked        = "access-revoked"
	reasonNames          = "aliases-changed"
	reasonNetwork        = string(auth.ReasonNetwork)
	reasonHost           = "host-name-removed"
	reasonAttempts       = "connection-rate"
	reasonConnections    = "too-many-connections"
	reasonHeld           = "held-too-long"
	reasonWrongPool      = "wrong-pool"
	reasonNoPool         = "pool-unknown"
	reasonUnreachable    = "broker-unreachable"
	reasonIdentity       = "pool-identity"
	reasonUpstreamLost   = "broker-connection-lost"
	reasonUpstreamAnswer = "broker-answer-unexpected"
	reasonSlowFrame      = "request-too-slow"
	reasonSlowReader     = "client-reads-too-slowly"
	reasonOverloaded     = "overloaded"
	reasonTripwire       = rewrite.ReasonTripwire
	reasonInternal       = "internal-error"
)

// closing is why a connection ends. fix, for the log, says what the one who
// runs the client may do about it.
type closing struct {
	reason string
	fix    string
	err    error
}

func (c *closing) Error() string {
	if c.err == nil {
		return c.reason
	}
	return fmt.Sprintf("%s: %v", c.reason, c.err)
}

func (c *closing) Unwrap() error { return c.err }

func closef(reason, format string, args ...any) error {
	return &closing{reason: reason, err: fmt.Errorf(format, args...)}
}

// headerRefused is why a PROXY header is not believed. balancers: the listener has
// some, and this is none of them.
func headerRefused(balancers bool) error {
	if balancers {
		return &closing{
			reason: reasonHeaderSpoofed, err: errors.New("a PROXY header from an address that is no load balancer's"),
			fix: "if this is a load balancer of yours, add its address to proxy_protocol.from of the listener",
		}
	}
	return &closing{
		reason: reasonHeaderNotHere, err: errors.New("a PROXY header where none is read"),
		fix: "add proxy_protocol to the listener, or switch the header off at the load balancer",
	}
}

// headerMissing is why a connection without a PROXY header ends.
func headerMissing(balancer bool) error {
	if balancer {
		return &closing{
			reason: reasonHeaderMissing, err: errors.New("no PROXY header from a load balancer"),
			fix: "switch the PROXY protocol on at the load balancer, for its health checks too",
		}
	}
	return &closing{
		reason: reasonHeaderMissing, err: errors.New("not from a load balancer"),
		fix: "connect through the load balancer; or set proxy_protocol.mode of the listener to allowed",
	}
}

func headerMalformed(err error) error {
	return &closing{
		reason: reasonHeaderBad, err: fmt.Errorf("PROXY header: %w", err),
		fix: "the load balancer must send the PROXY protocol, version 1 or 2, for TCP: see docs/load-balancers.md",
	}
}

// notAdmitted is why a connection ends before it has proved anything.
func notAdmitted(why auth.Reason) error {
	c := &closing{reason: string(why), err: fmt.Errorf("not admitted: %s", why)}
	if why == auth.ReasonNetwork {
		c.fix = "weir network allow INSTANCE RANGE, or connect from one of its networks"
	}
	return c
}

// notAllowed is why a session that was allowed may not stay.
func notAllowed(why auth.Reason) error {
	switch why {
	case auth.ReasonNetwork:
		return &closing{reason: reasonNetwork, fix: "the instance's networks have changed: weir network list INSTANCE"}
	case auth.ReasonExpired:
		return &closing{reason: reasonExpired, fix: "log in again with a secret, token or certificate that is valid"}
	default:
		return &closing{reason: reasonRevoked, err: fmt.Errorf("no longer allowed: %s", why)}
	}
}

// reasonOf finds the reason in err.
func reasonOf(err error) (reason, fix string) {
	var c *closing
	if errors.As(err, &c) {
		return c.reason, c.fix
	}
	var r *rewrite.Error
	if errors.As(err, &r) {
		return r.Reason, ""
	}
	return reasonInternal, ""
}
