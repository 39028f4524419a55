package gateway

import (
	"context"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/admin"
	"weir/billing"
	"weir/metering"
	"weir/tenancy"
)

// billingLease is where leases of billing are; no instance of that name has leases of
// theirs.
const billingLease tenancy.InstanceID = "weir"

// billing makes money of records, and holds tenants to their budgets.
func (p *process) billing(a assembly, records *metering.RecordStore, gateway string, registry prometheus.Registerer) *admin.Billing {
	store := billing.NewStore(p.rdb, a.prices)
	biller := billing.NewBiller(billing.Config{
		Records: records, Store: store, Log: a.log,
		Sealed: func(ctx context.Context) (metering.Hour, error) {
			h, ok, err := records.SealedThrough(ctx)
			if err != nil || !ok {
				return 0, err
			}
			return h + 1, nil
		},
		Tenants: func(ctx context.Context, m billing.Month) iter.Seq2[tenancy.TenantID, error] {
			return records.Tenants(ctx, metering.HourOf(m.Begin()), metering.HourOf(m.End()))
		},
	})
	keeper := billing.NewKeeper(billing.KeeperConfig{
		Biller: biller, Instances: restrained{p.store, p.directory}, Log: a.log, Registry: registry,
		Lease: func(ctx context.Context, what string, ttl time.Duration) (bool, error) {
			return p.store.TryLease(ctx, billingLease, what, gateway, ttl.Milliseconds())
		},
	})
	p.background = append(p.background, component{"budgets", keeper.Run}, component{"statements", keeper.RunStatements})
	return &admin.Billing{Biller: biller, Keeper: keeper, Store: store}
}

// restrained are instances as budgets see them.
type restrained struct {
	store     *tenancy.Store
	directory *tenancy.Directory
}

// Each leaves out those that are being deleted: nobody can connect to them anyway.
func (r restrained) Each(fn func(tenancy.Instance) bool) {
	r.directory.Each(func(v *tenancy.View) bool {
		return v.Instance.State == tenancy.StateDeleting || fn(v.Instance)
	})
}

// Restrain is billing.Instances'.
func (r restrained) Restrain(ctx context.Context, id tenancy.InstanceID, to tenancy.Restraint) (tenancy.Revision, error) {
	_, rev, err := r.store.UpdateInstance(ctx, id, func(in *tenancy.Instance) error {
		in.Restraint = to
		return nil
	})
	return rev, err
}
