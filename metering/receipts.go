package metering

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"unsafe"
)

// receipts remember which batches of idempotent producers this gateway has counted,
// the newest 131,008: 64 rings of 2047, between which a hash chooses and of which each
// forgets its oldest. To remember is to write to one of 64 places that are all in the
// cache; to look is to read a whole ring, 1.5 µs, which only a batch needs that a broker
// says it had already.
//
// A receipt is 62 bits that stand for partition and offset, and one that says whether
// it holds. One word, so that none is ever half written, wherever the process is
// killed; that two batches among all that are asked for have the same 62 bits has a
// probability of 3·10⁻¹⁴ for each question.
//
// Which ring is asked by a seed of this memory's, so that no tenant can find names of
// topics whose batches push out others' receipts.
//
// The memory is a file's, mapped or read, or the heap's. Any goroutine.
type receipts struct {
	rings []receiptRing
	seed  *atomic.Uint64
}

const (
	receiptRings  = 64
	receiptLength = 2047
	receiptBytes  = receiptRings * (receiptLength + 1) * 8
)

type receiptRing struct {
	next    atomic.Uint64 // grows
	receipt [receiptLength]atomic.Uint64
}

// receiptsIn are those of a file whose beginning is mem, at a multiple of 8.
func receiptsIn(mem []byte) *receipts {
	_ = mem[slotsBegin-1]
	return &receipts{
		rings: unsafe.Slice((*receiptRing)(unsafe.Pointer(&mem[headerSize])), receiptRings), //nolint:gosec // it is as long as that
		seed:  (*atomic.Uint64)(unsafe.Pointer(&mem[seedBegin])),                            //nolint:gosec // 8-aligned
	}
}

func newReceipts() *receipts {
	r := &receipts{rings: make([]receiptRing, receiptRings), seed: new(atomic.Uint64)}
	r.seed.Store(rand.Uint64())
	return r
}

// receiptOf mixes partition and offset: both halves of a product, as wyhash does, of
// which partition is a hash already. The last bit is free; never 0, which is no receipt.
func receiptOf(partition uint64, offset int64) uint64 {
	high, low := bits.Mul64(partition^0xa0761d6478bd642f, uint64(offset)^0xe7037ed1a0b428db)
	return (high^low)&^1 | 2
}

// ringOf is where a receipt is (half of the finalizer of splitmix64).
func (r *receipts) ringOf(receipt uint64) *receiptRing {
	x := (receipt ^ r.seed.Load()) * 0xbf58476d1ce4e5b9
	return &r.rings[(x^x>>32)*0x94d049bb133111eb>>58]
}

// put remembers a batch: that it was counted for good (firm), or that it was counted
// and is in doubt.
func (r *receipts) put(receipt uint64, firm bool) {
	ring := r.ringOf(receipt)
	if firm {
		receipt |= 1
	}
	ring.receipt[ring.next.Add(1)%receiptLength].Store(receipt)
}

// has reports whether the batch is known at all, and whether it was counted for good.
func (r *receipts) has(receipt uint64) (known, firm bool) {
	ring := r.ringOf(receipt)
	for i := range ring.receipt {
		switch ring.receipt[i].Load() {
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
	other.seed.Store(r.seed.Load())
	for i := range r.rings {
		from, to := &r.rings[i], &other.rings[i]
		for j := range from.receipt {
			to.receipt[j].Store(from.receipt[j].Load())
		}
		to.next.Store(from.next.Load())
	}
}
