package metering

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/tenancy"
)

func batchAt(offset int64) Batch {
	return Batch{Partition: 7, Offset: offset, Bytes: 100, Records: 10, Idempotent: true, Transactional: true}
}

func repeatedAt(offset int64) Batch {
	b := batchAt(offset)
	b.Duplicate = true
	return b
}

// produced is what is counted, of the whole and of its parts.
func produced(b *testBook) (whole, parts Values) {
	for _, c := range b.inMemory(0) {
		if c.Line.Part == "" {
			whole = whole.Plus(c.Values)
		} else {
			parts = parts.Plus(c.Values)
		}
	}
	return whole, parts
}

func wantProduced(t *testing.T, b *testBook, batches int64) {
	t.Helper()
	var want Values
	want[ProduceBytes], want[ProduceRecords], want[TransactionalRecords] = 100*batches, 10*batches, 10*batches
	whole, parts := produced(b)
	if whole != want {
		t.Errorf("%v counted, want %d batches", whole, batches)
	}
	if !parts.IsZero() && parts != want.Plus(want) {
		t.Errorf("%v counted in two parts, want %d batches in each", parts, batches)
	}
}

func openParts(b *testBook) (a *Account, parts [2]*Account) {
	a = b.Open(testOf)
	for i, part := range []string{"user=u", "topic=t"} {
		of := testOf
		of.Part = part
		parts[i] = b.Open(of)
	}
	return a, parts
}

// A batch that the broker acknowledges twice is counted once.
func TestRepeatedAtOneGateway(t *testing.T) {
	b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon})
	a, parts := openParts(b)
	say := func(batch Batch) {
		batch.Parts = parts
		a.Produced(&batch)
	}
	say(batchAt(1))
	say(repeatedAt(1))
	wantProduced(t, b, 1)
	if d := b.Doubts(); len(d) != 0 || !b.Counted(7, 1) || b.Counted(7, 2) || b.Counted(8, 1) {
		t.Errorf("%+v", d)
	}

	say(repeatedAt(2)) // some other gateway counted it, or nobody
	say(repeatedAt(2))
	wantProduced(t, b, 2)
	doubts := b.Doubts()
	if len(doubts) != 1 || b.Counted(7, 2) || doubts[0].Instance != "orders" || doubts[0].Offset != 2 || !doubts[0].At.Equal(noon) {
		t.Fatalf("%+v, counted for good: %v", doubts, b.Counted(7, 2))
	}
	b.TakeBack(doubts[0])
	b.TakeBack(doubts[0])
	b.Keep(doubts[0])
	say(repeatedAt(2)) // whoever counted it still does
	wantProduced(t, b, 1)
	if b.Counted(7, 2) || len(b.Doubts()) != 0 {
		t.Error("what was taken back is counted by this gateway")
	}

	say(repeatedAt(3))
	b.Keep(b.Doubts()[0])
	b.TakeBack(b.cleared(3))
	say(repeatedAt(3))
	wantProduced(t, b, 2)
	if !b.Counted(7, 3) {
		t.Error("what was kept is in doubt")
	}

	plain := batchAt(4)
	plain.Idempotent = false
	say(plain)
	say(plain) // the log has it twice
	wantProduced(t, b, 4)
}

func (b *testBook) cleared(offset int64) Doubt {
	return Doubt{Gateway: b.cfg.Gateway, Epoch: b.cfg.Epoch, Partition: 7, Offset: offset}
}

// Doubts outlive the process, and so do receipts; what is taken back is so for the next
// start but one, too.
func TestDoubtsOutliveTheProcess(t *testing.T) {
	dir, clock := t.TempDir(), &testClock{now: noon}
	b := openBook(t, Config{Dir: dir}, clock)
	a, parts := openParts(b)
	a.Produced(&Batch{Partition: 7, Offset: 1, Bytes: 100, Records: 10, Idempotent: true, Transactional: true, Parts: parts})
	for offset := range int64(40) {
		batch := repeatedAt(10 + offset)
		batch.Parts = parts
		a.Produced(&batch)
	}
	wantProduced(t, b, 41)
	b.TakeBack(b.cleared(10))
	wantProduced(t, b, 40)
	b.kill()

	clock.add(time.Minute)
	n := openBook(t, Config{Dir: dir}, clock)
	wantProduced(t, n, 40)
	again, _ := openParts(n)
	again.Produced(new(repeatedAt(1))) // it is in the dead start's receipts
	again.Produced(new(repeatedAt(10)))
	again.Produced(new(repeatedAt(11)))
	wantProduced(t, n, 40)
	doubts := n.Doubts()
	if len(doubts) != 39 || !n.Counted(7, 1) || n.Counted(7, 11) {
		t.Fatalf("%d doubts", len(doubts))
	}
	redis := map[Source]Count{}
	n.push(redis)
	n.pass(10 * time.Second) // all is in the spool
	for i, d := range doubts {
		if d.Gateway != "a" || d.Epoch != b.cfg.Epoch || d.Instance != "orders" {
			t.Fatalf("%+v", d)
		}
		if i%2 == 0 {
			n.TakeBack(d)
		}
	}
	wantProduced(t, n, 20)
	n.push(redis)
	if got := sum(redis)[ProduceRecords]; got != 3*200 {
		t.Errorf("%d in Redis", got)
	}
	n.kill()

	clock.add(time.Minute)
	m := openBook(t, Config{Dir: dir}, clock)
	wantProduced(t, m, 20)
	if got := len(m.Doubts()); got != 19 {
		t.Errorf("%d doubts are left", got)
	}
	for _, d := range m.Doubts() {
		m.Keep(d)
	}
	m.pass(20 * time.Minute)
	var fromSpool Values
	for c, err := range m.All(0) {
		if err != nil {
			t.Fatal(err)
		}
		fromSpool = fromSpool.Plus(c.Values)
	}
	if fromSpool[ProduceRecords] != 3*200 || len(m.adopted) != 0 {
		t.Errorf("%d in the spool, %d files are still adopted", fromSpool[ProduceRecords], len(m.adopted))
	}
}

// A doubt keeps its slot: it may be taken back when the hour is long over.
func TestDoubtOverTheHour(t *testing.T) {
	b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon.Add(59 * time.Minute)})
	a := b.Open(testOf)
	a.Produced(new(batchAt(1)))
	a.Produced(new(repeatedAt(2)))
	redis := map[Source]Count{}
	b.pass(5 * time.Minute)
	b.push(redis)
	if got := sum(redis)[ProduceRecords]; got != 20 {
		t.Fatalf("%d", got)
	}
	b.TakeBack(b.Doubts()[0])
	b.pass(5 * time.Second)
	b.push(redis)
	b.pass(5 * time.Second)
	if got := sum(redis)[ProduceRecords]; got != 10 || len(b.entries) > 1 {
		t.Errorf("%d, and %d entries in memory", got, len(b.entries))
	}
}

func TestManyDoubts(t *testing.T) {
	b := openBook(t, Config{}, &testClock{now: noon})
	b.doubtful = 100
	repeat := func(of Of, n int64) {
		a := b.Open(of)
		for offset := range n {
			batch := repeatedAt(offset)
			batch.Partition = HashPartition([]byte(of.Instance), 0)
			a.Produced(&batch)
		}
	}
	repeat(testOf, 60)
	if got := len(b.Doubts()); got != 50 {
		t.Errorf("%d of one instance", got)
	}
	for i := range 6 {
		other := testOf
		other.Instance = tenancy.InstanceID(fmt.Sprintf("other-%d", i))
		repeat(other, 9)
	}
	if got := len(b.Doubts()); got != 100 {
		t.Errorf("%d", got)
	}
	wantProduced(t, b, 60+6*9)
}

// Receipts forget the oldest, and never say of a batch that it was counted when it was not.
func TestReceipts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newReceipts()
		partition, offset := rapid.Uint64().Draw(t, "partition"), rapid.Int64Min(0).Draw(t, "offset")
		receipt, firm := receiptOf(partition, offset), rapid.Bool().Draw(t, "firm")
		r.put(receipt, firm)
		if known, sure := r.has(receipt); !known || sure != firm {
			t.Fatalf("known %v, firm %v", known, sure)
		}
		if near, _ := r.has(receiptOf(partition, offset+1)); near {
			t.Fatal("the next offset is known")
		}
		if near, _ := r.has(receiptOf(partition+1, offset)); near {
			t.Fatal("the next partition is known")
		}
	})
	r := newReceipts()
	const n = 200_000
	for offset := range int64(n) {
		r.put(receiptOf(1, offset), true)
	}
	kept := 0
	for i := range r.rings {
		for j := range r.rings[i].receipt {
			if r.rings[i].receipt[j].Load() != 0 {
				kept++
			}
		}
	}
	if kept != receiptRings*receiptLength {
		t.Errorf("%d are kept", kept)
	}
	for offset := int64(0); offset < n; offset += 97 { // each is a ring read, which takes long with -race
		known, _ := r.has(receiptOf(1, offset))
		if newest := offset >= n-120_000; newest && !known {
			t.Errorf("%d, of the newest 120,000, is forgotten", offset)
		} else if known && offset < n-142_000 {
			t.Errorf("%d, not of the newest 142,000, is known", offset)
		}
	}
}

// What a dead start had brought to Redis and then took back, down to nothing, is taken
// back there by who takes over.
func TestTakenBackToNothing(t *testing.T) {
	dir, clock := t.TempDir(), &testClock{now: noon}
	b := openBook(t, Config{Dir: dir}, clock)
	b.Open(testOf).Produced(new(repeatedAt(10)))
	redis := map[Source]Count{}
	b.push(redis)
	if got := sum(redis)[ProduceRecords]; got != 10 {
		t.Fatalf("%d in Redis before", got)
	}
	b.TakeBack(b.cleared(10))
	b.kill()

	clock.add(time.Minute)
	n := openBook(t, Config{Dir: dir}, clock)
	n.push(redis)
	if got := sum(redis); !got.IsZero() {
		t.Errorf("%v are left in Redis", got)
	}
}
