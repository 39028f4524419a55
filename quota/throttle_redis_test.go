package quota

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"weir/tenancy"
)

func TestThrottlesOfAllGateways(t *testing.T) {
	m := miniredis.RunT(t)
	start := throttleStart()
	gateways := []*Limiter{throttleGateway(t, m, nil), throttleGateway(t, m, nil), throttleGateway(t, m, nil)}
	for n, l := range gateways {
		for minute := range 90 {
			at := start.Add(time.Duration(minute) * time.Minute)
			l.throttles.note(throttledInstance, keyFor("etl", "spark"), throttleEvent{at: at, from: at, to: at.Add(time.Second), over: 0.5}, nil)
		}
		l.tell(keyFor(fmt.Sprint("only-", n), ""), start.Add(85*time.Minute), 30*time.Second)
		for range 2 { // twice is harmless
			pages := l.throttles.take("")
			if err := l.cfg.Throttles.write(t.Context(), pages); err != nil {
				t.Fatal(err)
			}
			l.throttles.putBack(pages)
		}
	}
	now := start.Add(89 * time.Minute)
	all, err := gateways[1].throttlesAt(t.Context(), throttledInstance, now.Add(-59*time.Minute), now)
	if err != nil || len(all) != 4 {
		t.Fatalf("%+v %v", all, err)
	}
	want := Throttle{
		Limit: tenancy.LimitProduceBytes, Kind: Throttled, User: "etl", Client: "spark", Count: 3 * 60, Told: 3 * time.Minute,
		Over: 1.5, First: start.Add(30 * time.Minute).Local(), Last: now.Local(), Since: now.Local(),
	}
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Error(diff)
	}
	if all[1].Told != 30*time.Second || !all[1].Since.IsZero() {
		t.Errorf("%+v", all[1])
	}
	// More than an hour back it is hours that count: what was before is still there.
	if all, err = gateways[0].throttlesAt(t.Context(), throttledInstance, start, now); err != nil || all[0].Count != 3*90 {
		t.Errorf("of two hours: %+v %v", all, err)
	}
	pages, err := gateways[0].throttlePages(t.Context(), throttledInstance, start, now, true)
	if sum := summarize(sumThrottles(pages, now)); err != nil || sum.Waited != 3*(90+30)*time.Second || sum.Top.User != "etl" || sum.Share != 0.75 {
		t.Errorf("%+v %v", sum, err)
	}
	if all, err := gateways[0].Throttles(t.Context(), "another", now); err != nil || len(all) != 0 {
		t.Errorf("of another instance: %+v %v", all, err)
	}
	for _, key := range m.Keys() {
		if ttl := m.TTL(key); ttl <= time.Hour || ttl > 25*time.Hour {
			t.Errorf("%s expires in %s", key, ttl)
		}
	}
}

// With Redis away a gateway goes on for an hour, and writes that on its return.
func TestThrottlesWithRedisAway(t *testing.T) {
	m := miniredis.RunT(t)
	l, other := throttleGateway(t, m, nil), throttleGateway(t, m, nil)
	m.SetError("LOADING")
	now := throttleStart()
	for minute := range 90 {
		now = throttleStart().Add(time.Duration(minute) * time.Minute)
		l.tell(keyFor("etl", ""), now, time.Second)
		if err := l.throttles.write(t.Context(), l.cfg.Throttles, ""); err == nil {
			t.Fatal("written to a Redis that is away")
		}
		l.throttles.forget(now)
	}
	if _, err := l.throttlesAt(t.Context(), throttledInstance, now, now); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("read from a Redis that is away: %v", err)
	}
	m.SetError("")
	if err := l.throttles.write(t.Context(), l.cfg.Throttles, ""); err != nil {
		t.Fatal(err)
	}
	all, err := other.throttlesAt(t.Context(), throttledInstance, now.Add(-time.Hour), now)
	if err != nil || len(all) != 1 || all[0].Count != 61 {
		t.Errorf("of the last hour: %+v %v", all, err)
	}
	if all, err = other.throttlesAt(t.Context(), throttledInstance, throttleStart(), now); err != nil || all[0].Count != 90 {
		t.Errorf("of all: %+v %v", all, err)
	}
	// What is written and over takes no memory.
	l.throttles.forget(now)
	if log := l.throttles.logs[throttledInstance]; len(log.minutes) > 3 || len(log.hours) > 2 {
		t.Errorf("%d minutes and %d hours are held", len(log.minutes), len(log.hours))
	}
	l.throttles.forget(now.Add(3 * time.Hour))
	if len(l.throttles.logs) != 0 || l.throttles.rows != 0 {
		t.Errorf("%d logs, %d rows are held", len(l.throttles.logs), l.throttles.rows)
	}
}

// What a gateway has not written when it is stopped, it writes then.
func TestThrottlesAreWrittenAtTheEnd(t *testing.T) {
	m := miniredis.RunT(t)
	l, other := throttleGateway(t, m, nil), throttleGateway(t, m, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.RunThrottles(ctx) }()
	l.Refused(throttledInstance, tenancy.LimitConnections, "", "")
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	all, err := other.Throttles(t.Context(), throttledInstance, time.Now().Add(-time.Hour))
	if err != nil || len(all) != 1 || all[0].Limit != tenancy.LimitConnections {
		t.Errorf("%+v %v", all, err)
	}
}

func TestThrottlesInRedisThatAreBroken(t *testing.T) {
	m := miniredis.RunT(t)
	l := throttleGateway(t, m, nil)
	now := throttleStart()
	m.HSet("weir:{orders}:throttles:2026-11-23T08:00", "gw", "[")
	_, err := l.throttlesAt(t.Context(), throttledInstance, now, now)
	if err == nil || !strings.Contains(err.Error(), "2026-11-23T08:00) are broken") || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// However many instances are throttled, few calls write them: and all of them are written.
func TestThrottlesOfManyInstances(t *testing.T) {
	m := miniredis.RunT(t)
	l := throttleGateway(t, m, nil)
	pipelines := &pipelineCounter{}
	l.cfg.Throttles.rdb.AddHook(pipelines)
	at, instances := throttleStart(), 300
	for n := range instances {
		for who := range 40 {
			key := keyFor("etl", fmt.Sprint(who))
			l.throttles.note(tenancy.InstanceID(fmt.Sprint("i-", n)), key, throttleEvent{at: at, from: at, to: at.Add(time.Second)}, nil)
		}
	}
	if err := l.throttles.write(t.Context(), l.cfg.Throttles, ""); err != nil {
		t.Fatal(err)
	}
	if got, rows := len(m.Keys()), 2*40*instances; got != 2*instances || pipelines.n != rows/pipelineRows+1 {
		t.Errorf("%d keys of %d rows by %d pipelines", got, rows, pipelines.n)
	}
}

// pipelineCounter counts those of a client. One goroutine.
type pipelineCounter struct{ n int }

func (c *pipelineCounter) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c *pipelineCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (c *pipelineCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && cmds[0].Name() == "hset" { // else the greeting of a connection
			c.n++
		}
		return next(ctx, cmds)
	}
}
