package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/quota"
	"weir/tenancy"
)

// attemptHold is how long a connection is delayed before it is closed (KIP-612).
const attemptHold = time.Second

// knock delays a connection to an instance that has many attempts, and ends it if
// that is not enough. It charges nothing: who only knows the instance's name must
// not use up what its clients need.
func (c *conn) knock(id tenancy.InstanceID) error {
	if c.srv.cfg.Quota == nil || id == "" || !c.srv.registered(string(id)) {
		return nil
	}
	s := c.srv.cfg.Quota.Scope(id, "", "")
	defer s.Close()
	ctx, cancel := context.WithTimeout(c.ctx, attemptHold) // however much is owed
	defer cancel()
	held, _ := s.Await(ctx, quota.ConnectionAttempts, 1, attemptHold)
	if err := c.ctx.Err(); err != nil {
		return &closing{reason: reasonClientGone, err: err}
	}
	if held > 0 && s.Spend(quota.ConnectionAttempts, 0).Throttle > 0 {
		c.srv.cfg.Quota.Refused(id, tenancy.LimitConnectionAttempts, c.principal.User, "")
		return &closing{
			reason: reasonAttempts, err: fmt.Errorf("instance %s has more connections a second than connection_attempts_per_second allows", id),
			fix: "let its clients keep their connections, or raise the limit",
		}
	}
	return nil
}

// enterInstance charges the connection to its instance, and counts it.
func (c *conn) enterInstance() error {
	q, id := c.srv.cfg.Quota, c.principal.Instance
	if q == nil {
		return nil
	}
	if err := c.knock(id); err != nil {
		return err
	}
	s := q.Scope(id, c.principal.User, "")
	s.Spend(quota.ConnectionAttempts, 1)
	s.Close()
	release, err := q.Connect(c.ctx, id)
	switch {
	case errors.Is(err, quota.ErrConnections):
		q.Refused(id, tenancy.LimitConnections, c.principal.User, "")
		return &closing{
			reason: reasonConnections, err: fmt.Errorf("instance %s has as many connections as it may", id),
			fix: "close some, or raise its limit connections",
		}
	case errors.Is(err, context.Canceled):
		return &closing{reason: reasonClientGone, err: err}
	case err != nil:
		return &closing{reason: reasonInternal, err: err}
	}
	side := c.srv.sides.enter(id)
	c.side = side
	c.release = func() {
		release()
		c.srv.sides.leave(id, side)
	}
	return nil
}

// leaveInstance gives back what the connection took.
func (c *conn) leaveInstance() {
	c.purse.leave()
	if c.release != nil {
		c.release()
	}
}
