package rewrite

import "fmt"

// Reasons for closing a connection.
const (
	ReasonMalformed   = "request-malformed"
	ReasonBadUpstream = "upstream-response-malformed"
	// ReasonUnanswerable: a request that is refused and wants no answer.
	ReasonUnanswerable = "request-refused-without-answer"
	ReasonNoUpstream   = "upstream-unavailable"
	// ReasonTripwire: an answer would have shown something of the pool; Err is a *Leak.
	ReasonTripwire = "tripwire"
)

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Reason, e.Err) }
func (e *Error) Unwrap() error { return e.Err }
