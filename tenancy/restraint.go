package tenancy

import "fmt"

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

// limit is what it lets an instance use of a limit at the most; ok is false if that is
// as much as ever.
func (r Restraint) limit(name LimitName) (l Limit, ok bool) {
	if r == RestraintThrottle && (name == LimitProduceBytes || name == LimitFetchBytes) {
		return Limit{Value: ThrottledBytes}, true
	}
	return Limit{}, false
}
