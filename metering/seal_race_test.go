package metering

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"weir/tenancy"
)

// cutter is what lies between one sealer and Redis: after so many commands it is cut
// off, with the last one done or not.
type cutter struct {
	left    atomic.Int64
	answers bool // the last command is done, and only its answer is lost
}

var errCut = errors.New("cut off")

func (c *cutter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *cutter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return c.cut(cmd, func() error { return next(ctx, cmd) })
	}
}

func (c *cutter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return c.cut(cmds[0], func() error { return next(ctx, cmds) })
	}
}

func (c *cutter) cut(cmd redis.Cmder, do func() error) error {
	left := c.left.Add(-1)
	if left == 0 && c.answers {
		_ = do()
	}
	if left <= 0 {
		cmd.SetErr(errCut)
		return errCut
	}
	return do()
}

// cuttable is a sealer on a connection of its own.
func (s *testSeal) cuttable(gateway string, left int64, answers bool) (*Sealer, *cutter) {
	c := &cutter{answers: answers}
	c.left.Store(left)
	rdb := redis.NewClient(&redis.Options{Addr: s.redis.Addr(), MaxRetries: -1, DisableIdentity: true, PoolSize: 2})
	rdb.AddHook(c)
	store := NewStore(StoreConfig{Redis: rdb, Now: s.clock})
	records := NewRecordStore(RecordStoreConfig{Redis: rdb, Store: store, Now: s.clock})
	return NewSealer(SealerConfig{Records: records, Store: store, Gateway: gateway, Now: s.clock}), c
}

// However far each of many sealers comes before it dies, and whoever is next: one chain
// without a fork, whose sums are those of the counts.
func TestSealersThatDieAtEveryStep(t *testing.T) {
	for _, answers := range []bool{false, true} {
		for dies := int64(1); dies <= 60; dies++ {
			s := newTestSeal(t)
			for i := range 3 {
				c := testCount("a", 1, int64(10+i))
				c.Instance = tenancy.InstanceID(fmt.Sprintf("i-%d", i))
				pushAll(t, s.Store, c)
			}
			s.rounds(t.Context(), 2*time.Minute, s.sealer(t, "first", "")) // sealing has begun
			s.pass(time.Hour)
			early, cut := s.cuttable("early", 1<<40, answers)
			s.rounds(t.Context(), 10*time.Second, early)
			s.pass(time.Minute)
			cut.left.Store(dies)
			s.rounds(t.Context(), 40*time.Second, early)
			late := testCount("b", 1, 100)
			late.Instance = "i-1"
			pushAll(t, s.Store, late)
			s.rounds(t.Context(), 5*time.Minute, s.sealer(t, "next", ""))
			for i := range 3 {
				id := tenancy.InstanceID(fmt.Sprintf("i-%d", i))
				want := int64(10 + i)
				if i == 1 {
					want += 100
				}
				if got := sumOf(s.all(t, Query{Instance: id})); got[ProduceBytes] != want {
					t.Fatalf("dead at command %d (%v): %s has %d, want %d\n%s", dies, answers, id, got[ProduceBytes], want, &s.log)
				}
				s.intact(t, id)
			}
			s.redis.Close()
		}
	}
}

// Two that seal at the same time, because both believe to have the lease.
func TestTwoSealersAtOnce(t *testing.T) {
	s := newTestSeal(t)
	const instances, hours = 20, 3
	want := map[tenancy.InstanceID]int64{}
	begin := s.sealer(t, "begin", "")
	s.rounds(t.Context(), 2*time.Minute, begin)
	for i := range instances {
		for h := range hours {
			c := testCount("a", 1, int64(1+i*h))
			c.Instance, c.Hour = tenancy.InstanceID(fmt.Sprintf("i-%d", i)), testHour+Hour(h)
			pushAll(t, s.Store, c)
			want[c.Instance] += c.Values[ProduceBytes]
		}
	}
	s.pass(time.Hour * hours)
	done := make(chan error, 3)
	for n := range 3 {
		sealer, _ := s.cuttable(fmt.Sprintf("gw-%d", n), 1<<40, false)
		sealer.asked = progress{hour: testHour - 1, known: true}
		go func() {
			for h := testHour; h < testHour+hours; h++ {
				var all []*sealing
				for id := range want {
					all = append(all, &sealing{id: id, hour: h})
				}
				if err := sealer.seal(context.WithoutCancel(t.Context()), all, nil); err != nil {
					done <- err
					return
				}
				for _, one := range all {
					if one.err != nil && !errors.Is(one.err, errMoved) {
						done <- one.err
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for id, sum := range want {
		if got := sumOf(s.all(t, Query{Instance: id})); got[ProduceBytes] != sum {
			t.Errorf("%s has %d, want %d", id, got[ProduceBytes], sum)
		}
		if c := s.intact(t, id); c.Last < 1 {
			t.Errorf("%s has no records", id)
		}
	}
}

// Whatever comes when, and whatever Redis loses and gets back: when all is there, the
// records of a line add up to its counts.
func TestSumsAreExact(t *testing.T) {
	fewChecks(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := newTestSeal(t)
		defer s.redis.Close()
		sealer := s.sealer(t, "gw-1", "")
		newest := map[string]Count{}
		gateways := []string{"a", "b", "c"}
		for range rapid.IntRange(1, 14).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0, 1, 2: // a gateway counts, unless it was final
				g := rapid.SampledFrom(gateways).Draw(rt, "gateway")
				c, ok := newest[g]
				if !ok {
					c = testCount(g, 0, 0)
				}
				if c.Final {
					break
				}
				c.Seq++
				c.Values[ProduceBytes] += int64(rapid.IntRange(0, 100).Draw(rt, "more"))
				c.Final = rapid.Bool().Draw(rt, "final")
				newest[g] = c
				pushAll(t, s.Store, c)
			case 3: // Redis loses the counts of one
				g := rapid.SampledFrom(gateways).Draw(rt, "lost")
				if c, ok := newest[g]; ok {
					s.redis.HDel(countsKey("orders", testHour), c.field())
				}
			default:
				s.rounds(rt.Context(), time.Duration(rapid.IntRange(1, 40).Draw(rt, "minutes"))*time.Minute, sealer)
			}
		}
		s.Forget()
		var want int64
		for _, c := range newest {
			pushAll(t, s.Store, c)
			want += c.Values[ProduceBytes]
		}
		if err := s.mark(rt.Context(), []lateHour{{testHour, "orders"}}); err != nil {
			rt.Fatal(err)
		}
		s.rounds(rt.Context(), 80*time.Minute, sealer)
		all := s.all(t, Query{})
		if got := sumOf(all); got[ProduceBytes] != want {
			rt.Fatalf("the records %+v add up to %d, the counts to %d\n%s", all, got[ProduceBytes], want, &s.log)
		}
		for _, r := range all {
			if r.Values[ProduceBytes] < 0 {
				rt.Fatalf("nothing was taken back, but record %s says %d", r.ID(), r.Values[ProduceBytes])
			}
		}
		s.intact(t, "orders")
	})
}

func TestNoInstanceHoldsUpTheOthers(t *testing.T) {
	s := newTestSeal(t)
	sealer := s.sealer(t, "gw-1", "")
	a, b := testCount("a", 1, 10), testCount("a", 1, 20)
	b.Instance = "payments"
	pushAll(t, s.Store, a, b)
	s.redis.HSet(headKey("orders"), "number", "many")
	s.rounds(t.Context(), 70*time.Minute, sealer)
	if got := s.all(t, Query{}); len(got) != 1 || got[0].Instance != "payments" {
		t.Fatalf("sealed are %+v, want only payments", got)
	}
	if sealed, _, _ := s.records.SealedThrough(t.Context()); sealed != testHour {
		t.Errorf("sealed through %v, want %v", sealed, testHour)
	}
	if !strings.Contains(s.log.String(), "cannot be sealed") {
		t.Errorf("nobody was told:\n%s", &s.log)
	}
	s.redis.Del(headKey("orders"))
	s.rounds(t.Context(), 5*time.Minute, sealer)
	if got := s.all(t, Query{Instance: "orders"}); len(got) != 1 || got[0].Revision != 1 {
		t.Errorf("after the repair: %+v, want a correction", got)
	}
}
