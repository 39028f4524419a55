package upstream

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/tenancy"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"pgregory.net/rapid"
)

func id(n uint32) (id topicID) {
	binary.BigEndian.PutUint32(id[:], n+1)
	return id
}

func TestTopicNames(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(2))
	createTopic(t, c, "a.t1", "a.t2")
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	t1, t2 := c.TopicInfo("a.t1").TopicID, c.TopicInfo("a.t2").TopicID
	p.LearnTopic(id(1), "learned")
	want := map[topicID]string{t1: "a.t1", t2: "a.t2", id(1): "learned"}
	got := p.TopicNames(t.Context(), tenancy.NewNamespace("a"), []topicID{t1, id(2), t2, {}, id(1), t1})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if name, ok := p.TopicName(t2); !ok || name != "a.t2" {
		t.Errorf("TopicName: %q %v", name, ok)
	}
}

func TestTopicNamesWithoutIDs(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(1), kfake.MaxVersions(kversion.V2_4_0()))
	createTopic(t, c, "a.t1")
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	start := time.Now()
	if got := p.TopicNames(t.Context(), tenancy.NewNamespace("a"), []topicID{c.TopicInfo("a.t1").TopicID}); len(got) != 0 {
		t.Errorf("a pool without ids knows %v", got)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it was asked for %s", took)
	}
}

// What clients invent costs the pool at most 20 requests a second, however many
// ask, and an unknown id is asked for once a second at most.
func TestUnknownIDsAreRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net kfake.VirtualNetwork
		c := kafka(t, kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(net.Listen))
		var asked atomic.Int64
		c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			for _, rt := range req.(*kmsg.MetadataRequest).Topics {
				if rt.TopicID != (topicID{}) {
					asked.Add(1)
					break
				}
			}
			return nil, nil, false
		})
		p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: net.DialContext, MetadataMaxAge: time.Hour})

		for range 10 { // the same unknown id, over and over, for 0.9s
			p.TopicNames(t.Context(), tenancy.NewNamespace("a"), []topicID{id(7)})
			time.Sleep(90 * time.Millisecond) // virtual
		}
		if got := asked.Swap(0); got != 1 {
			t.Errorf("one unknown id was asked for %d times in a second, want once", got)
		}
		createTopic(t, c, "a.t1")
		time.Sleep(unknownFor) // virtual

		const seconds = 5
		start := time.Now()
		var callers sync.WaitGroup
		for i := range uint32(50) {
			callers.Go(func() {
				for n := uint32(0); time.Since(start) < seconds*time.Second; n++ {
					p.TopicNames(t.Context(), tenancy.NewNamespace("a"), []topicID{id(1000*i + n + 100)})
				}
			})
		}
		callers.Wait()
		if got := asked.Load(); got < 2*seconds || got > (seconds+1)*resolvesPerSecond {
			t.Errorf("%d requests in %d s, want at most %d a second", got, seconds, resolvesPerSecond)
		}
		t1 := c.TopicInfo("a.t1").TopicID
		if got := p.TopicNames(t.Context(), tenancy.NewNamespace("a"), []topicID{t1}); got[t1] != "a.t1" {
			t.Errorf("after the flood: %v", got)
		}
	})
}

// A caller waits 2s at most, also for a pool that never answers.
func TestTopicNamesWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := NewPool(Config{Name: "p1", Bootstrap: []string{"localhost:9092"}}) // nobody resolves
		if err != nil {
			t.Fatal(err)
		}
		p.snap.Store(&snapshot{versions: map[int16]VersionRange{3: {0, 13}}})
		start := time.Now()
		p.TopicNames(t.Context(), tenancy.NewNamespace("a"), []topicID{id(1), id(2)})
		if took := time.Since(start); took != resolveWait {
			t.Errorf("waited %s, want %s", took, resolveWait)
		}
	})
}

// Whatever is learned, asked for and refused, in any order: the bounds hold,
// and a name that is given is the one that was learned.
func TestTopicIDsProperty(t *testing.T) {
	const known, unknown = 8, 5
	rapid.Check(t, func(t *rapid.T) {
		ids := newTopicIDs(known, unknown)
		now := time.Unix(0, 0)
		name := func(n uint32) string { return "t" + string(rune('a'+n)) }
		anyID := rapid.Uint32Range(0, 20)
		t.Repeat(map[string]func(*rapid.T){
			"learn": func(t *rapid.T) { n := anyID.Draw(t, "id"); ids.learn(id(n), name(n)) },
			"want":  func(t *rapid.T) { ids.want("a.", []topicID{id(anyID.Draw(t, "id"))}, now) },
			"finish": func(t *rapid.T) {
				ids.finish(ids.take(3), rapid.Bool().Draw(t, "answered"), now)
			},
			"time": func(t *rapid.T) { now = now.Add(unknownFor / 2) },
			"": func(t *rapid.T) {
				if len(ids.names.m) > known || len(ids.unknown) > unknown || len(ids.pending) > unknown {
					t.Fatalf("%d names, %d unknown, %d pending", len(ids.names.m), len(ids.unknown), len(ids.pending))
				}
				for n := range uint32(21) {
					if got, ok := ids.name(id(n)); ok && got != name(n) {
						t.Fatalf("id %d is %q, want %q", n, got, name(n))
					}
				}
			},
		})
	})
}

func TestLearnTopicIgnoresNonsense(t *testing.T) {
	ids := newTopicIDs(2, 2)
	ids.learn(topicID{}, "zero")
	ids.learn(id(1), "")
	if len(ids.names.m) != 0 {
		t.Errorf("learned %v", ids.names.m)
	}
}

// An id that was refused is not asked for again at once, by the same asker.
func TestRefusedIDIsNotAskedForAgain(t *testing.T) {
	ids := newTopicIDs(2, 2)
	now := time.Unix(0, 0)
	ids.want("a.", []topicID{id(1)}, now)
	ids.finish(ids.take(1), true, now)
	if wait := ids.want("a.", []topicID{id(1)}, now); len(wait) != 0 {
		t.Error("an id that was refused just now is asked for again")
	}
	if wait := ids.want("b.", []topicID{id(1)}, now); len(wait) != 1 {
		t.Error("another asker has to believe it")
	}
}

// How long an answer takes does not tell whether an id is somebody's: the pool
// is asked for another's id as for one that nobody has, though it is known.
func TestForeignIDTakesAsLongAsAnInventedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net kfake.VirtualNetwork
		c := kafka(t, kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(net.Listen))
		p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: net.DialContext, MetadataMaxAge: time.Hour})
		createTopic(t, c, "victim.t")
		foreign := c.TopicInfo("victim.t").TopicID
		p.LearnTopic(foreign, "victim.t")
		took := func(asker tenancy.InstanceID, ask topicID) time.Duration {
			start := time.Now()
			p.TopicNames(t.Context(), tenancy.NewNamespace(asker), []topicID{ask})
			return time.Since(start)
		}
		took("a", id(1)) // the limiter's first is free
		invented, first := took("a", id(2)), took("a", foreign)
		if first != invented || invented == 0 {
			t.Errorf("an invented id took %s, another's %s", invented, first)
		}
		if again, twice := took("a", id(2)), took("a", foreign); again != 0 || twice != 0 {
			t.Errorf("asked again, an invented id took %s, another's %s", again, twice)
		}
		if own := took("victim", foreign); own != 0 {
			t.Errorf("its owner waits %s", own)
		}
		shared := tenancy.NewNamespace("a", tenancy.Alias{Kind: tenancy.KindTopic, Virtual: "t", Physical: "victim.t"})
		start := time.Now()
		p.TopicNames(t.Context(), shared, []topicID{foreign})
		if took := time.Since(start); took != 0 {
			t.Errorf("who has an alias of it waits %s", took)
		}
	})
}

func BenchmarkTopicName(b *testing.B) {
	ids := newTopicIDs(maxTopicIDs, maxUnknownIDs)
	for n := range uint32(10_000) {
		ids.learn(id(n), "a.topic")
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for n := uint32(0); pb.Next(); n++ {
			ids.name(id(n % 10_000))
		}
	})
}

// TestInventedIDsHoldUpOnlyTheirAsker: however many ids one asker invents, the
// one id of another is in the next request to the pool.
func TestInventedIDsHoldUpOnlyTheirAsker(t *testing.T) {
	ids := newTopicIDs(maxTopicIDs, maxUnknownIDs)
	invented := make([]topicID, 3*maxUnknownIDs)
	for i := range invented {
		invented[i] = id(uint32(i) + 1)
	}
	now := time.Now()
	if wait := ids.want("hostile.", invented, now); len(wait) != maxAskedFor {
		t.Errorf("%d ids wait for one asker, want %d", len(wait), maxAskedFor)
	}
	mine := topicID{15: 9, 14: 9, 13: 9, 12: 9}
	if wait := ids.want("honest.", []topicID{mine}, now); len(wait) != 1 {
		t.Fatal("no room for another asker's id")
	}
	batch := ids.take(resolveBatch)
	if !slices.Contains(batch, lookup{"honest.", mine}) || len(batch) != resolveBatch {
		t.Errorf("a batch of %d ids, the honest one among them: %v", len(batch), slices.Contains(batch, lookup{"honest.", mine}))
	}
	ids.finish(batch, true, now)
	for len(ids.take(resolveBatch)) > 0 {
		continue
	}
	if len(ids.queues) != 0 {
		t.Errorf("%d queues are left", len(ids.queues))
	}
}
