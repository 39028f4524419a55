package metering

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"
)

// A slot of doubts holds 15 of 64 bytes from 64 on, each behind its own CRC (0: free):
//
//	0   u32  CRC-32C of 4 to 60
//	4   u32  1: transactional
//	8   u64  partition, i64 offset, i64 bytes, i64 records, i64 unix milliseconds
//	48  3 × u32  the slots that counted it, noSlot: none, or one of the heap
const (
	doubtSize     = 64
	doubtsBegin   = 64
	doubtsPerSlot = (slotSize - doubtsBegin) / doubtSize
	noSlot        = 1<<32 - 1
	// maxDoubts bounds memory. Each batch that was in flight when a gateway died is one;
	// what comes on top is counted for good. From half of them on an instance has a tenth
	// at the most in an hour, so that it cannot use up the others'.
	maxDoubts = 100_000
)

type doubtID struct {
	gateway   string
	epoch     int64
	partition uint64
	offset    int64
}

func (d Doubt) id() doubtID { return doubtID{d.Gateway, d.Epoch, d.Partition, d.Offset} }

// doubt is a batch that was counted and may be taken back. Under the Book's lock.
type doubt struct {
	Doubt
	values  Values
	entries [3]*entry // the whole's, and those of its parts
	place   doubtPlace
}

// doubtPlace is where a doubt outlives the process; slot nil: nowhere.
type doubtPlace struct {
	slot *slot
	at   int // in the slot's bytes
}

func (p doubtPlace) bytes() []byte { return p.slot.mem[p.at : p.at+doubtSize] }

// repeated counts a duplicate, unless it is known here that it was counted.
func (b *Book) repeated(a *Account, batch *Batch) {
	receipt := receiptOf(batch.Partition, batch.Offset)
	if known, _ := b.receipts.Load().has(receipt); known {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, _ := b.known(receipt); known {
		return
	}
	d := &doubt{
		Doubt: Doubt{
			Instance: a.of.Instance, Gateway: b.cfg.Gateway, Epoch: b.cfg.Epoch,
			Partition: batch.Partition, Offset: batch.Offset, At: b.cfg.Now(),
		},
		entries: [3]*entry{a.entry},
	}
	d.values[ProduceBytes], d.values[ProduceRecords] = batch.Bytes, batch.Records
	if batch.Transactional {
		d.values[TransactionalRecords] = batch.Records
	}
	for i, part := range batch.Parts {
		if part != nil {
			d.entries[1+i] = part.entry
		}
	}
	for i, e := range d.entries {
		if e != nil && e.slot == nil { // its account was given back long ago
			d.entries[i] = nil
		} else if e != nil {
			e.slot.counters().add(&d.values, 1)
		}
	}
	if n := len(b.doubts); n >= b.doubtful || n >= b.doubtful/2 && a.entry.doubts >= b.doubtful/10 {
		b.metrics.undoubted.Inc()
		b.receipts.Load().put(receipt, true)
		return
	}
	d.place = b.place()
	d.write()
	b.doubt(d)
	b.receipts.Load().put(receipt, false)
}

// known asks this start's receipts, and those that it adopted.
func (b *Book) known(receipt uint64) (known, firm bool) {
	known, firm = b.receipts.Load().has(receipt)
	for _, a := range b.adopted {
		k, f := a.file.receipts.has(receipt)
		known, firm = known || k, firm || f
	}
	return known, firm
}

func (b *Book) doubt(d *doubt) {
	b.doubts[d.id()] = d
	for _, e := range d.entries {
		if e != nil {
			e.doubts++
		}
	}
}

// place finds one that is free.
func (b *Book) place() doubtPlace {
	if n := len(b.unused); len(b.places) == 0 && n > 0 {
		s := b.unused[n-1]
		b.unused = b.unused[:n-1]
		s.free()
		clear(s.mem[4:])
		binary.LittleEndian.PutUint16(s.mem[4:], slotDoubts)
		s.seal(slotTexts - 4)
		for i := range doubtsPerSlot {
			b.places = append(b.places, doubtPlace{s, doubtsBegin + i*doubtSize})
		}
	}
	n := len(b.places)
	if n == 0 {
		return doubtPlace{}
	}
	p := b.places[n-1]
	b.places = b.places[:n-1]
	return p
}

// write puts the doubt into its place.
func (d *doubt) write() {
	if d.place.slot == nil {
		return
	}
	mem, le := d.place.bytes(), binary.LittleEndian
	clear(mem)
	if d.values[TransactionalRecords] > 0 {
		le.PutUint32(mem[4:], 1)
	}
	le.PutUint64(mem[8:], d.Partition)
	le.PutUint64(mem[16:], uint64(d.Offset))
	le.PutUint64(mem[24:], uint64(d.values[ProduceBytes]))
	le.PutUint64(mem[32:], uint64(d.values[ProduceRecords]))
	le.PutUint64(mem[40:], uint64(d.At.UnixMilli()))
	for i, e := range d.entries {
		at := uint32(noSlot)
		if e != nil && e.slot.file == d.place.slot.file {
			at = e.slot.index
		}
		le.PutUint32(mem[48+4*i:], at)
	}
	le.PutUint32(mem, max(1, crc32.Checksum(mem[4:60], castagnoli())))
}

// doubtIn reads what write put. ok false: nothing is there, or it is damaged.
func doubtIn(p doubtPlace) (d *doubt, slots [3]uint32, ok bool) {
	mem, le := p.bytes(), binary.LittleEndian
	if le.Uint32(mem) != max(1, crc32.Checksum(mem[4:60], castagnoli())) {
		return nil, slots, false
	}
	d = &doubt{place: p}
	d.Partition, d.Offset = le.Uint64(mem[8:]), int64(le.Uint64(mem[16:]))
	d.values[ProduceBytes], d.values[ProduceRecords] = int64(le.Uint64(mem[24:])), int64(le.Uint64(mem[32:]))
	if le.Uint32(mem[4:]) == 1 {
		d.values[TransactionalRecords] = d.values[ProduceRecords]
	}
	d.At = time.UnixMilli(int64(le.Uint64(mem[40:])))
	for i := range slots {
		slots[i] = le.Uint32(mem[48+4*i:])
	}
	return d, slots, d.values[ProduceBytes] >= 0 && d.values[ProduceRecords] >= 0
}

// Doubts are the open ones of this start and of adopted ones.
func (b *Book) Doubts() []Doubt {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Doubt, 0, len(b.doubts))
	for _, d := range b.doubts {
		out = append(out, d.Doubt)
	}
	return out
}

// Counted reports whether this gateway, or one that it adopted, has counted the batch
// and stands by that.
func (b *Book) Counted(partition uint64, offset int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, firm := b.known(receiptOf(partition, offset))
	return firm
}

// TakeBack takes the doubt's count back.
func (b *Book) TakeBack(d Doubt) { b.decide(d, true) }

// Keep lets the count stand: who doubts the same batch later is told that it is counted.
func (b *Book) Keep(d Doubt) { b.decide(d, false) }

// decide ends a doubt. Its place is freed first: of a process that is killed in
// between, the count stands rather than being taken back twice.
func (b *Book) decide(of Doubt, takeBack bool) {
	b.mu.Lock()
	d := b.doubts[of.id()]
	if d == nil {
		b.mu.Unlock()
		return
	}
	delete(b.doubts, of.id())
	var changed []slot // of adopted files, as they are to be written
	if s := d.place.slot; s != nil {
		binary.LittleEndian.PutUint32(d.place.bytes(), 0)
		changed = s.changed(changed)
		if s.file == b.file {
			b.places = append(b.places, d.place)
		}
	}
	if !takeBack {
		b.receipts.Load().put(receiptOf(d.Partition, d.Offset), true)
	}
	for _, e := range d.entries {
		if e == nil {
			continue
		}
		e.doubts--
		if takeBack {
			e.slot.counters().add(&d.values, -1)
			changed = e.slot.changed(changed)
		}
	}
	b.mu.Unlock()
	b.save(changed) // nobody waits for the disk meanwhile
}

// changed adds a copy of the slot if it is an adopted file's.
func (s *slot) changed(to []slot) []slot {
	if s.file == nil || s.file.live {
		return to
	}
	return append(to, slot{mem: bytes.Clone(s.mem), file: s.file, index: s.index})
}

// save writes changed slots of adopted files back.
func (b *Book) save(changed []slot) {
	for i := range changed {
		s := &changed[i]
		if err := s.file.save(s); err != nil {
			b.cfg.Log.Error("a dead gateway's counters cannot be written", "file", s.file.path, "error", err.Error(),
				"fix", "see that the folder can be written: if this gateway ends before the usage is in redis, some is counted twice")
		}
	}
}
