package gateway

import (
	"context"

	"weir/admin"
	"weir/quota"
	"weir/tenancy"
	"weir/upstream"
)

// usage is what instances use: of rates and connections as gateways lease them, the
// rest as of the pool's last sample.
type usage struct {
	limiter *quota.Limiter
	pools   map[string]*upstream.Pool
}

// Usage is admin's. With an error it still has what needs no Redis.
func (u usage) Usage(ctx context.Context, in tenancy.Instance) (map[tenancy.LimitName]admin.Use, error) {
	all := map[tenancy.LimitName]admin.Use{}
	if pool := u.pools[in.Pool]; pool != nil {
		if h, ok := pool.Holdings().Of(in.ID); ok {
			all[tenancy.LimitTopics] = admin.Use{Used: float64(h.Topics)}
			all[tenancy.LimitPartitions] = admin.Use{Used: float64(h.Partitions)}
			all[tenancy.LimitGroups] = admin.Use{Used: float64(h.Groups)}
			all[tenancy.LimitStorageBytes] = admin.Use{Used: float64(h.Bytes)}
		}
	}
	rates, err := u.limiter.Usage(ctx, in.ID)
	for name, r := range rates {
		use := admin.Use{Used: r.Used}
		if k, _ := tenancy.KindOf(name); k.Rate {
			use.Peak24h = &r.Peak24h
		}
		all[name] = use
	}
	return all, err
}
