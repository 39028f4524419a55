package gateway

import (
	"context"

	"weir/admin"
	"weir/tenancy"
	"weir/upstream"
)

// usage is what instances use: what there is in the pools, as of the last sample.
type usage struct {
	pools map[string]*upstream.Pool
}

// Usage is admin's.
func (u usage) Usage(_ context.Context, in tenancy.Instance) (map[tenancy.LimitName]admin.Use, error) {
	all := map[tenancy.LimitName]admin.Use{}
	if pool := u.pools[in.Pool]; pool != nil {
		if h, ok := pool.Holdings().Of(in.ID); ok {
			all[tenancy.LimitTopics] = admin.Use{Used: float64(h.Topics)}
			all[tenancy.LimitPartitions] = admin.Use{Used: float64(h.Partitions)}
			all[tenancy.LimitGroups] = admin.Use{Used: float64(h.Groups)}
			all[tenancy.LimitStorageBytes] = admin.Use{Used: float64(h.Bytes)}
		}
	}
	return all, nil
}
