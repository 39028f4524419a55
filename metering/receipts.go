package metering

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// receipts remember which batches of idempotent producers this gateway has counted,
// the newest 126,976 or so: 4096 sets of 31, of which each forgets its oldest. A
// receipt is 62 bits that stand for partition and offset, and one that says whether
// it holds. One word, so that none is ever half written, wherever the process is
// killed; that two batches among all that are asked for have the same 62 bits has a
// probability of 10⁻¹⁷ for each question.
//
// The memory is a file's, mapped or read, or the heap's. Any goroutine.
type receipts struct{ sets []receiptSet }

const (
	receiptSets  = 4096
	receiptWays  = 31
	receiptBytes = receiptSets * (receiptWays + 1) * 8
)

type receiptSet struct {
	next    atomic.Uint64 // grows
	receipt [receiptWays]atomic.Uint64
}

// receiptsIn are those in mem, which has receiptBytes and begins at a multiple of 8.
func receiptsIn(mem []byte) *receipts {
	_ = mem[receiptBytes-1]
	return &receipts{sets: unsafe.Slice((*receiptSet)(unsafe.Pointer(&mem[0])), receiptSets)} //nolint:gosec // it is as long as that
}

func newReceipts() *receipts { return &receipts{sets: make([]receiptSet, receiptSets)} }

// receiptOf mixes partition and offset (the finalizer of splitmix64, twice). The last
// bit is free; never 0, which is no receipt.
func receiptOf(partition uint64, offset int64) uint64 {
	return mix(partition^bits.RotateLeft64(mix(uint64(offset)), 32))&^1 | 2
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// put remembers a batch: that it was counted for good (firm), or that it was counted
// and is in doubt.
func (r *receipts) put(receipt uint64, firm bool) {
	set := &r.sets[receipt>>52]
	if firm {
		receipt |= 1
	}
	set.receipt[set.next.Add(1)%receiptWays].Store(receipt)
}

// has reports whether the batch is known at all, and whether it was counted for good.
func (r *receipts) has(receipt uint64) (known, firm bool) {
	set := &r.sets[receipt>>52]
	for i := range set.receipt {
		switch set.receipt[i].Load() {
		case receipt | 1:
			return true, true
		case receipt:
			known = true
		}
	}
	return known, false
}

// copyTo puts all that is known into another memory.
func (r *receipts) copyTo(other *receipts) {
	for s := range r.sets {
		from, to := &r.sets[s], &other.sets[s]
		for i := range from.receipt {
			to.receipt[i].Store(from.receipt[i].Load())
		}
		to.next.Store(from.next.Load())
	}
}
