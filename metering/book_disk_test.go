package metering

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

// gauge reads one of the book's metrics.
func (b *testBook) gauge(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

func (b *testBook) instance(id tenancy.InstanceID) *Account {
	of := testOf
	of.Instance = id
	return b.Open(of)
}

// A disk that gives no more: counting goes on in memory, the alarm is told once, and
// all of it is on disk once there is room.
func TestDiskFull(t *testing.T) {
	var full atomic.Bool
	registry := prometheus.NewRegistry()
	b := openBook(t, Config{Dir: t.TempDir(), Registry: registry, allocate: func(f *os.File, from, n int64) error {
		if full.Load() {
			return syscall.ENOSPC
		}
		return allocate(f, from, n)
	}}, &testClock{now: noon})
	full.Store(true)
	var want int64
	for i := range 300 { // there are 256 slots
		b.instance(tenancy.InstanceID("i-"+strings.Repeat("a", i/20)+string(rune('a'+i%20)))).Add(Requests, 1)
		want++
	}
	b.pass(59 * time.Second)
	if got := b.gauge(t, registry, "weir_usage_on_disk"); got != 0 || strings.Count(b.log.String(), "usage is not kept on disk") != 1 {
		t.Errorf("on disk: %v\n%s", got, b.log)
	}
	b.clock.add(time.Hour) // and so is the next hour
	b.pass(40 * time.Second)
	full.Store(false)
	b.pass(10 * time.Second)
	if got := b.gauge(t, registry, "weir_usage_on_disk"); got != 1 || strings.Count(b.log.String(), "usage is kept on disk again") != 1 {
		t.Errorf("on disk: %v\n%s", got, b.log)
	}
	b.instance("last").Add(Requests, 1)
	want++
	if got := b.gauge(t, registry, "weir_usage_spool_bytes"); got < 300*80 {
		t.Errorf("spool of %v bytes", got)
	}
	b.kill()
	n := openBook(t, Config{Dir: b.cfg.Dir}, b.clock)
	var got int64
	for c, err := range n.All(0) {
		if err != nil {
			t.Error(err)
		}
		got += c.Values[Requests]
	}
	if got != want {
		t.Errorf("%d after the kill, want %d", got, want)
	}
}

// A real file system of 8 MiB that somebody else fills: the receipts and a few slots fit, and then neither
// counters nor the spool.
func TestSmallFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := mountSmall(dir, 8<<20); err != nil {
		t.Skipf("%s: only root may mount", err)
	}
	t.Cleanup(func() { unmountSmall(dir) })
	filler := filepath.Join(dir, "filler")
	registry := prometheus.NewRegistry()
	b := openBook(t, Config{Dir: filepath.Join(dir, "usage"), Registry: registry}, &testClock{now: noon.Add(59 * time.Minute)})
	if err := os.WriteFile(filler, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	redis := map[Source]Count{}
	var want int64
	for i := range 2000 {
		id := tenancy.InstanceID("i-" + strings.Repeat("a", i/1000) + strings.Repeat("b", i/100%10) + strings.Repeat("c", i/10%10) + strings.Repeat("d", i%10))
		b.instance(id).Add(Requests, 1)
		want++
		if i%500 == 0 {
			b.pass(20 * time.Second)
		}
	}
	b.pass(5 * time.Minute)
	b.push(redis)
	if got := sum(redis)[Requests]; got != want {
		t.Errorf("%d in Redis, want %d", got, want)
	}
	if strings.Count(b.log.String(), "usage is not kept on disk") != 1 {
		t.Errorf("%s", b.log)
	}
	clear(redis) // Redis loses everything, and there is room again
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	b.pass(5 * time.Second)
	got := int64(0)
	for c, err := range b.All(0) {
		if err != nil {
			t.Error(err)
		}
		got += c.Values[Requests]
	}
	if got != want || !strings.Contains(b.log.String(), "usage is kept on disk again") {
		t.Errorf("%d in memory and spool, want %d\n%s", got, want, b.log)
	}
	b.finish()
	b.kill()
}

// The folder is taken away, or was never there and cannot be made.
func TestFolderGone(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "usage")
	b := openBook(t, Config{Dir: dir}, &testClock{now: noon.Add(58 * time.Minute)})
	a := b.Open(testOf)
	a.Add(Requests, 1)
	a.Produced(new(batchAt(1)))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // and nothing can be made there
		t.Fatal(err)
	}
	a.Add(Requests, 1)
	b.pass(10 * time.Second)
	a.Add(Requests, 1)
	if !strings.Contains(b.log.String(), "usage is not kept on disk") {
		t.Errorf("%s", b.log)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	b.pass(10 * time.Second)
	a.Add(Requests, 1)
	a.Produced(new(repeatedAt(1)))
	b.pass(3 * time.Minute)
	if !strings.Contains(b.log.String(), "usage is kept on disk again") {
		t.Errorf("%s", b.log)
	}
	a.Add(Requests, 1)
	b.kill()
	n := openBook(t, Config{Dir: dir}, b.clock)
	var got Values
	for c := range n.All(0) {
		got = got.Plus(c.Values)
	}
	if got[Requests] != 5 || got[ProduceRecords] != 10 || !n.Counted(7, 1) {
		t.Errorf("%v", got)
	}
}

func TestFolderThatCannotBeMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := openBook(t, Config{Dir: dir}, &testClock{now: noon})
	if strings.Count(b.log.String(), "usage is not kept on disk") != 1 {
		t.Errorf("%s", b.log)
	}
	b.Open(testOf).Add(Requests, 1)
	b.pass(2 * time.Hour)
	b.finish()
	redis := map[Source]Count{}
	b.push(redis)
	if sum(redis)[Requests] != 1 {
		t.Errorf("%v", redis)
	}
	if _, err := NewBook(Config{Gateway: "no/name"}); err == nil {
		t.Error("a gateway's name that is no file's")
	}
}

// Two processes in one folder: each leaves the other's files alone as long as it lives.
func TestTwoInOneFolder(t *testing.T) {
	dir, clock := t.TempDir(), &testClock{now: noon.Add(59 * time.Minute)}
	one, two := openBook(t, Config{Dir: dir, Gateway: "one"}, clock), openBook(t, Config{Dir: dir, Gateway: "two"}, clock)
	same := openBook(t, Config{Dir: dir, Gateway: "one"}, clock)
	if _, epoch := same.Start(); epoch == one.cfg.Epoch {
		t.Fatal("two starts have one epoch")
	}
	one.Open(testOf).Add(Requests, 1)
	two.Open(testOf).Add(Requests, 10)
	same.Open(testOf).Add(Requests, 100)
	for range 180 {
		clock.add(time.Second)
		for _, b := range []*testBook{one, two, same} {
			b.second()
		}
	}
	total := func(b *testBook) (n int64) {
		for c := range b.All(0) {
			n += c.Values[Requests]
		}
		return n
	}
	if total(one) != 1 || total(two) != 10 || total(same) != 100 {
		t.Errorf("%d, %d and %d", total(one), total(two), total(same))
	}
	one.Open(testOf).Add(Requests, 1)
	one.kill()
	two.pass(61 * time.Second)
	same.pass(61 * time.Second)
	if total(two)+total(same) != 112 {
		t.Errorf("%d and %d, once one is dead", total(two), total(same))
	}
}

// Counts that wait for Redis are in memory only up to a limit; the rest comes back from
// the spool. What the last start could not push, the next one does.
func TestOwed(t *testing.T) {
	dir, clock := t.TempDir(), &testClock{now: noon.Add(59 * time.Minute)}
	b := openBook(t, Config{Dir: dir}, clock)
	b.Open(testOf).Add(Requests, 7)
	b.pass(2 * time.Minute)
	b.finish()
	b.flush()
	b.kill()
	for range 2 { // neither has Redis
		clock.add(24 * time.Hour)
		n := openBook(t, Config{Dir: dir}, clock)
		n.pass(20 * time.Minute)
		n.kill()
	}
	clock.add(20 * 24 * time.Hour)
	n := openBook(t, Config{Dir: dir}, clock)
	for _, s := range n.Served() {
		if s.Final && s.Epoch == b.cfg.Epoch {
			t.Errorf("%+v, and its count cannot be taken yet", s)
		}
	}
	n.pass(10 * time.Second)
	redis := map[Source]Count{}
	n.push(redis)
	if sum(redis)[Requests] != 7 || len(redis) != 1 {
		t.Errorf("%+v", redis)
	}
	for _, s := range n.Served() {
		n.Told(s)
	}
	n.pass(5 * time.Second)
	for _, s := range n.spools(0) {
		if !s.sent {
			t.Errorf("%s is not sent", s.path)
		}
	}
	clock.add(36 * 24 * time.Hour)
	n.pass(1 * time.Second)
	n.expire(clock.Now())
	if s := n.spools(0); len(s) > 1 {
		t.Errorf("%+v are kept for ever", s)
	}
}

func TestSpoolAlone(t *testing.T) {
	b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon})
	b.most = 4
	for hour := range 12 {
		b.instance("i-1").Add(Requests, 1)
		b.instance("i-2").Add(Requests, int64(hour))
		b.clock.add(time.Hour)
		b.pass(40 * time.Second)
	}
	if len(b.entries) > 8 {
		t.Errorf("%d entries in memory", len(b.entries))
	}
	const want = 12 + 66
	all := map[Source]Count{}
	for c := range b.All(0) {
		all[c.Source] = c
	}
	redis := map[Source]Count{}
	for range 20 {
		b.push(redis)
		b.pass(time.Second)
	}
	if sum(redis)[Requests] != want || sum(all)[Requests] != want {
		t.Errorf("%d in Redis, %d are said to be there, want %d", sum(redis)[Requests], sum(all)[Requests], want)
	}
	for _, s := range b.Served() {
		if s.Hour < b.hour && !s.Final {
			t.Errorf("%+v", s)
		}
		b.Told(s)
	}
	b.pass(2 * time.Second)
	for _, s := range b.spools(0) {
		if !s.sent {
			t.Errorf("%s", s.path)
		}
	}
}

// A disk that does not answer at all is told of, and nobody waits for it.
func TestDiskHangs(t *testing.T) {
	b := openBook(t, Config{Dir: t.TempDir()}, &testClock{now: noon})
	b.disk.began = noon
	b.clock.add(31 * time.Second)
	b.watch(b.clock.Now())
	b.watch(b.clock.Now())
	if strings.Count(b.log.String(), "the disk does not answer") != 1 {
		t.Errorf("%s", b.log)
	}
	b.Open(testOf).Add(Requests, 1)
	n := 0
	for c, err := range b.All(0) {
		if n++; err == nil && c.Values[Requests] != 1 || err != nil && !errors.Is(err, errHangs) {
			t.Errorf("%+v %v", c, err)
		}
	}
	if n != 2 {
		t.Errorf("%d answers", n)
	}
}

// A stop brings all to the spool at once, and the next start has nothing to add.
func TestCleanStop(t *testing.T) {
	dir := t.TempDir()
	b := openBook(t, Config{Dir: dir}, &testClock{now: noon})
	a := b.Open(testOf)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	a.Add(Requests, 3)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	redis := map[Source]Count{}
	b.push(redis)
	for _, c := range redis {
		if !c.Final || c.Values[Requests] != 3 {
			t.Errorf("%+v", c)
		}
	}
	for _, s := range b.Served() {
		if !s.Final {
			t.Errorf("%+v", s)
		}
	}
	if s := b.spools(0); len(s) != 1 {
		t.Errorf("%+v", s)
	}
	b.kill()
	n := openBook(t, Config{Dir: dir}, &testClock{now: noon.Add(time.Minute)})
	for _, c := range n.inMemory(0) {
		if c != redis[c.Source] {
			t.Errorf("%+v, was %+v", c, redis[c.Source])
		}
	}
}
