package tenancy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestWaitAppliedCountsTheLiving(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	_, rev := mustCreate(t, s, someInstance("orders"))
	now := time.Now()
	m.SetTime(now)
	report := func(gateway string, rev Revision, age time.Duration) {
		m.HSet(keyGateways, gateway, fmt.Sprintf("%d %d", rev, now.Add(-age).UnixMilli()))
	}
	report("dead", 0, liveFor+time.Second)
	report("before the clock was set back", 0, -time.Hour)
	report("alive", 1, liveFor-time.Second)
	if ready, of, err := s.WaitApplied(t.Context(), rev); ready != 1 || of != 1 || err != nil {
		t.Errorf("in force on %d of %d, %v; want 1 of 1", ready, of, err)
	}
	report("slow", 0, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if ready, of, err := s.WaitApplied(ctx, rev); ready != 1 || of != 2 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in force on %d of %d, %v; want 1 of 2 and a deadline", ready, of, err)
	}
	m.FlushAll()
	_, _, err := s.WaitApplied(t.Context(), rev)
	wantErr(t, "a revision that redis lost", err, ErrLost)
}

// A gateway says itself whether it has applied a change: not before it follows, nor when
// it does no more.
func TestAwait(t *testing.T) {
	_, rdb := newRedis(t)
	s := newStore(rdb)
	_, rev := mustCreate(t, s, someInstance("orders"))
	d := NewDirectory(DirectoryConfig{Store: s, Gateway: "gw-1"})
	applied := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return d.Await(ctx, rev) == nil
	}
	if applied() {
		t.Error("it says so before it follows")
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	<-d.Ready()
	_, rev = mustCreate(t, s, someInstance("bills"))
	if err := d.Await(t.Context(), rev); err != nil {
		t.Error(err)
	}
	if _, there := d.View("bills"); !there {
		t.Error("it says so and has not applied it")
	}
	stop()
	<-done
	if applied() {
		t.Error("it says so and follows no more")
	}
}

// Nobody to wait for: WaitApplied waits a while for somebody to turn up.
func TestWaitAppliedWithoutGateways(t *testing.T) {
	t.Parallel()
	_, rdb := newRedis(t)
	s := newStore(rdb)
	_, rev := mustCreate(t, s, someInstance("orders"))
	begin := time.Now()
	ready, of, err := s.WaitApplied(t.Context(), rev)
	if took := time.Since(begin); ready != 0 || of != 0 || err != nil || took < settleFor {
		t.Errorf("in force on %d of %d, %v, after %s; want 0 of 0 after %s", ready, of, err, took, settleFor)
	}
}

// After Redis lost the reports, one gateway that has reported again does not
// stand for all of them.
func TestReportsLost(t *testing.T) {
	t.Parallel()
	m, rdb := newRedis(t)
	s := newStore(rdb)
	gateways := []*gateway{run(t, s, "gw-1"), run(t, s, "gw-2"), run(t, s, "gw-3")}
	for _, g := range gateways {
		g.waitReady()
	}
	m.Del(keyGateways)
	_, rev := mustCreate(t, s, someInstance("orders"))
	waitInForce(t, s, rev, 3)
}

// A gateway that ends is not waited for, one that died is removed in the end.
func TestGatewaysLeave(t *testing.T) {
	m, rdb := newRedis(t)
	s := newStore(rdb)
	g1 := run(t, s, "gw-1").waitReady()
	g2 := run(t, s, "gw-2").waitReady()
	m.HSet(keyGateways, "dead", "0 1000")
	_, rev := mustCreate(t, s, someInstance("orders"))
	waitInForce(t, s, rev, 2)
	g1.untilVersion("orders", 1)
	g2.untilVersion("orders", 1)
	g1.stop()
	_, rev = mustCreate(t, s, someInstance("bills"))
	waitInForce(t, s, rev, 1)
	keys, err := m.HKeys(keyGateways)
	if err != nil || !slices.Equal(keys, []string{"gw-2"}) {
		t.Errorf("gateways in redis: %v, %v", keys, err)
	}
}
