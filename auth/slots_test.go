package auth

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/tenancy"
)

// A flood on one instance takes its half of the slots; another instance gets in at once.
func TestSlotsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(4, patience)
		const work = time.Second
		var flooded, busy atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				release, ok := s.acquire("flooded")
				if !ok {
					busy.Add(1)
					return
				}
				time.Sleep(work) // virtual
				flooded.Add(1)
				release()
			})
		}
		synctest.Wait()
		if n := len(s.common); n != 2 {
			t.Errorf("the flood holds %d of 4 slots", n)
		}
		began := time.Now()
		release, ok := s.acquire("quiet")
		if waited := time.Since(began); !ok || waited != 0 {
			t.Fatalf("the quiet instance has a slot: %v, after %s", ok, waited)
		}
		release()
		wg.Wait()
		// 3 s of patience: two at a time, at 0, 1, 2 and possibly 3 s.
		if done := flooded.Load(); done < 6 || done > 8 || done+busy.Load() != 20 {
			t.Errorf("%d of 20 done, %d turned away", done, busy.Load())
		}
		if len(s.instances) != 0 || len(s.common) != 0 {
			t.Errorf("left behind: %d instances, %d slots", len(s.instances), len(s.common))
		}
	})
}

// Who gives up leaves its place to who waits behind it.
func TestSlotsPassOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, patience)
		release, _ := s.acquire("two")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, ok := s.acquire("one"); ok {
				t.Error("the first has a slot that is taken")
			}
		})
		time.Sleep(time.Second) // virtual
		wg.Go(func() {
			release, ok := s.acquire("one")
			if !ok {
				t.Error("the second has no slot although one is free")
				return
			}
			release()
		})
		time.Sleep(patience - time.Second/2) // virtual: the first has gone, the second waits
		release()
		wg.Wait()
	})
}

func TestOneSlotIsEnough(t *testing.T) {
	s := newSlots(1, time.Minute)
	for _, id := range []tenancy.InstanceID{"one", "two", ""} {
		release, ok := s.acquire(id)
		if !ok {
			t.Fatalf("%q got no slot", id)
		}
		release()
	}
}

// When no slot is free in time nothing is checked, nothing is charged.
func TestBusyIsNotCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		n := runtime.GOMAXPROCS(0)
		var releases []func()
		for i := range n { // every slot, by two instances that are not ours
			release, ok := f.plainSlots.acquire(tenancy.InstanceID(fmt.Sprint("x", i)))
			if !ok {
				t.Fatal("no slot")
			}
			releases = append(releases, release)
		}
		hashes := f.countHashes()
		began := time.Now()
		_, err := f.login(Plain, at("192.0.2.1", "one"), "alice", alicePassword)
		if why := reason(t, err); why != ReasonBusy || time.Since(began) != patience || hashes.Load() != 0 {
			t.Errorf("%v after %s, %d hashes", err, time.Since(began), hashes.Load())
		}
		if f.limiter.strangers.len() != 0 {
			t.Error("the client was charged for it")
		}
		for _, release := range releases {
			release()
		}
		if _, err := f.login(Plain, at("192.0.2.1", "one"), "alice", alicePassword); err != nil {
			t.Error(err)
		}
	})
}
