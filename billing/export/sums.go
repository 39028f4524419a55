package export

import (
	"math/big"
	"math/bits"

	"weir/metering"
)

// Sum is a sum of meters' values: 64 bits are too few for the byte seconds that
// many instances store for a month. The zero Sum is 0.
type Sum struct {
	hi, lo uint64 // two's complement
}

// Add adds n.
func (s *Sum) Add(n int64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, uint64(n), 0)
	s.hi, _ = bits.Add64(s.hi, uint64(n>>63), carry)
}

// String is the decimal number.
func (s Sum) String() string {
	if int64(s.hi) == int64(s.lo)>>63 {
		return big.NewInt(int64(s.lo)).String()
	}
	n := new(big.Int).Lsh(big.NewInt(int64(s.hi)), 64)
	return n.Add(n, new(big.Int).SetUint64(s.lo)).String()
}

// Sums has a Sum for each meter.
type Sums [metering.Meters]Sum

// Add adds each.
func (s *Sums) Add(v *metering.Values) {
	for m := range v {
		s[m].Add(v[m])
	}
}

// Map has them by the meters' names, as decimal numbers.
func (s *Sums) Map() map[string]string {
	all := make(map[string]string, len(s))
	for m := range s {
		all[metering.Meter(m).String()] = s[m].String()
	}
	return all
}
