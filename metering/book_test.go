package metering

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// testBook is a book whose clock and rounds a test moves.
type testBook struct {
	*Book
	t     testing.TB
	clock *testClock
	log   *safeBuffer
}

type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func openBook(t testing.TB, cfg Config, clock *testClock) *testBook {
	t.Helper()
	log := &safeBuffer{}
	cfg.Now, cfg.Log = clock.Now, slog.New(slog.NewTextHandler(log, nil))
	if cfg.Gateway == "" {
		cfg.Gateway = "a"
	}
	b, err := NewBook(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &testBook{Book: b, t: t, clock: clock, log: log}
}

// pass lets time go by, second by second, with what Run does.
func (b *testBook) pass(d time.Duration) {
	for range int(d / time.Second) {
		b.clock.add(time.Second)
		b.second()
	}
}

func (b *testBook) second() {
	b.tick(b.clock.Now())
	if b.cfg.Dir != "" {
		b.round(b.clock.Now())
	}
}

// kill ends the process as far as others can tell.
func (b *testBook) kill() {
	b.t.Helper()
	if b.file != nil {
		if err := unlock(b.file.file); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, a := range b.adopted {
		a.file.file.Close()
	}
}

// pushed takes everything, and says what each source has counted by the newest.
func (b *testBook) push(into map[Source]Count) {
	for {
		counts := b.Take(10)
		for _, c := range counts {
			if was := into[c.Source]; was.Seq >= c.Seq {
				b.t.Fatalf("%+v was given again as %+v", was, c)
			}
			into[c.Source] = c
		}
		b.Pushed(counts)
		if len(counts) == 0 {
			return
		}
	}
}

func sum(counts map[Source]Count) (v Values) {
	for _, c := range counts {
		v = v.Plus(c.Values)
	}
	return v
}

var testOf = Of{Instance: "orders", Tenant: "acme", Plan: "standard", Pool: "main"}

func TestHourByHour(t *testing.T) {
	b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon.Add(59 * time.Minute)})
	a := b.Open(testOf)
	a.Connected(2)
	a.Add(Requests, 3)
	b.pass(time.Minute)
	a.Add(Requests, 4)
	b.pass(40 * time.Second)
	redis := map[Source]Count{}
	b.push(redis)
	byHour := map[Hour]Count{}
	for _, c := range redis {
		byHour[c.Hour] = c
	}
	first, second := byHour[HourOf(noon)], byHour[HourOf(noon)+1]
	if len(redis) != 2 || !first.Final || second.Final {
		t.Fatalf("%+v", redis)
	}
	if first.Values[Requests] != 3 || first.Values[ConnectionSeconds] != 120 || second.Values[Requests] != 4 || second.Values[ConnectionSeconds] != 80 {
		t.Errorf("%v, then %v", first.Values, second.Values)
	}
	spool, err := os.ReadFile(filepath.Join(b.cfg.Dir, "spool", "2026-11-22T12_"+spoolEpoch(b)+"_a.spool"))
	if err != nil || !strings.HasPrefix(string(spool), `"orders"	2026-11-22T12	"a/`) {
		t.Errorf("%q %v", spool, err)
	}
	if b.log.String() != "" {
		t.Error(b.log)
	}
}

func spoolEpoch(b *testBook) string { return strings.Split(filepath.Base(b.file.path), "_")[0] }

func TestTheNextStartTakesOver(t *testing.T) {
	dir, clock := t.TempDir(), &testClock{now: noon}
	b := openBook(t, Config{Dir: dir}, clock)
	b.Open(testOf).Add(FetchBytes, 7)
	redis := map[Source]Count{}
	b.push(redis)
	b.Open(testOf).Add(FetchBytes, 5)
	b.kill()

	clock.add(time.Second)
	n := openBook(t, Config{Dir: dir}, clock)
	n.push(redis)
	if len(redis) != 1 || sum(redis)[FetchBytes] != 12 {
		t.Fatalf("%+v", redis)
	}
	for _, c := range redis {
		if !c.Final {
			t.Errorf("%+v is not final", c)
		}
	}
	served := n.Served()
	if len(served) != 2 || served[0].Final == served[1].Final {
		t.Errorf("%+v", served)
	}
	n.pass(20 * time.Minute)
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 2 {
		t.Errorf("%q: the dead file is still there", names)
	}
}

// An hour of 100 TB that an instance holds is no damage.
func TestMuchThatIsHeldIsTakenOver(t *testing.T) {
	dir, clock := t.TempDir(), &testClock{now: noon}
	b := openBook(t, Config{Dir: dir}, clock)
	b.Open(testOf).Add(StorageByteSeconds, 100e12*3600)
	b.kill()
	n := openBook(t, Config{Dir: dir}, clock)
	redis := map[Source]Count{}
	n.push(redis)
	if got := sum(redis)[StorageByteSeconds]; got != 100e12*3600 {
		t.Errorf("%d byte seconds are left; %s", got, n.log)
	}
}
