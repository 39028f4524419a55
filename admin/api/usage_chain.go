package api

import "time"

// UsageChain is what a walk along an instance's usage records has found.
type UsageChain struct {
	Instance string `json:"instance" doc:"Id."`
	Intact   bool   `json:"intact" doc:"Every record follows on the one before it, and the last one is the one that the chain ends with."`
	Records  int64  `json:"records" doc:"How many are kept."`
	First    int64  `json:"first" doc:"The first one's number; those before are older than the retention. 0 if there are none."`
	Last     int64  `json:"last" doc:"The last one's number; 0 if there are none."`
	Hash     string `json:"hash,omitempty" doc:"SHA-256 of the last one, in hex. Whoever keeps it can prove later that no record up to it was changed."`

	Broken   *UsageChainBreak `json:"broken,omitempty" doc:"The first link that does not hold; absent if all do."`
	Compared *UsageCompared   `json:"compared,omitempty" doc:"The newest comparison with the logs of the pool, made each hour; absent before the first."`
}

// UsageChainBreak is where a chain of records does not hold.
type UsageChainBreak struct {
	Number int64      `json:"number" doc:"Of the record."`
	Hour   *time.Time `json:"hour,omitempty" doc:"What it is, or was found, in; absent if that is not known."`
	Reason string     `json:"reason"`
}

// UsageCompared is what was metered against what is in the logs.
type UsageCompared struct {
	At           time.Time  `json:"at"`
	Since        *time.Time `json:"since,omitempty" doc:"From when on; absent if nothing could be compared."`
	MeteredLeast int64      `json:"metered_records_least" doc:"Records that were metered; between least and most is what was in flight."`
	MeteredMost  int64      `json:"metered_records_most"`
	Appended     int64      `json:"appended_records" doc:"By the end offsets of the instance's own topics."`
	Difference   int64      `json:"difference_records" doc:"By how many more were appended than metered; less than 0: more metered than appended."`
	Note         string     `json:"note,omitempty" doc:"What was not compared, and why."`
}
