package metering

import (
	"iter"
	"time"

	"weir/tenancy"
)

// Ledger is what the pusher asks of the Book. Any goroutine; none of it waits for
// Redis, and only All reads the disk.
type Ledger interface {
	// Take gives at most max counts that are newer than what Pushed was told of; which
	// of more it gives goes around, so that some which cannot be pushed do not keep
	// others back. A Count's Seq stands for its values: the same Seq, the same values.
	Take(max int) []Count
	// Pushed says that Redis has these.
	Pushed(done []Count)
	// All gives every count of this gateway, and of what it adopted, from an hour on, in
	// memory and in the spool, whatever was pushed. After an error it goes on.
	All(since Hour) iter.Seq2[Count, error]
	// Served gives each start (this one, adopted ones) and hour that is not Told.
	Served() []Served
	// Told says that all gateways know that the hour is final: it need not be given again.
	Told(Served)

	// Doubts are the open ones of this start and of adopted ones.
	Doubts() []Doubt
	// Counted reports whether this gateway, or one that it adopted, has counted the batch
	// and stands by that: not where that is in doubt itself, or was taken back.
	Counted(partition uint64, offset int64) bool
	// TakeBack takes the doubt's count back: another gateway had counted it. Keep lets it
	// stand for good. Both end the doubt; once more, they do nothing.
	TakeBack(Doubt)
	Keep(Doubt)
}

// Served is an hour in which one start of a gateway served.
type Served struct {
	Hour    Hour
	Gateway string
	Epoch   int64
	// Final: nothing more will be counted. Whoever sees this takes what there is to
	// Take after it.
	Final bool
}

// Doubt is a batch that the broker called a duplicate, and that was counted although
// another gateway may have counted the original.
type Doubt struct {
	Instance  tenancy.InstanceID
	Gateway   string // that counted it, and its start
	Epoch     int64
	Partition uint64 // as Batch's
	Offset    int64
	At        time.Time // when it was counted
}
