package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"weir/quota"
	"weir/tenancy"
	"weir/upstream"
)

// limited is newRig with two gateways in front of the same brokers and instances. Both
// know the limits of instances, no plan's.
type limited struct {
	*rig
	second *Server
	pool   *upstream.Pool
}

func newLimited(t *testing.T) *limited {
	t.Helper()
	l := &limited{}
	var dir *tenancy.Directory
	var first atomic.Pointer[Server]
	quotaOf := func(c *Config, gateway string) {
		c.Gateway, c.Leases = gateway, c.Store.(*tenancy.Store)
		c.Quota = quota.New(quota.Config{Log: c.Log, Instance: func(id tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
			v, ok := dir.View(id)
			return v, nil, ok
		}})
		dir.Watch(c.Quota.Changed)
	}
	l.rig = newRigOn(t, nil, func(p *upstream.Config) {
		p.SampleEvery = 50 * time.Millisecond
		p.Owners = func() upstream.Owner { return dir.Owners("main") }
		p.Sampled = func(h *upstream.Holdings) {
			l.second.Sampled("main", h)
			if srv := first.Load(); srv != nil {
				srv.Sampled("main", h)
			}
		}
	}, func(c *Config) {
		dir, l.pool = c.Directory, c.Pools["main"]
		second := *c
		quotaOf(c, "g1")
		quotaOf(&second, "g2")
		second.Listeners = nil
		ports := map[string]map[int32]HostPort{"main": {}}
		for _, lst := range c.Listeners {
			lst.Address, lst.Ports = freePort(t), ports
			host, port, _ := net.SplitHostPort(lst.Address)
			if n, _ := strconv.Atoi(port); lst.Node >= 0 {
				ports["main"][lst.Node] = HostPort{Host: host, Port: int32(n)}
			}
			second.Listeners = append(second.Listeners, lst)
		}
		var err error
		if l.second, err = New(second); err != nil {
			t.Fatal(err)
		}
	})
	first.Store(l.srv)
	ctx, cancel := context.WithCancel(context.Background())
	now, served := make(chan struct{}), make(chan struct{})
	go func() { defer close(served); _ = l.second.Serve(ctx, now) }()
	t.Cleanup(func() { cancel(); close(now); <-served })
	return l
}

// limit sets limits of instance a, in force when it returns.
func (l *limited) limit(put tenancy.Limits, remove ...tenancy.LimitName) {
	l.t.Helper()
	rev, err := l.store.ChangeLimits(l.t.Context(), "i-a", put, remove)
	if err != nil {
		l.t.Fatal(err)
	}
	l.inForce(rev)
}

func limitsOf(pairs ...any) tenancy.Limits {
	limits := tenancy.Limits{}
	for i := 0; i < len(pairs); i += 2 {
		limits[pairs[i].(tenancy.LimitName)] = tenancy.Limit{Value: float64(pairs[i+1].(int))}
	}
	return limits
}

// through is a client of instance a by one of the gateways.
func (l *limited) through(srv *Server, opts ...kgo.Opt) *kgo.Client {
	l.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(srv.Addrs()[0]), kgo.DialTLSConfig(l.tls()), kgo.AllowAutoTopicCreation(),
		kgo.SASL(plain.Auth{User: "u@i-a", Pass: password}.AsMechanism()),
	}, opts...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(cl.Close)
	return cl
}

// sampled waits until a sample says so.
func (l *limited) sampled(what string, so func(upstream.Holding) bool) {
	l.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if has, ok := l.pool.Holdings().Of("i-a"); ok && so(has) {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("no sample in 20s says: %s", what)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-l.t.Context().Done():
		}
	}
}

func createTopics(t *testing.T, cl *kgo.Client, partitions int32, names ...string) (codes []int16) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range names {
		req.Topics = append(req.Topics, kmsg.CreateTopicsRequestTopic{Topic: name, NumPartitions: partitions, ReplicationFactor: 1})
	}
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Errorf("creating topics: %v", err)
		return nil
	}
	for _, topic := range resp.Topics {
		codes = append(codes, topic.ErrorCode)
	}
	return codes
}

// Eight clients of two gateways create topics at the same time: so many partitions as
// the limit says come to be, exactly, and everybody else is told so.
func TestLimitsAreExactOverGateways(t *testing.T) {
	l := newLimited(t)
	l.limit(limitsOf(tenancy.LimitTopics, 9, tenancy.LimitPartitions, 7))
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		srv := l.srv
		if i%2 == 1 {
			srv = l.second
		}
		cl := l.through(srv)
		wg.Go(func() {
			for j := range 3 {
				switch codes := createTopics(t, cl, 2, fmt.Sprintf("t%d-%d", i, j)); {
				case len(codes) == 1 && codes[0] == 0:
					made.Add(1)
				case len(codes) == 1 && codes[0] == 44:
					refused.Add(1)
				default:
					t.Errorf("codes %v", codes)
				}
			}
		})
	}
	wg.Wait()
	there, err := l.pool.CountPartitions(t.Context(), "i-a.")
	if err != nil || len(there) != 3 || made.Load() != 3 || refused.Load() != 21 {
		t.Errorf("%d topics are there (%v), %d were made, %d refused; want 3, 3 and 21", len(there), err, made.Load(), refused.Load())
	}
	cl := l.through(l.srv)
	// One partition is left. A topic may have it, in whatever way, and no other.
	for count, want := range map[int32]int16{3: 0, 4: 44} {
		req := kmsg.NewPtrCreatePartitionsRequest()
		for name := range there {
			req.Topics = append(req.Topics, kmsg.CreatePartitionsRequestTopic{Topic: strings.TrimPrefix(name, "i-a."), Count: count})
			break
		}
		req.ValidateOnly = true
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil || resp.Topics[0].ErrorCode != want {
			t.Errorf("to %d partitions: %+v, %v, want code %d", count, resp, err, want)
		}
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "auto", Value: []byte("x")}).FirstErr(); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("producing to a topic that would be one too many (kfake makes 10 partitions): %v", err)
	}
	// Other instances are not bounded by it.
	if codes := createTopics(t, l.client("b"), 9, "t"); len(codes) != 1 || codes[0] != 0 {
		t.Errorf("of another instance: codes %v", codes)
	}
	// A limit that goes holds nobody back any more, on connections that are open.
	l.limit(nil, tenancy.LimitPartitions)
	if codes := createTopics(t, cl, 50, "wide"); len(codes) != 1 || codes[0] != 0 {
		t.Errorf("without a limit: codes %v", codes)
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// A batch beyond the limit is refused, one within is not, and a limit that is raised
// holds on the connection that is open.
func TestMessageLimit(t *testing.T) {
	l := newLimited(t)
	l.limit(limitsOf(tenancy.LimitMessageBytes, 2048))
	cl := l.through(l.srv, kgo.DefaultProduceTopic("t"))
	produce := func(size int) error {
		return cl.ProduceSync(t.Context(), &kgo.Record{Value: randomBytes(size)}).FirstErr()
	}
	if err := produce(1500); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	if err := produce(2500); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("beyond the limit: %v", err)
	}
	l.limit(limitsOf(tenancy.LimitMessageBytes, 4096))
	if err := produce(2500); err != nil {
		t.Errorf("within the new limit: %v", err)
	}
}

// Beyond 110 % of its storage an instance cannot produce, and can do all else; below
// 100 % it can again. Every crossing is told once.
func TestStorageLimit(t *testing.T) {
	l := newLimited(t)
	l.limit(limitsOf(tenancy.LimitStorageBytes, 1<<20))
	cl := l.through(l.srv, kgo.DefaultProduceTopic("t"), kgo.ConsumeTopics("t"))
	produce := func(size int) error {
		return cl.ProduceSync(t.Context(), &kgo.Record{Value: randomBytes(size)}).FirstErr()
	}
	for range 3 {
		if err := produce(400 << 10); err != nil {
			t.Fatal(err)
		}
	}
	l.sampled("it is beyond", func(h upstream.Holding) bool { return h.Bytes > 1<<20+1<<20/10 })
	if err := produce(10); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("beyond 110 %%: %v", err)
	}
	_ = produce(10)
	if got := read(t, cl, 3); len(got) != 3 {
		t.Errorf("read %d records", len(got))
	}
	// With the limit raised it can at once, and with it lowered it cannot.
	l.limit(limitsOf(tenancy.LimitStorageBytes, 2<<20))
	if err := produce(10); err != nil {
		t.Errorf("with a higher limit: %v", err)
	}
	l.limit(limitsOf(tenancy.LimitStorageBytes, 1<<20))
	if err := produce(10); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("with the former limit: %v", err)
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TopicNames, del.Topics = []string{"t"}, []kmsg.DeleteTopicsRequestTopic{{Topic: new("t")}}
	if resp, err := del.RequestWith(t.Context(), cl); err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("deleting while produce is refused: %+v, %v", resp, err)
	}
	l.sampled("it is below", func(h upstream.Holding) bool { return h.Bytes < 1<<20 })
	other := l.through(l.srv, kgo.DefaultProduceTopic("t2"))
	if err := other.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
		t.Errorf("below the limit: %v", err)
	}
	// Two gateways, twice refused each.
	if n := strings.Count(l.log.String(), "nothing more can be produced until"); n > 4 || n < 2 {
		t.Errorf("the log tells %d times that produce is refused", n)
	}
}

// Groups beyond the limit are refused where they would begin; those that are there
// go on, and a place that comes free is found.
func TestGroupLimit(t *testing.T) {
	l := newLimited(t)
	l.limit(limitsOf(tenancy.LimitGroups, 1))
	l.sampled("there is none", func(h upstream.Holding) bool { return h.Groups == 0 })
	admin := l.through(l.srv)
	if codes := createTopics(t, admin, 1, "t"); codes[0] != 0 {
		t.Fatal(codes)
	}
	if err := admin.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	member := l.through(l.srv, kgo.ConsumerGroup("first"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	read(t, member, 1)

	tooMany := l.through(l.srv, kgo.ConsumerGroup("second"), kgo.ConsumeTopics("t"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := tooMany.PollFetches(ctx).Err(); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("the second group: %v", err)
	}
	tooMany.Close()
	l.sampled("there is one", func(h upstream.Holding) bool { return h.Groups == 1 })
	beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	beat.Group, beat.SubscribedTopicNames, beat.RebalanceTimeoutMillis, beat.MemberID = "third", []string{"t"}, 1000, "m"
	beat.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	resp, err := beat.RequestWith(t.Context(), admin)
	if err != nil || resp.ErrorCode != 81 || resp.ErrorMessage == nil || !strings.Contains(*resp.ErrorMessage, "limit of 1 groups") {
		t.Errorf("a third by heartbeat: %+v, %v", resp, err)
	}
	// The same group once more, by the other gateway, is not one more.
	again := l.through(l.second, kgo.ConsumerGroup("first"), kgo.ConsumeTopics("t"))
	member.Close()
	if err := admin.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("y")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	read(t, again, 1)
	again.Close()
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{"first"}
	if resp, err := del.RequestWith(t.Context(), admin); err != nil || resp.Groups[0].ErrorCode != 0 {
		t.Fatalf("%+v %v", resp, err)
	}
	l.sampled("there is none again", func(h upstream.Holding) bool { return h.Groups == 0 })
	read(t, l.through(l.srv, kgo.ConsumerGroup("fourth"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 2)
}

func TestStorageLevels(t *testing.T) {
	for _, tt := range []struct {
		was          storageLevel
		bytes, limit int64
		want         storageLevel
	}{
		{storageBelow, 999, 1000, storageBelow},
		{storageBelow, 1000, 1000, storageAbove},
		{storageBelow, 1099, 1000, storageAbove},
		{storageBelow, 1100, 1000, storageFull},
		{storageAbove, 1100, 1000, storageFull},
		{storageAbove, 999, 1000, storageBelow},
		{storageFull, 1099, 1000, storageFull},
		{storageFull, 1000, 1000, storageFull},
		{storageFull, 999, 1000, storageBelow},
		{storageFull, 5000, 0, storageBelow},
		{storageBelow, 1 << 62, 1 << 50, storageFull},
	} {
		if got := tt.was.next(tt.bytes, tt.limit); got != tt.want {
			t.Errorf("%d bytes of %d after %s: %s, want %s", tt.bytes, tt.limit, tt.was, got, tt.want)
		}
	}
}

// One turn at a time over two gateways; with Redis away, within each.
func TestTurns(t *testing.T) {
	mini := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: mini.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	gateway := func(name string) *hardLimit {
		return &hardLimit{hardLimits: &hardLimits{leases: tenancy.NewStore(rdb), gateway: name}, id: "a", mine: make(chan struct{}, 1)}
	}
	one, two := gateway("g1"), gateway("g2")
	var inTurn, turns atomic.Int32
	var wg sync.WaitGroup
	for i := range 6 {
		l := []*hardLimit{one, two}[i%2]
		wg.Go(func() {
			for range 3 {
				done, err := l.Turn(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if n := inTurn.Add(1); n > 1 {
					t.Errorf("%d at the same time", n)
				}
				turns.Add(1)
				inTurn.Add(-1)
				done()
			}
		})
	}
	wg.Wait()
	if turns.Load() != 18 {
		t.Errorf("%d turns", turns.Load())
	}
	waits := func(l *hardLimit) {
		t.Helper()
		soon, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		if _, err := l.Turn(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a turn while another lasts: %v", err)
		}
	}
	done, err := one.Turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waits(one)
	waits(two)
	done()
	// Who ends without a word holds up others of the process no more.
	ctx, cancel := context.WithCancel(t.Context())
	mini.Close()
	if _, err := one.Turn(ctx); err != nil {
		t.Fatal(err)
	}
	waits(one)
	if done, err := two.Turn(t.Context()); err != nil {
		t.Errorf("with Redis away another gateway: %v", err)
	} else {
		done()
	}
	cancel()
	if done, err := one.Turn(t.Context()); err != nil {
		t.Errorf("after the end of who had it: %v", err)
	} else {
		done()
	}
}

// A limit that nothing exceeds costs a request no allocation.
func TestHardLimitsDoNotAllocate(t *testing.T) {
	l := newLimited(t)
	l.limit(limitsOf(tenancy.LimitMessageBytes, 2048, tenancy.LimitStorageBytes, 1<<30))
	l.sampled("anything", func(upstream.Holding) bool { return true })
	limits := l.srv.hard.session(tenancy.Instance{ID: "i-b"}, l.pool, "u")
	if n := testing.AllocsPerRun(100, func() {
		if limits.Full() || limits.Bounds().MessageBytes != 0 || !limits.MayHaveGroup("i-b.g") {
			t.Fatal("b is bounded")
		}
	}); n > 1 { // a new sample may come in between
		t.Errorf("%v allocations", n)
	}
}
