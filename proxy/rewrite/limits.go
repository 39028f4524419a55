package rewrite

import (
	"context"
	"fmt"

	"weir/quota"
	"weir/tenancy"
)

// Limits are the bounds of what an instance may have at any time, and what it has;
// package proxy provides them. Any goroutine. Everything is as of now: limits change
// while sessions last.
type Limits interface {
	// Bounds are the limits in force; never nil. Cheap, for every request.
	Bounds() *quota.Bounds
	// Full reports whether the instance holds so much that nothing may be added.
	// Cheap, for every request.
	Full() bool
	// MayHaveGroup reports whether a group, by its physical name, is there already or
	// may be one more; it counts from then on.
	MayHaveGroup(physical string) bool
	// Turn waits until nobody else, on any gateway, counts and creates topics of the
	// instance. done ends the turn, which otherwise ends by itself some seconds after
	// ctx.
	Turn(ctx context.Context) (done func(), err error)
	// Refused notes that a limit has refused what a client asked for.
	Refused(limit tenancy.LimitName, clientID *string)
}

// bounds are the limits in force, all zero if there are none.
func (x *Exchange) bounds() quota.Bounds {
	if x.Limits == nil {
		return quota.Bounds{}
	}
	return *x.Limits.Bounds()
}

// codeGroupLimit is GROUP_MAX_SIZE_REACHED: what the heartbeats of new groups answer
// beyond the limit. It is in the lists of errors that these APIs may answer
// (*GroupHeartbeatResponse.json), clients end there at once and report the text that
// comes with it (AbstractHeartbeatRequestManager: handleFatalFailure), and none takes
// it for something to try again.
//
// JoinGroup and the commits of offsets have no room for a text, and Java makes one of
// its own of that code, of too many members in the group, which would send people the
// wrong way: there POLICY_VIOLATION ends in "Unexpected error in join group response:
// Request parameters do not satisfy the configured policy" (AbstractCoordinator).
const codeGroupLimit int16 = 81

// groupLimit is code, that of APIs of that kind, if a group that is not there yet is
// one too many; 0 if it may be.
func (x *Exchange) groupLimit(physical string, code int16) int16 {
	if x.Limits == nil || x.Limits.MayHaveGroup(physical) {
		return 0
	}
	x.Limits.Refused(tenancy.LimitGroups, x.ClientID)
	return code
}

// groupLimitText says what codeGroupLimit does not.
func (x *Exchange) groupLimitText() *string {
	return new(fmt.Sprintf("the limit of %d groups is reached: delete groups that are not used, or have the limit raised", x.bounds().Groups))
}

// storageText is why nothing may be produced.
func (x *Exchange) storageText() *string {
	return new(fmt.Sprintf("the limit of %d bytes of storage is exceeded: delete records or topics, or have the limit raised", x.bounds().StorageBytes))
}

// batchText is why a record batch of so many bytes is not accepted.
func batchText(size, most int) *string {
	return new(fmt.Sprintf("the record batch has %d bytes, more than the limit of %d for this instance", size, most))
}
