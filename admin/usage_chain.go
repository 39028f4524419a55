package admin

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/metering"
	"weir/tenancy"
)

// Chains are the chains of usage records; *metering.RecordStore provides them. Any goroutine.
type Chains interface {
	// Verify walks along all records of an instance.
	Verify(ctx context.Context, id tenancy.InstanceID) (metering.Chain, error)
	// Comparison is the newest with the logs; not ok if there was none.
	Comparison(ctx context.Context, id tenancy.InstanceID) (metering.Comparison, bool, error)
}

func (s *server) usageChainRoutes(a huma.API) {
	route(a, "verify-usage", usageRead, http.MethodGet, "/v1/instances/{instance}/usage/chain", http.StatusOK, s.verifyUsage)
}

type usageChainOutput struct{ Body api.UsageChain }

// verifyUsage reads all records of the instance, deleted or not: some thousand in a year.
func (s *server) verifyUsage(ctx context.Context, in *InstancePath) (*usageChainOutput, error) {
	t, err := s.payer(ctx, "query.tenant", in.Tenant)
	if err != nil {
		return nil, err
	}
	id, err := s.used(ctx, t, in.Instance)
	if err != nil {
		return nil, err
	}
	if s.cfg.Chains == nil {
		return nil, problem(codeNotMetered, "This gateway does not meter what is used.")
	}
	chain, err := s.cfg.Chains.Verify(ctx, id)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	compared, ok, err := s.cfg.Chains.Comparison(ctx, id)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	out := &usageChainOutput{Body: viewChain(id, chain)}
	if ok {
		out.Body.Compared = viewCompared(compared)
	}
	return out, nil
}

func viewChain(id tenancy.InstanceID, c metering.Chain) api.UsageChain {
	v := api.UsageChain{Instance: string(id), Intact: c.Broken == nil, Records: c.Records, First: c.First, Last: c.Last}
	if c.Last > 0 {
		v.Hash = hex.EncodeToString(c.Hash[:])
	}
	if b := c.Broken; b != nil {
		v.Broken = &api.UsageChainBreak{Number: b.Number, Reason: b.Why}
		if b.Hour > 0 {
			hour := b.Hour.Begin()
			v.Broken.Hour = &hour
		}
	}
	return v
}

func viewCompared(c metering.Comparison) *api.UsageCompared {
	v := &api.UsageCompared{
		At: c.At.UTC().Truncate(time.Second), MeteredLeast: c.MeteredLeast, MeteredMost: c.MeteredMost,
		Appended: c.Appended, Difference: c.Difference, Note: c.Note,
	}
	if !c.Since.IsZero() {
		since := c.Since.UTC()
		v.Since = &since
	}
	return v
}
