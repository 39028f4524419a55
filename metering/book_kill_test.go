package metering

import (
	"bufio"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

const (
	childDir     = "WEIR_METERING_CHILD"
	childWorkers = 4
)

// TestChild is the process that TestKilled kills: it counts, and then acknowledges by a
// byte. Its clock runs a thousand times faster, so that hours change, become final and
// go to the spool. Alone it does nothing.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	began := time.Now()
	clock := func() time.Time { return began.Add(time.Since(began) * 1000 * 30) }
	b, err := NewBook(Config{Gateway: "child", Epoch: began.UnixMicro(), Dir: dir, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for w := range childWorkers {
		go func() {
			a := b.Open(testOf)
			for offset := int64(0); ; offset++ {
				a.Produced(&Batch{Partition: uint64(w), Offset: offset, Bytes: 100, Records: 1, Idempotent: offset%2 == 0})
				if _, err := os.Stdout.Write([]byte{'+'}); err != nil {
					os.Exit(1)
				}
			}
		}()
	}
	go func() {
		for {
			b.round(clock())
		}
	}()
	for range time.Tick(time.Millisecond) {
		b.tick(clock())
	}
}

// Whatever kills a process, what it has acknowledged is read back, and no more than
// what was under way on top.
func TestKilled(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	dir, clock := t.TempDir(), &testClock{now: time.Now()}
	var before, excess int64
	var final, counts int
	for i := range kills {
		acked := killOne(t, dir, time.Duration(rand.IntN(300))*time.Millisecond)
		b := openBook(t, Config{Dir: dir}, clock)
		var all int64
		for c, err := range b.All(0) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Values[ProduceBytes] != 100*c.Values[ProduceRecords] && c.Values[ProduceBytes] > 100*(c.Values[ProduceRecords]+childWorkers) {
				t.Errorf("%+v", c)
			}
			all += c.Values[ProduceRecords]
			if counts++; c.Final {
				final++
			}
		}
		if got := all - before; got < acked || got > acked+childWorkers {
			t.Fatalf("kill %d: %d acknowledged, %d read back: at most %d were under way", i, acked, got, childWorkers)
		}
		excess = max(excess, all-before-acked)
		before = all
		b.kill()
	}
	if final != counts {
		t.Errorf("%d of %d counts of dead processes are final", final, counts)
	}
	t.Logf("%d kills, %d acknowledged and read back; at most %d more than acknowledged", kills, before, excess)
}

// killOne runs a child, kills it some time after its first acknowledgement, and says
// how many there were.
func killOne(t *testing.T, dir string, after time.Duration) (acked int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill sync.Once
	in := bufio.NewReaderSize(out, 1<<16)
	for {
		c, err := in.ReadByte()
		if err == io.EOF || err != nil {
			break
		}
		if c == '+' {
			acked++
		}
		kill.Do(func() { time.AfterFunc(after, func() { cmd.Process.Kill() }) })
	}
	cmd.Wait()
	if acked == 0 {
		t.Fatal("the child has acknowledged nothing")
	}
	return acked
}
