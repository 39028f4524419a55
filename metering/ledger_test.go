package metering

import (
	"iter"
	"sync"
	"time"

	"weir/tenancy"
)

// fakeBook is a Ledger in memory, by the words of Ledger.
type fakeBook struct {
	mu       sync.Mutex
	at       *time.Time
	counts   map[string]*Count // by instance, hour and field
	pushed   map[string]int64
	served   map[Served]bool
	damaged  error
	ring     map[batchKey]bool
	doubts   map[batchKey]Doubt
	doubtful map[batchKey]*Count // who counted it
	gateway  string
}

func newFakeBook(gateway string, at *time.Time) *fakeBook {
	return &fakeBook{
		at: at, gateway: gateway, counts: map[string]*Count{}, pushed: map[string]int64{}, served: map[Served]bool{},
		ring: map[batchKey]bool{}, doubts: map[batchKey]Doubt{}, doubtful: map[batchKey]*Count{},
	}
}

func countID(c *Count) string { return string(c.Instance) + " " + c.Hour.String() + " " + c.field() }

// add counts bytes of an instance now.
func (b *fakeBook) add(id tenancy.InstanceID, bytes int64) *Count {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := testCount(b.gateway, 0, 0)
	c.Instance, c.Hour = id, HourOf(*b.at)
	known := b.counts[countID(&c)]
	if known == nil {
		known = &c
		b.counts[countID(&c)] = known
	}
	known.Seq++
	known.Values[ProduceBytes] += bytes
	b.served[Served{Hour: c.Hour, Gateway: c.Gateway, Epoch: c.Epoch}] = true
	return known
}

// finish makes all counts and hours final.
func (b *fakeBook) finish() {
	for _, c := range b.counts {
		if !c.Final {
			c.Seq, c.Final = c.Seq+1, true
		}
	}
	for h := range b.served {
		delete(b.served, h)
		h.Final = true
		b.served[h] = true
	}
}

func (b *fakeBook) Take(most int) (all []Count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, c := range b.counts {
		if len(all) < most && b.pushed[id] < c.Seq {
			all = append(all, *c)
		}
	}
	return all
}

func (b *fakeBook) Pushed(done []Count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range done {
		b.pushed[countID(&c)] = max(b.pushed[countID(&c)], c.Seq)
	}
}

func (b *fakeBook) All(since Hour) iter.Seq2[Count, error] {
	return func(yield func(Count, error) bool) {
		if b.damaged != nil && !yield(Count{}, b.damaged) {
			return
		}
		for _, c := range b.counts {
			if c.Hour >= since && !yield(*c, nil) {
				return
			}
		}
	}
}

func (b *fakeBook) Served() (all []Served) {
	for h := range b.served {
		all = append(all, h)
	}
	return all
}

func (b *fakeBook) Told(h Served) { delete(b.served, h) }

func (b *fakeBook) Doubts() (all []Doubt) {
	for _, d := range b.doubts {
		all = append(all, d)
	}
	return all
}

func (b *fakeBook) Counted(partition uint64, offset int64) bool {
	return b.ring[batchKey{partition, offset}]
}

func (b *fakeBook) TakeBack(d Doubt) {
	if c := b.doubtful[d.batch()]; c != nil {
		c.Seq++
		c.Values[ProduceBytes]--
	}
	delete(b.doubts, d.batch())
	delete(b.doubtful, d.batch())
}

func (b *fakeBook) Keep(d Doubt) {
	b.ring[d.batch()] = true
	delete(b.doubts, d.batch())
	delete(b.doubtful, d.batch())
}

// produced counts a batch of one byte, as a Book does (design of duplicates).
func (b *fakeBook) produced(id tenancy.InstanceID, batch batchKey, duplicate bool) {
	_, doubted := b.doubts[batch]
	if duplicate && (b.ring[batch] || doubted) {
		return
	}
	c := b.add(id, 1)
	if !duplicate {
		b.ring[batch] = true
		return
	}
	b.doubts[batch] = Doubt{Instance: id, Gateway: b.gateway, Epoch: c.Epoch, Partition: batch.partition, Offset: batch.offset, At: *b.at}
	b.doubtful[batch] = c
}
