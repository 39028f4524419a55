package metering

import (
	"sync/atomic"
)

// Account counts for one line, hour by hour: what a session, or a sampler, counts on.
// Made by Book.Open. Any goroutine.
type Account struct {
	now  atomic.Pointer[counters] // of the hour that is
	book *Book
	of   Of

	connected connected

	// Under the Book's lock.
	refs  int
	entry *entry // has now
}

// Add counts n more. Before an answer leaves that says so. It never waits and
// allocates nothing.
func (a *Account) Add(m Meter, n int64) { a.now.Load()[m].Add(n) }

// Batch is one record batch that a broker has acknowledged.
type Batch struct {
	// Partition stands for the physical topic and the partition (HashPartition).
	Partition uint64
	// Offset is its first record's.
	Offset         int64
	Bytes, Records int64
	// Idempotent: its producer numbers its batches (KIP-98), so that one which comes
	// twice is appended once.
	Idempotent bool
	// Transactional: it is part of a transaction.
	Transactional bool
	// Duplicate: the broker had it already, and has acknowledged it once more.
	Duplicate bool
	// Parts are those of the breakdown that it counts for as well, a user's and a
	// topic's; nil: none. They are counted, not counted, and taken back with the whole.
	Parts [2]*Account
}

// Produced counts a batch, before its acknowledgement leaves. One that the broker had
// already is counted unless a gateway has counted it then; if that was not this one, it
// is found out later, and taken back.
//
// The receipt comes after the count: a process that is killed between the two has not
// acknowledged the batch, and the producer's repetition is counted once too often
// rather than never.
func (a *Account) Produced(b *Batch) {
	if b.Duplicate && b.Idempotent {
		a.book.repeated(a, b)
		return
	}
	a.produced(b)
	for _, part := range b.Parts {
		if part != nil {
			part.produced(b)
		}
	}
	if b.Idempotent {
		a.book.receipts.Load().put(receiptOf(b.Partition, b.Offset), true)
	}
}

func (a *Account) produced(b *Batch) {
	now := a.now.Load()
	now[ProduceBytes].Add(b.Bytes)
	now[ProduceRecords].Add(b.Records)
	if b.Transactional {
		now[TransactionalRecords].Add(b.Records)
	}
}
