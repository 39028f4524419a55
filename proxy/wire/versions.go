package wire

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// flexibleFrom is, per key, the first version with compact encodings (KIP-482).
var flexibleFrom = flexibleVersions() //nolint:gochecknoglobals // read-only table

// Flexible says whether requests of this version have header v2.
func Flexible(key, version int16) bool {
	return key >= 0 && int(key) < len(flexibleFrom) && version >= flexibleFrom[key]
}

func flexibleVersions() [kmsg.MaxKey + 1]int16 {
	var from [kmsg.MaxKey + 1]int16
	for key := range from {
		from[key] = math.MaxInt16
		req := kmsg.RequestForKey(int16(key))
		if req == nil {
			continue
		}
		for v := range req.MaxVersion() + 1 {
			if req.SetVersion(v); req.IsFlexible() {
				from[key] = v
				break
			}
		}
	}
	return from
}
