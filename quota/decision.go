package quota

import (
	"time"

	"weir/tenancy"
)

// MaxThrottle is the most that a client is asked to wait at once (operations.md
// D.2): franz-go waits whatever it is told.
const MaxThrottle = 5 * time.Second

// Decision is what follows from work that was charged. The zero Decision: nothing.
type Decision struct {
	// Throttle is how long the client must not send its next request; at most
	// MaxThrottle.
	Throttle time.Duration
	// Limit demands that; "" if none does.
	Limit tenancy.LimitName
	by    *bucket // whose limit that is, for Scope.Told
}

// Max is the one of two that asks for the longer wait.
func (d Decision) Max(other Decision) Decision {
	if other.Throttle > d.Throttle {
		return other
	}
	return d
}
