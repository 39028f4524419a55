package billing

import (
	"fmt"
	"strings"

	"weir/metering"
)

// kindOfMeter is what a meter's number counts.
type kindOfMeter int

const (
	kindBytes kindOfMeter = iota
	kindByteSeconds
	kindSeconds
	kindCount
)

// unit is what a price is for.
type unit struct {
	name string
	// size is how many of the meter's own one unit is.
	size int64
	// places are the digits behind the point of a quantity: as many as it takes to be
	// exact; 12 where an hour's 3600 can never be.
	places int32
}

// unitsOf are the units that a meter's price may be for.
var unitsOf = map[kindOfMeter][]unit{ //nolint:gochecknoglobals // read-only table
	kindBytes:       {{"GiB", 1 << 30, 30}, {"GB", 1e9, 9}},
	kindByteSeconds: {{"GiB-Hours", 3600 << 30, 12}, {"GB-Hours", 3600e9, 12}},
	kindSeconds:     {{"Hours", 3600, 12}},
	kindCount:       {{"1", 1, 0}, {"1K", 1e3, 3}, {"1M", 1e6, 6}},
}

// measured says of each meter what its number counts, and the word for it in units.
var measured = [metering.Meters]struct { //nolint:gochecknoglobals // read-only table
	kind kindOfMeter
	word string
}{
	metering.ProduceBytes:         {kindBytes, "bytes"},
	metering.ProduceRecords:       {kindCount, "Records"},
	metering.FetchBytes:           {kindBytes, "bytes"},
	metering.FetchRecords:         {kindCount, "Records"},
	metering.Requests:             {kindCount, "Requests"},
	metering.RequestBytes:         {kindBytes, "bytes"},
	metering.ResponseBytes:        {kindBytes, "bytes"},
	metering.ConnectionSeconds:    {kindSeconds, "Connection-Hours"},
	metering.ConnectionAttempts:   {kindCount, "Connections"},
	metering.AuthFailures:         {kindCount, "Failures"},
	metering.PartitionSeconds:     {kindSeconds, "Partition-Hours"},
	metering.StorageByteSeconds:   {kindByteSeconds, "byte seconds"},
	metering.CrossZoneBytes:       {kindBytes, "bytes"},
	metering.TransactionalRecords: {kindCount, "Records"},
}

// parseUnit finds a meter's unit by its name in a price book.
func parseUnit(m metering.Meter, name string) (unit, error) {
	units := unitsOf[measured[m].kind]
	names := make([]string, len(units))
	for i, u := range units {
		if u.name == name {
			return u, nil
		}
		names[i] = u.name
	}
	if name == "" {
		return unit{}, fmt.Errorf("is needed: %s of %s", strings.Join(names, " or "), m)
	}
	return unit{}, fmt.Errorf("%.20q is no unit of %s: want %s", name, m, strings.Join(names, " or "))
}

// shown is a unit as a statement has it: "GiB", "Partition-Hours", "1M Requests".
func (u unit) shown(m metering.Meter) string {
	word := measured[m].word
	switch {
	case measured[m].kind == kindSeconds:
		return word
	case measured[m].kind != kindCount:
		return u.name
	case u.size == 1:
		return word
	}
	return u.name + " " + word
}
