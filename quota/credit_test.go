package quota

import (
	"testing"
	"time"

	"weir/tenancy"
)

// However many connections wait, who has waited for long enough goes on credit only
// until ten seconds' worth is owed: 300 that send 10 MB at once, at a limit of 10 MB/s,
// would have had ten times the limit.
func TestCreditHasAnEnd(t *testing.T) {
	const rate, piece, seconds = 10 << 20, 10 << 20, 60
	inFleet(t, 1, tenancy.Limits{tenancy.LimitProduceBytes: {Value: rate}}, func(t *testing.T, f *fleet) {
		done := f.load(ProduceBytes, piece, 300, seconds*time.Second, 0)
		if most := int64(seconds+mostOwed+2) * rate; done > most || done < seconds*rate*9/10 {
			t.Errorf("%d MiB in %d s at 10 MiB/s, %d at the most", done>>20, seconds, most>>20)
		}
	})
}
