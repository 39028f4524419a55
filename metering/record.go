package metering

import (
	"fmt"
	"strings"
	"time"
)

// Record is a sealed fact: what was used on a line, or by how much an earlier record
// of it was wrong. It is never changed. The records of an instance are a chain: each
// has the hash of the one before it, so that a changed or missing one shows.
type Record struct {
	Line
	// Revision is 0 for what was sealed when the hour was over, and n for the n-th
	// correction, whose Values are what comes on top. A line of which nothing was known
	// when its hour was sealed begins with correction 1.
	Revision int
	// Complete: every gateway that served in that hour has said what it counted.
	Complete bool
	// Gateways is how many counted here.
	Gateways int
	Values   Values
	// Sealed is Hour.End + SealAfter for revision 0, else when the correction was
	// sealed; whole seconds, UTC.
	Sealed time.Time
	// Number is its place in the instance's chain, from 1.
	Number int64
	// Prev is the hash of the record before it; zero for the first.
	Prev [32]byte
	// Sources are the counts that it was made of, for the sealer alone.
	Sources Sources
}

// SealAfter is how long after its end an hour is sealed.
const SealAfter = 15 * time.Minute

// ID is the same for the same fact wherever it is exported: "orders|2026-11-22T19|standard|r0",
// with the part behind the plan if there is one. No two records have the same.
func (r Record) ID() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s|%s|%s|", r.Instance, r.Hour, r.Plan)
	if r.Part != "" {
		b.WriteString(r.Part + "|")
	}
	fmt.Fprintf(&b, "r%d", r.Revision)
	return b.String()
}
