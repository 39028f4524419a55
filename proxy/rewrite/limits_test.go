package rewrite

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/quota"
	"weir/tenancy"
)

// Without limits of topics and partitions nothing is counted and nobody waits.
func TestNoLimitsNoCost(t *testing.T) {
	pool := newFakePool()
	limits := &fakeLimits{bounds: quota.Bounds{Groups: 1, MessageBytes: 1, StorageBytes: 1}}
	x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(kmsg.CreateTopics), Version: 7}
	x.Limits = limits
	if r, err := x.newRoom(t.Context(), true); r != nil || err != nil || len(pool.asked) > 0 || limits.turns > 0 {
		t.Errorf("room %+v, %v; %d questions, %d turns", r, err, len(pool.asked), limits.turns)
	}
}

// While others create for too long a client is told to try again, in every version.
func TestCreateTopicsWhileOthersDo(t *testing.T) {
	api := Table()[rowOf[kmsg.CreateTopics]-1]
	for v := api.Min; v <= api.Max; v++ {
		x := &Exchange{Session: newSession(newFakePool()), Ctx: t.Context(), Key: int16(kmsg.CreateTopics), Version: v}
		x.Limits = &fakeLimits{bounds: quota.Bounds{Topics: 9}, busy: true}
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Topics = append(req.Topics, kmsg.CreateTopicsRequestTopic{Topic: "a", NumPartitions: 1, ReplicationFactor: 1})
		req.SetVersion(v)
		plan, err := api.Plan(x, encode(req))
		resp := kmsg.NewPtrCreateTopicsResponse()
		resp.SetVersion(v)
		if err != nil || resp.ReadFrom(join(plan.Answer)) != nil || len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != 7 {
			t.Errorf("v%d: answer %s, error %v", v, show(t, resp), err)
		}
	}
}

// A Metadata answer that creates topics does not wait for a turn that the same
// session has: the answer that ends it may be behind.
func TestAutoCreateWithinOwnTurn(t *testing.T) {
	x := &Exchange{Session: newSession(newFakePool()), Ctx: t.Context(), Key: int16(kmsg.CreateTopics), Version: 7}
	limits := &fakeLimits{bounds: quota.Bounds{Topics: 9}}
	x.Limits = limits
	done, err := x.takeTurn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again := &Exchange{Session: x.Session, Ctx: t.Context(), Key: int16(kmsg.Metadata), Version: 12}
	if _, err := again.takeTurn(t.Context()); err != nil || limits.turns != 1 {
		t.Errorf("%d turns, %v", limits.turns, err)
	}
	done()
	done()
	if limits.inTurn != 0 || x.turns.Load() != 0 {
		t.Error("the turn is not ended")
	}
	if end, err := again.takeTurn(t.Context()); err != nil || limits.turns != 2 {
		t.Errorf("%d turns, %v", limits.turns, err)
	} else {
		end()
	}
}

// Topics that Metadata would create beyond the limit are refused, one that fits is
// created.
func TestAutoCreateWithinLimits(t *testing.T) {
	pool := newFakePool("acme.orders")
	pool.answers[int16(kmsg.CreateTopics)] = &kmsg.CreateTopicsResponse{Topics: []kmsg.CreateTopicsResponseTopic{{Topic: "acme.a", NumPartitions: 4}}}
	x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(kmsg.Metadata), Version: 12}
	limits := &fakeLimits{bounds: quota.Bounds{Topics: 2, Partitions: 7}}
	x.Limits = limits
	pool.onAsked = func(req kmsg.Request) {
		if c, ok := req.(*kmsg.CreateTopicsRequest); !ok || c.ValidateOnly {
			return
		}
		time.Sleep(10 * time.Millisecond) // whoever ends the turn before its time does so elsewhere
		if limits.mu.Lock(); limits.inTurn != 1 {
			t.Error("topics are created when the turn is over")
		}
		limits.mu.Unlock()
	}
	rows := []kmsg.MetadataResponseTopic{
		{Topic: new("a"), ErrorCode: codeUnknownTopic}, {Topic: new("b"), ErrorCode: codeUnknownTopic}, {Topic: new("orders")},
	}
	x.createMissing(rows)
	if rows[0].ErrorCode != codeNoLeader || rows[1].ErrorCode != codePolicyViolation || rows[2].ErrorCode != 0 {
		t.Errorf("codes %d, %d, %d", rows[0].ErrorCode, rows[1].ErrorCode, rows[2].ErrorCode)
	}
	var created []string
	for _, req := range pool.asked {
		if req, ok := req.(*kmsg.CreateTopicsRequest); ok && !req.ValidateOnly {
			for _, topic := range req.Topics {
				created = append(created, topic.Topic)
				if topic.NumPartitions != 4 {
					t.Errorf("%s is made with %d partitions and counted with 4", topic.Topic, topic.NumPartitions)
				}
			}
		}
	}
	if diff := cmp.Diff([]string{"acme.a"}, created); diff != "" || limits.inTurn != 0 || limits.turns != 1 {
		t.Errorf("%d turns, %d not ended, created (-want +got):\n%s", limits.turns, limits.inTurn, diff)
	}
	if diff := cmp.Diff([]tenancy.LimitName{tenancy.LimitTopics}, limits.refused); diff != "" {
		t.Errorf("noted as refused (-want +got):\n%s", diff)
	}
}

// A request with too large batches is walked once more than others, and asks no more
// than they do.
func TestLargeBatchesAskOnce(t *testing.T) {
	for v := int16(3); v <= 13; v++ {
		x := fastExchange(kmsg.Produce, v)
		x.Limits = &fakeLimits{bounds: quota.Bounds{MessageBytes: 69}}
		body := produceBody(v, 1, func(r *kmsg.ProduceRequest) {
			for i := range r.Topics {
				r.Topics[i].Partitions[0].Records = r.Topics[i].Partitions[0].Records[:60]
			}
		}, "orders", "a", "orders", "a")
		mustMap(t, x, body)
		guard := &fickleGuard{}
		x.Guard = guard
		req := kmsg.NewPtrProduceRequest()
		req.SetVersion(v)
		if err := req.ReadFrom(join(mustMap(t, x, body).Request)); err != nil {
			t.Fatal(err)
		}
		if guard.asked != 4 || len(req.Topics) != 2 || len(req.Topics[0].Partitions) != 1 {
			t.Errorf("v%d: asked %d times, forwarded %s", v, guard.asked, show(t, req))
		}
	}
}

// A body of nothing but too large batches takes memory within bounds, as all do.
func TestLargeBatchesTakeLittleMemory(t *testing.T) {
	for _, v := range []int16{3, 9, 13} {
		x := fastExchange(kmsg.Produce, v)
		x.Limits = &fakeLimits{bounds: quota.Bounds{MessageBytes: 60}}
		body := produceBody(v, -1, func(r *kmsg.ProduceRequest) {
			p := r.Topics[0].Partitions[0]
			for i := range 1 << 16 {
				p.Partition = int32(i)
				r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
			}
			r.Topics[0].Partitions[0].Records = nil // one is left to forward
		}, "orders")
		api, _ := Lookup(x.Key, v)
		var err error
		got := allocated(func() { _, err = api.Plan(x, body) })
		if most := len(body) + max(len(body), growth) + 2<<20; got > most || err != nil {
			t.Errorf("v%d: body of %d bytes takes %d bytes of memory, want at most %d; %v", v, len(body), got, most, err)
		}
	}
}

// Limits that nothing exceeds cost Produce no allocation.
func TestFastAllocationsWithLimits(t *testing.T) {
	limits := &fakeLimits{bounds: quota.Bounds{MessageBytes: 64 << 10, StorageBytes: 1}}
	for _, c := range fastCases() {
		c.x.Limits = limits
		c.run(t)
		if n := testing.AllocsPerRun(20, func() { c.run(t) }); n > c.most {
			t.Errorf("%s: an exchange allocates %v times, want at most %v", c.name, n, c.most)
		}
	}
}

// BenchmarkFastLimits is the mapping of a Produce request, with limits and without.
func BenchmarkFastLimits(b *testing.B) {
	for _, size := range []struct{ partitions, bytes int }{{1, 1 << 10}, {16, 64 << 10}} {
		for name, limits := range map[string]Limits{"none": nil, "limits": &fakeLimits{bounds: quota.Bounds{MessageBytes: 64 << 10}}} {
			x, body := fastExchange(kmsg.Produce, 11), bigProduce(11, size.partitions, size.bytes)
			x.Limits = limits
			api, _ := Lookup(x.Key, x.Version)
			x.Ctx = context.Background()
			b.Run(fastName(size.partitions, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := api.Plan(x, body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func fastName(partitions int, limits string) string {
	if partitions == 1 {
		return "one/" + limits
	}
	return "many/" + limits
}

// spent counts what is charged as topic mutations.
type spent int

func (*spent) Bounded() bool { return true }

func (s *spent) Spend(n int, _ bool) bool {
	*s += spent(n)
	return true
}

// What a limit refuses is not charged to another one: growing a topic costs nothing
// where there may be no more partitions.
func TestRefusedPartitionsAreNotCharged(t *testing.T) {
	for most, want := range map[int64]spent{3: 0, 10: 5} {
		pool, used := newFakePool("acme.t"), new(spent)
		describes := kmsg.NewPtrMetadataResponse()
		describes.Topics = []kmsg.MetadataResponseTopic{{Topic: new("acme.t"), Partitions: make([]kmsg.MetadataResponseTopicPartition, 3)}}
		pool.answers[int16(kmsg.Metadata)] = describes
		x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(kmsg.CreatePartitions), Version: 3, Mutations: used}
		x.Limits = &fakeLimits{bounds: quota.Bounds{Partitions: most}}
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 8}}
		req.SetVersion(3)
		if _, err := Table()[rowOf[kmsg.CreatePartitions]-1].Plan(x, encode(req)); err != nil || *used != want {
			t.Errorf("with a limit of %d partitions 5 more cost %d, want %d; %v", most, *used, want, err)
		}
	}
}
