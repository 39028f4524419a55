package billing

import (
	"fmt"
	"time"

	"weir/metering"
)

// Month is a calendar month in UTC: months since the year 0.
type Month int

const monthForm = "2006-01"

// MonthOf is the month of a moment.
func MonthOf(t time.Time) Month {
	t = t.UTC()
	return Month(t.Year()*12 + int(t.Month()) - 1)
}

// monthOfHour is the month of an hour.
func monthOfHour(h metering.Hour) Month { return MonthOf(h.Begin()) }

// ParseMonth reads what String wrote.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse(monthForm, s)
	if err != nil {
		return 0, fmt.Errorf("%.20q is no month like 2026-11", s)
	}
	return MonthOf(t), nil
}

// Begin is its first moment, UTC.
func (m Month) Begin() time.Time {
	return time.Date(int(m)/12, time.Month(int(m)%12+1), 1, 0, 0, 0, 0, time.UTC)
}

// End is the first moment after it.
func (m Month) End() time.Time { return (m + 1).Begin() }

// Hours are its first hour, and the first after it.
func (m Month) Hours() (from, to metering.Hour) {
	return metering.HourOf(m.Begin()), metering.HourOf(m.End())
}

// String is like 2026-11.
func (m Month) String() string { return m.Begin().Format(monthForm) }

// MarshalText is String.
func (m Month) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is ParseMonth.
func (m *Month) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMonth(string(text))
	return err
}

// day is the midnight that begins a moment's day, UTC.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
