package admin

import (
	"context"
	"errors"
	"time"

	"weir/admin/api"
	"weir/tenancy"
)

// maxWait bounds how long a write waits for the gateways to apply it (ux.md 0, decision 4).
const maxWait = 2 * time.Second

// owns is whether the caller may see what is of tenant t.
func (c *caller) owns(t tenancy.TenantID) bool {
	return c.rights.everyTenant || c.claims.Tenant == t
}

// unavailable logs why the store failed and returns what the caller may know of it.
func (s *server) unavailable(ctx context.Context, err error) *api.Problem {
	s.cfg.Log.Error("admin store failed", "request", callerOf(ctx).id, "err", err)
	return problem(codeStore, "The store does not answer; established clients keep working.")
}

// changed translates the failure of a write.
func (s *server) changed(ctx context.Context, err error, in tenancy.InstanceID, user string) error {
	switch {
	case errors.Is(err, tenancy.ErrNotFound) && user != "":
		return problem(codeUserNotFound, "Instance %s has no user %.80q.", in, user)
	case errors.Is(err, tenancy.ErrNotFound):
		return problem(codeInstanceNotFound, "There is no instance %.80q.", in)
	case errors.Is(err, tenancy.ErrFull):
		return problem(codeFull, "Instance %s has as many users as it may have.", in)
	case errors.Is(err, tenancy.ErrConflict):
		return problem(codeConflict, "Somebody else changed it at the same time.")
	}
	var p *api.Problem
	if errors.As(err, &p) {
		return p
	}
	return s.unavailable(ctx, err)
}

// written is the error of a write, without the one that says it is done and
// only the gateways have not been told: undoing it would be the greater harm,
// and they find it by themselves. Then rev is 0.
func (s *server) written(ctx context.Context, err error) error {
	if !errors.Is(err, tenancy.ErrUnannounced) {
		return err
	}
	s.cfg.Log.Warn("admin change is written but not announced", "request", callerOf(ctx).id, "err", err)
	return nil
}

// applied waits until the live gateways, and this one, have applied a change, at most
// maxWait. That it takes longer is no failure: the answer says on how many it is in force.
func (s *server) applied(ctx context.Context, rev tenancy.Revision) api.ReadyOn {
	if rev == 0 {
		return api.ReadyOn{} // written, but not announced
	}
	wait, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	ready, of, err := s.cfg.Store.WaitApplied(wait, rev)
	if err == nil {
		if err = s.cfg.Directory.Await(wait, rev); err != nil {
			of++ // Redis has not heard of this one for a while, or it has just begun anew
		}
	}
	if err != nil {
		s.cfg.Log.Warn("admin change is not yet in force everywhere", "request", callerOf(ctx).id,
			"revision", int64(rev), "ready", ready, "of", of, "err", err)
	}
	return api.ReadyOn{Gateways: ready, Of: of}
}
