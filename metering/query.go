package metering

import (
	"cmp"
	"context"
	"iter"
	"time"

	"weir/tenancy"
)

// Query says which records are wanted.
type Query struct {
	Tenant   tenancy.TenantID   // "": of all
	Instance tenancy.InstanceID // "": of all
	From, To Hour               // from the first up to, not with, the second
	// AsOf leaves out what was sealed later, so that the same question has the same
	// answer for ever; zero: nothing is left out.
	AsOf time.Time
	// Parts: the breakdown too.
	Parts bool
	// FromTenant and FromInstance are where to begin in order of tenants and instances,
	// for who has read what comes before and would skip it; "": at the first.
	FromTenant   tenancy.TenantID
	FromInstance tenancy.InstanceID
}

// before is whether who has used something comes before where a query begins.
func (q Query) before(t tenancy.TenantID, i tenancy.InstanceID) bool {
	return cmp.Or(cmp.Compare(t, q.FromTenant), cmp.Compare(i, q.FromInstance)) < 0
}

// Records gives records, in order of tenant, instance, hour, plan, part, revision;
// memory does not grow with how many there are. It ends with the first error. Any
// goroutine.
type Records interface {
	Records(ctx context.Context, q Query) iter.Seq2[Record, error]
	// Open gives what was counted so far in hours that are not sealed, added up over
	// all sources: with Revision 0, no Number and no Prev. The same order.
	Open(ctx context.Context, q Query) iter.Seq2[Record, error]
}
