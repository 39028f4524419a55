package rewrite

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"weir/tenancy"
)

// storeCode is the code for what came of reading or changing what the store
// keeps. A change that is written and not yet announced is made.
// REQUEST_TIMED_OUT is what Kafka says when its controller does not answer:
// clients try again.
func storeCode(err error) int16 {
	switch {
	case err == nil, errors.Is(err, tenancy.ErrUnannounced):
		return 0
	case errors.Is(err, tenancy.ErrFull):
		return kerr.PolicyViolation.Code
	}
	return kerr.RequestTimedOut.Code
}
