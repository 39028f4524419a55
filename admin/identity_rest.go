package admin

import (
	"context"
	"strconv"

	"weir/admin/api"
	"weir/tenancy"
)

// noIdentities says that a pool that wants a principal for each instance lets the
// gateway make none. Why is the operator's business, and in the log.
func (s *server) noIdentities(ctx context.Context, want tenancy.Instance, err error) error {
	s.cfg.Log.Error("admin cannot make instances in a pool that wants a principal for each",
		"request", callerOf(ctx).id, "pool", want.Pool, "err", err)
	return problem(codePool, "The pool %s takes no new instances at the moment; nothing was made.", want.Pool)
}

// identified brings an instance's principal up to what was just changed by rev.
// It returns the newest change, and whether the pool obeys. That it does not yet
// is no failure: what was written stays, and the gateway goes on trying.
func (s *server) identified(ctx context.Context, in tenancy.Instance, rev tenancy.Revision) (tenancy.Revision, bool) {
	newer, err := s.cfg.Identities.Ensure(ctx, in)
	if err != nil {
		s.cfg.Log.Error("admin principal of an instance not set in its pool yet", "request", callerOf(ctx).id,
			"pool", in.Pool, "instance", string(in.ID), "err", err)
		s.cfg.Identities.Wanted(in.ID)
	}
	return max(rev, newer), err == nil
}

type rotateIdentityOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.RotatedIdentity
}

// rotateIdentity answers when the pool and the gateways know the new password.
func (s *server) rotateIdentity(ctx context.Context, in *InstancePath) (*rotateIdentityOutput, error) {
	i, err := s.findLive(ctx, *in)
	if err != nil {
		return nil, err
	}
	if !s.cfg.Identities.keeps(i) {
		return nil, problem(codeNoIdentity, "Pool %s has identity: gateway, so instance %s has no principal of its own in it.", i.Pool, i.Name)
	}
	rev, err := s.cfg.Identities.Rotate(ctx, i)
	if err != nil {
		s.cfg.Log.Error("admin principal of an instance not rotated", "request", callerOf(ctx).id, "instance", string(i.ID), "err", err)
		s.cfg.Identities.Wanted(i.ID)
		return nil, problem(codePool, "The pool %s does not take the new password yet; the gateway goes on trying.", i.Pool)
	}
	return &rotateIdentityOutput{
		Revision: strconv.FormatInt(int64(rev), 10),
		Body:     api.RotatedIdentity{Principal: "User:" + userOf(i.ID), ReadyOn: s.applied(ctx, rev)},
	}, nil
}
