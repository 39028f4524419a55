package metering

import (
	"fmt"
	"time"

	"weir/tenancy"
)

// Hour is a UTC hour: hours since 1970. What is used counts for the hour in which it
// was counted.
type Hour int64

// hourForm is an hour in keys, files and ids.
const hourForm = "2006-01-02T15"

// HourOf is the hour of a moment.
func HourOf(t time.Time) Hour {
	seconds := t.Unix()
	h := seconds / 3600
	if seconds%3600 < 0 {
		h--
	}
	return Hour(h)
}

// ParseHour reads what String wrote.
func ParseHour(s string) (Hour, error) {
	t, err := time.Parse(hourForm, s)
	if err != nil {
		return 0, fmt.Errorf("hour %.40q is not like 2026-11-22T19", s)
	}
	return HourOf(t), nil
}

// Begin is its first moment, End the first after it; UTC.
func (h Hour) Begin() time.Time { return time.Unix(int64(h)*3600, 0).UTC() }

// End is the first moment after it.
func (h Hour) End() time.Time { return (h + 1).Begin() }

// String is like 2026-11-22T19.
func (h Hour) String() string { return h.Begin().Format(hourForm) }

// Line is what is counted apart: an instance, as long as it is on one plan, in one
// hour; as a whole, or one part of its breakdown.
type Line struct {
	Hour     Hour
	Instance tenancy.InstanceID
	Tenant   tenancy.TenantID
	Plan     string
	Pool     string
	// Part is "" for the whole, else "user=NAME" or "topic=NAME" (virtual names), or
	// "user" or "topic" with no name for those beyond the cap. The parts of one kind
	// add up to the whole's produced and fetched bytes and records.
	Part string
}

// Source is who counted: one start of a gateway, and one counter of its. Counts of
// different sources add up; of one source the newest stands.
type Source struct {
	Gateway string // ids of gateways: [A-Za-z0-9._-]{1,128}
	Epoch   int64  // unix microseconds of its start
	Part    int64  // its counter of this line, from 1
}

// Count is what one source has counted of a line since it began: never a difference.
type Count struct {
	Line
	Source
	// Seq grows with every Count of the source; of two the one with more is newer.
	Seq int64
	// Final: the source will count no more here.
	Final  bool
	Values Values
}
