package metering

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/tenancy"
)

// deadFile is a file of counters of a process that was killed: ten instances with 1 to
// 10 requests, a receipt and a doubt of the first.
func deadFile(t testing.TB) (name string, mem []byte) {
	t.Helper()
	b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon})
	for i := range 10 {
		b.instance(tenancy.InstanceID(fmt.Sprintf("i-%d", i))).Add(Requests, int64(i+1))
	}
	a := b.instance("i-0")
	a.Produced(new(batchAt(1)))
	a.Produced(new(repeatedAt(2)))
	b.Take(100)
	b.kill()
	mem, err := os.ReadFile(b.file.path)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(b.file.path), mem
}

// slotOf finds an instance's slot in a file.
func slotOf(t testing.TB, mem []byte, id string) int {
	t.Helper()
	at := bytes.Index(mem, append([]byte{byte(len(id)), 0}, id...))
	if at < 0 {
		t.Fatalf("no %s in the file", id)
	}
	return at - slotTexts
}

// Wherever a file of counters is damaged: what can be read of it is used, one line says
// what could not be, and the file is set aside.
func TestDamagedCounters(t *testing.T) {
	name, whole := deadFile(t)
	first, last := slotOf(t, whole, "i-0"), slotOf(t, whole, "i-9")
	flip := func(at int) func([]byte) []byte {
		return func(mem []byte) []byte { mem[at] ^= 0x40; return mem }
	}
	for _, tc := range []struct {
		name   string
		damage func([]byte) []byte
		want   int64 // requests of 55
		lost   string
	}{
		{"not at all", func(m []byte) []byte { return m }, 55, ""},
		{"the magic", flip(3), 55, "0 of 10"},
		{"the header's epoch", flip(len(headerMagic) + 1), 55, "0 of 10"},
		{"behind the header", flip(seedBegin - 1), 55, "0 of 10"},
		{"a label", flip(first + slotTexts + 3), 54, "1 of 10"},
		{"a label's hour", flip(first + 9), 54, "1 of 10"},
		{"a label's length", flip(first + 6), 54, "1 of 10"},
		{"a label's CRC", flip(first + 1), 54, "1 of 10"},
		{"what the slot is", flip(first + 4), 54, "1 of 10"},
		{"a sequence's sign", func(m []byte) []byte { m[first+slotSequence+7] ^= 0x80; return m }, 54, "1 of 10"},
		{"a meter's sign", func(m []byte) []byte { m[first+slotMeters+7] ^= 0x80; return m }, 54, "1 of 10"},
		{"a meter beyond belief", func(m []byte) []byte { m[first+slotMeters+8*int(Requests)+7] ^= 0x01; return m }, 54, "1 of 10"},
		{"cut in the last slot", func(m []byte) []byte { return m[:min(first, last)+slotMeters] }, -1, "0 of"},
		{"cut behind the slots", func(m []byte) []byte { return m[:len(m)-100*slotSize-7] }, -1, "0 of"},
		{"cut in the receipts", func(m []byte) []byte { return m[:headerSize+9000] }, 0, "0 of 0"},
		{"cut in the header", func(m []byte) []byte { return m[:10] }, 0, "0 of 0"},
		{"empty", func([]byte) []byte { return nil }, 0, ""},
		{"zeros", func(m []byte) []byte { return make([]byte, len(m)) }, 0, ""},
		{"noise", func(m []byte) []byte {
			for i := range m {
				m[i] = byte(i*7 + i>>8)
			}
			return m
		}, 0, "256 of 256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, tc.damage(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			b := openBook(t, Config{Dir: dir, Gateway: "next"}, &testClock{now: noon.Add(time.Minute)})
			got := int64(0)
			for _, c := range b.inMemory(0) {
				got += c.Values[Requests]
			}
			if got != tc.want && tc.want >= 0 {
				t.Errorf("%d requests are read, want %d", got, tc.want)
			}
			lines := strings.Count(b.log.String(), "a dead gateway's counters are damaged")
			b.pass(5 * time.Second)
			_, err := os.Stat(path + ".damaged")
			if tc.lost == "" {
				if lines != 0 || err == nil {
					t.Errorf("%s", b.log)
				}
				return
			}
			if lines != 1 || err != nil || !strings.Contains(b.log.String(), tc.lost) {
				t.Errorf("want %s; set aside: %v\n%s", tc.lost, err, b.log)
			}
		})
	}
}

// Wherever a file of the spool is damaged.
func TestDamagedSpool(t *testing.T) {
	id := chapterID{"a", 17, HourOf(noon)}
	var whole []byte
	for i := range int64(10) {
		c := Count{
			Line:   Line{Hour: id.hour, Instance: "orders", Tenant: "acme", Plan: "standard", Pool: "main", Part: []string{"", "user=a\tb\nc\"ü\xff"}[i%2]},
			Source: Source{Gateway: "a", Epoch: 17, Part: i + 1}, Seq: 5, Final: true,
		}
		c.Values[Requests] = i + 1
		whole = appendSpooled(whole, &c)
	}
	length := len(whole) / 10
	for _, tc := range []struct {
		name   string
		damage func([]byte) []byte
		want   int64
		lost   string
	}{
		{"not at all", func(m []byte) []byte { return m }, 55, ""},
		{"a bit of the first", func(m []byte) []byte { m[20] ^= 1; return m }, 54, "1 of 10"},
		{"a CRC", func(m []byte) []byte { m[bytes.IndexByte(m, '\n')-1] ^= 1; return m }, 54, "1 of 10"},
		{"a line's end", func(m []byte) []byte { m[bytes.IndexByte(m, '\n')] = ' '; return m }, 52, "1 of 9"},
		{"cut in the last", func(m []byte) []byte { return m[:len(m)-10] }, 45, "1 of 10"},
		{"cut before the last line's end", func(m []byte) []byte { return m[:len(m)-1] }, 45, "1 of 10"},
		{"a piece in the middle", func(m []byte) []byte { return append(m[:length*3:length*3], m[length*5:]...) }, -1, "1 of 8"},
		{"zeros at the end", func(m []byte) []byte { return append(m, make([]byte, 100)...) }, 55, "1 of 11"},
		{"noise", func(m []byte) []byte { return []byte("\x00\xff\n\n\tabc\n") }, 0, "2 of 2"},
		{"empty", func([]byte) []byte { return nil }, 0, ""},
		{"twice", func(m []byte) []byte { return append(m, m...) }, 55, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "spool", spoolName(id)+".spool")
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tc.damage(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			b := openBook(t, Config{Dir: dir, Gateway: "next"}, &testClock{now: noon.Add(time.Hour)})
			b.pass(5 * time.Second)
			redis := map[Source]Count{}
			b.push(redis)
			if got := sum(redis)[Requests]; got != tc.want && tc.want >= 0 {
				t.Errorf("%d requests are read, want %d", got, tc.want)
			}
			lines := strings.Count(b.log.String(), "spooled usage is damaged")
			_, err := os.Stat(path + ".damaged")
			if tc.lost == "" {
				if lines != 0 || err == nil {
					t.Errorf("%s", b.log)
				}
				return
			}
			if lines != 1 || err != nil || !strings.Contains(b.log.String(), tc.lost) {
				t.Errorf("want %s; set aside: %v\n%s", tc.lost, err, b.log)
			}
			again := int64(0)
			for c := range b.All(0) {
				again += c.Values[Requests]
			}
			if again != sum(redis)[Requests] {
				t.Errorf("%d are in the spool then", again)
			}
		})
	}
}

// The host crashed: the file is older than what the spool has of it, and than what Redis
// has. The newer stands.
func TestOldFile(t *testing.T) {
	dir, clock := t.TempDir(), &testClock{now: noon.Add(59*time.Minute + 50*time.Second)}
	b := openBook(t, Config{Dir: dir}, clock)
	a := b.Open(testOf)
	a.Add(Requests, 1)
	redis := map[Source]Count{}
	b.push(redis)
	old, err := os.ReadFile(b.file.path)
	if err != nil {
		t.Fatal(err)
	}
	a.Add(Requests, 1)
	b.push(redis)
	b.clock.add(50 * time.Second)
	for range 4 {
		b.second()
	}
	b.kill()
	if err := os.WriteFile(b.file.path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	n := openBook(t, Config{Dir: dir}, clock)
	for _, c := range n.inMemory(0) {
		if c.Values[Requests] != 2 || !c.Final {
			t.Errorf("%+v", c)
		}
	}
	n.push(redis)
	if got := sum(redis)[Requests]; got != 2 {
		t.Errorf("%d", got)
	}
}

func FuzzSpool(f *testing.F) {
	id := chapterID{"a", 17, HourOf(noon)}
	c := Count{Line: Line{Hour: id.hour, Instance: "orders", Tenant: "acme", Plan: "standard", Pool: "main"}, Source: Source{"a", 17, 1}, Seq: 5, Final: true}
	f.Add(appendSpooled(nil, &c))
	c.Line.Part = "user=a\tb\nc\"ü\xff"
	f.Add(appendSpooled(appendSpooled(nil, &c), &c))
	f.Fuzz(func(t *testing.T, text []byte) {
		counts, lines, bad := readSpooled(text, id)
		if len(counts) > lines-bad {
			t.Fatalf("%d counts in %d lines, of which %d are bad", len(counts), lines, bad)
		}
		var again []byte
		for i := range counts {
			again = appendSpooled(again, &counts[i])
		}
		same, _, bad := readSpooled(again, id)
		if bad != 0 || fmt.Sprint(same) != fmt.Sprint(counts) {
			t.Fatalf("%v, written and read again: %v", counts, same)
		}
	})
}

func FuzzCounters(f *testing.F) {
	name, whole := deadFile(f)
	gateway, epoch, ok := parseCounterName(name)
	if !ok {
		f.Fatal(name)
	}
	f.Add(slotsBegin+slotOf(f, whole[slotsBegin:], "i-3")+slotTexts, byte(1), len(whole))
	f.Add(headerSize, byte(255), slotsBegin+5000)
	f.Fuzz(func(t *testing.T, at int, bits byte, length int) {
		mem := bytes.Clone(whole[:max(0, min(length, len(whole)))])
		if at >= 0 && at < len(mem) {
			mem[at] ^= bits
		}
		c := &counterFile{gateway: gateway, epoch: epoch}
		slots, _ := c.adopt(mem)
		b := openBook(t, Config{}, &testClock{now: noon})
		b.adopt(c, slots, nil)
		for _, count := range b.inMemory(0) {
			if err := count.check(); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range b.Doubts() {
			b.TakeBack(d)
		}
		for _, count := range b.inMemory(0) {
			for m, n := range count.Values {
				if n < 0 {
					t.Fatalf("%s is %d", Meter(m), n)
				}
			}
		}
	})
}
