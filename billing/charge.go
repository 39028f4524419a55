package billing

import (
	"time"

	"github.com/cockroachdb/apd/v3"

	"weir/metering"
	"weir/tenancy"
)

// Charge is what one meter of an instance on a plan cost on one day, at one price. The
// charges of a month at one price add up to the line of the statement, to the last
// digit: each is the difference between what the month cost up to that day, rounded,
// and what it cost up to the day before.
type Charge struct {
	Tenant   tenancy.TenantID
	Instance tenancy.InstanceID
	Plan     string
	Pool     string
	// Day begins it; midnight, UTC.
	Day time.Time
	// Meter that was priced; not for a Kind other than usage.
	Meter metering.Meter
	Kind  Kind
	// Tier is the index of the price among the meter's; the free allowance is tier 0
	// with a unit price of zero, if there is one.
	Tier int
	// Used is the meter's own number: more than an int64, for 107 TB stored for a day are
	// 2⁶³ byte seconds. Quantity is the same in Unit: exact, but hours, which are rounded
	// to 12 places so that those of days add up to those of the month.
	Used     apd.BigInt
	Unit     string // as "GiB", "GiB-Hours", "1M Requests"
	Quantity apd.Decimal
	// UnitPrice is for one Unit, Cost what is billed: in Currency, Cost in its minor units.
	UnitPrice apd.Decimal
	Cost      apd.Decimal
	Currency  string // ISO 4217
	// Correction: of an hour whose month was invoiced before, which is UsedIn.
	Correction bool
	UsedIn     Month
}

// Kind says what a charge or a line is for.
type Kind string

// The kinds.
const (
	KindUsage   Kind = "usage"
	KindMinimum Kind = "minimum" // what a plan's minimum is more than the usage
)
