package tenancy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteUnits are what people write behind bytes: IEC's powers of 1024 and SI's of
// 1000, the longest ending first.
var byteUnits = []struct { //nolint:gochecknoglobals // read-only table
	name string
	size float64
}{
	{"PiB", 1 << 50},
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"PB", 1e15},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

// iecUnits is how many of byteUnits, the first ones, values are written in.
const iecUnits = 5

// ParseAmount reads a limit's value as people write it: "12", "0.5", and for bytes also
// "10MiB" or "1.5 GB". It does not judge the range: Limit.Check does.
func ParseAmount(name LimitName, text string) (float64, error) {
	k, ok := limitKinds[name]
	if !ok {
		return 0, fmt.Errorf("limit %.80q is unknown", name)
	}
	digits, size := text, 1.0
	if k.bytes() {
		for _, u := range byteUnits {
			if rest, found := strings.CutSuffix(text, u.name); found {
				digits, size = strings.TrimSpace(rest), u.size
				break
			}
		}
	}
	// ParseFloat would also take Inf, 0x1p4 and 1_000.
	value, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.Trim(digits, "0123456789.") != "" {
		like := " like 200"
		if k.bytes() {
			like = " like 1048576, 10MiB or 10MB"
		}
		return 0, fmt.Errorf("%.80q is not a number%s (%s)", text, like, k.Unit)
	}
	if size > 1 {
		return math.Round(value * size), nil // 9.54 MiB is no whole number of bytes
	}
	return value, nil
}

// FormatAmount writes a limit's value, or a use of it, for people, who can give it to
// ParseAmount again: "10 MiB", "0.5". Rounded to at most two decimals.
func FormatAmount(name LimitName, value float64) string {
	unit := ""
	if limitKinds[name].bytes() {
		unit = " B"
		for _, u := range byteUnits[:iecUnits] {
			if value >= u.size {
				value, unit = value/u.size, " "+u.name
				break
			}
		}
	}
	return number(math.Round(value*100)/100) + unit
}

func (k LimitKind) bytes() bool { return strings.HasPrefix(k.Unit, "bytes") }
