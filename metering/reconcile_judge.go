package metering

import (
	"encoding/hex"
	"fmt"
	"time"
)

// baseline is what an instance had metered and appended at some time: what came since is
// compared.
type baseline struct {
	// Hour from which on counts were added up, and when.
	Hour Hour  `json:"hour"`
	At   int64 `json:"at"`
	// Low was metered before the logs were asked, High when all that they then had
	// must have been.
	Low  int64 `json:"low"`
	High int64 `json:"high"`
	// Topics are records by topic id, in hex.
	Topics map[string]int64 `json:"topics"`
}

func (b baseline) slack() int64 { return b.High - b.Low }

// Comparison is what a comparison of an instance's metered and appended records found.
type Comparison struct {
	At    time.Time `json:"at"`
	Since time.Time `json:"since,omitzero"` // from when on was compared; zero: nothing could be
	// Between these is what was metered: requests in flight are on one side or the other.
	MeteredLeast int64 `json:"metered_least"`
	MeteredMost  int64 `json:"metered_most"`
	Appended     int64 `json:"appended"`
	// Difference is by how much Appended is beyond what was metered (below it: negative).
	Difference int64 `json:"difference"`
	// Note says what was not compared, and why; "" if everything was.
	Note string `json:"note,omitempty"`
}

// compared is one instance on its way through a comparison.
type compared struct {
	base, here baseline // base has no Topics: there is none
	result     Comparison
}

// sums are what an instance has metered: since the hour of its baseline, and since that
// of the one that is being made.
type sums struct{ base, here Values }

// judge compares what came since the baseline, and chooses the next one: the one with less
// in flight, so that less hides behind it, until it is too old.
func (c *compared) judge(l Logs, low, high sums, now time.Time) {
	c.here.Topics = make(map[string]int64, len(l.Topics))
	known := true
	for _, t := range l.Topics {
		c.here.Topics[hex.EncodeToString(t.ID[:])] = t.Records
		known = known && t.Known
	}
	c.here.Low, c.here.High = low.here[ProduceRecords], high.here[ProduceRecords]
	c.result = Comparison{At: now.UTC()}
	gone := 0
	for id := range c.base.Topics {
		if _, ok := c.here.Topics[id]; !ok {
			gone++
		}
	}
	switch {
	case l.Skip != "":
		c.result.Note, c.base = l.Skip, baseline{}
	case !known:
		c.result.Note = "a partition has no leader, or did not answer"
	case c.base.Topics == nil:
		c.result.Note, c.base = "this is the first comparison: the next one has something to compare with", c.here
	case gone > 0:
		c.result.Note, c.base = fmt.Sprintf("%d topics were deleted since the last comparison: what was in them is not known", gone), c.here
	default:
		c.compare(low.base, high.base)
		if c.result.Difference == 0 && (c.here.slack() <= c.base.slack() || c.here.Hour-c.base.Hour >= baselineHours) {
			c.base = c.here
		}
	}
}

// compare finds the difference: what was appended in between must have been metered
// in between, whatever was in flight at either end.
func (c *compared) compare(low, high Values) {
	r := &c.result
	r.Since = time.Unix(c.base.At, 0).UTC()
	for id, n := range c.here.Topics {
		r.Appended += n - c.base.Topics[id]
	}
	r.MeteredLeast = max(0, low[ProduceRecords]-c.base.High)
	r.MeteredMost = high[ProduceRecords] - c.base.Low
	switch {
	case r.Appended < r.MeteredLeast:
		r.Difference = r.Appended - r.MeteredLeast
	case high[TransactionalRecords] > 0:
		// Those of before the baseline count: their markers come when the coordinator gets
		// to it, minutes later if need be (transaction.max.timeout.ms).
		r.Note = "markers of transactions take offsets too: compared was only that no more was metered than appended"
	case r.Appended > r.MeteredMost:
		r.Difference = r.Appended - r.MeteredMost
	}
}
