package metering

import (
	"fmt"
	"testing"

	"weir/tenancy"
)

func benchAccount(b *testing.B, disk bool) *Account {
	cfg := Config{}
	if disk {
		cfg.Dir = b.TempDir()
	}
	return openBook(b, cfg, &testClock{now: noon}).Open(testOf)
}

func BenchmarkAdd(b *testing.B) {
	for name, disk := range map[string]bool{"heap": false, "file": true} {
		b.Run(name, func(b *testing.B) {
			a := benchAccount(b, disk)
			b.ReportAllocs()
			for b.Loop() {
				a.Add(Requests, 1)
			}
		})
	}
}

func BenchmarkProduced(b *testing.B) {
	a := benchAccount(b, true)
	for name, batch := range map[string]Batch{
		"plain":      {Partition: 7, Bytes: 1000, Records: 10},
		"idempotent": {Partition: 7, Bytes: 1000, Records: 10, Idempotent: true},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				batch.Offset++
				a.Produced(&batch)
			}
		})
	}
	b.Run("repeated", func(b *testing.B) {
		batch := Batch{Partition: 9, Bytes: 1000, Records: 10, Idempotent: true}
		a.Produced(&batch)
		batch.Duplicate = true
		b.ReportAllocs()
		for b.Loop() {
			a.Produced(&batch)
		}
	})
}

// BenchmarkRounds is what ten thousand busy instances cost every second, and every two.
func BenchmarkRounds(b *testing.B) {
	book := openBook(b, Config{Dir: b.TempDir()}, &testClock{now: noon})
	var all []*Account
	for i := range 10_000 {
		of := testOf
		of.Instance = tenancy.InstanceID(fmt.Sprintf("i-%d", i))
		all = append(all, book.Open(of))
	}
	b.Run("tick", func(b *testing.B) {
		for b.Loop() {
			book.tick(noon)
		}
	})
	b.Run("take", func(b *testing.B) {
		for b.Loop() {
			for _, a := range all {
				a.Add(Requests, 1)
			}
			if n := len(book.Take(20_000)); n != len(all) {
				b.Fatal(n)
			}
		}
	})
	b.Run("disk", func(b *testing.B) {
		for b.Loop() {
			for _, a := range all {
				a.Add(Requests, 1)
			}
			book.round(noon)
		}
	})
	b.Run("hour", func(b *testing.B) {
		now := noon
		for b.Loop() {
			now = HourOf(now).End()
			book.tick(now)
		}
	})
}

func TestCountingAllocatesNothing(t *testing.T) {
	a := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon}).Open(testOf)
	batch := Batch{Partition: 7, Bytes: 1000, Records: 10, Idempotent: true, Transactional: true, Parts: [2]*Account{a}}
	again := batch
	again.Duplicate = true
	if n := testing.AllocsPerRun(100, func() {
		a.Add(Requests, 1)
		a.Produced(&batch)
		a.Produced(&again)
		a.Connected(1)
		a.Connected(-1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
