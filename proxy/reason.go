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
	reasonPlaintextOnTLS = "plaintext-on-tls-port"
	reasonTLSOnPlaintext = "tls-on-plaintext-port"
	reasonHTTP           = "http-on-kafka-port"
	reasonTLS            = "tls-failed"
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
	reasonWrongPool      = "wrong-pool"
	reasonNoPool         = "pool-unknown"
	reasonUnreachable    = "broker-unreachable"
	reasonUpstreamLost   = "broker-connection-lost"
	reasonUpstreamAnswer = "broker-answer-unexpected"
	reasonSlowFrame      = "request-too-slow"
	reasonSlowReader     = "client-reads-too-slowly"
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
