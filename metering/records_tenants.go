package metering

import (
	"context"
	"iter"

	"weir/tenancy"
)

// Tenants gives who has records of hours from the first up to, not with, the second,
// to whole months: in order, each once.
func (s *RecordStore) Tenants(ctx context.Context, from, to Hour) iter.Seq2[tenancy.TenantID, error] {
	return func(yield func(tenancy.TenantID, error) bool) {
		last := tenancy.TenantID("")
		for m, err := range s.members(ctx, Query{From: from, To: to}) {
			if err != nil {
				yield("", err)
				return
			}
			if m.tenant != last {
				last = m.tenant
				if !yield(last, nil) {
					return
				}
			}
		}
	}
}
