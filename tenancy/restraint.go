package tenancy

import (
	"fmt"
	"maps"
)

// Restraint is what keeps an instance from using more when its tenant's budget is
// spent. It is apart from State: who suspended an instance resumes it, and a budget
// that is raised undoes nothing of that.
type Restraint string

// The restraints.
const (
	RestraintNone     Restraint = ""
	RestraintThrottle Restraint = "throttle" // ThrottledBytes a second, each way
	RestraintStop     Restraint = "stop"     // kept, but nobody may connect
)

// ThrottledBytes is how much an instance may produce, and fetch, in a second under
// RestraintThrottle: enough that clients live and somebody can read what is there.
const ThrottledBytes = 64 << 10

// Serves reports whether clients may connect at all.
func (in Instance) Serves() bool { return in.State == StateActive && in.Restraint != RestraintStop }

func (r Restraint) check() error {
	switch r {
	case RestraintNone, RestraintThrottle, RestraintStop:
		return nil
	}
	return fmt.Errorf("restraint %.40q is unknown", string(r))
}

// Restrained is the view as limits see it: where RestraintThrottle holds, with limits
// of the instance's own that are no higher than it says. plan are its plan's.
func (v *View) Restrained(plan Limits) *View {
	if v.Instance.Restraint != RestraintThrottle {
		return v
	}
	held := *v
	held.Limits = make(Limits, len(v.Limits)+2)
	maps.Copy(held.Limits, v.Limits)
	for _, name := range []LimitName{LimitProduceBytes, LimitFetchBytes} {
		if e := Effective(plan, v.Limits)[name]; e.Source == SourceNone || e.Value > ThrottledBytes {
			held.Limits[name] = Limit{Value: ThrottledBytes}
		}
	}
	return &held
}
