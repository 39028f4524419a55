package proxy

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/quota"
	"weir/tenancy"
)

// A client that is over its limit is answered at once, told how long to wait, and
// then not read: but for what keeps its group alive.
func TestThrottledProduceIsAnsweredAndMutes(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 15 << 10}})
	c := r.loggedIn("a")
	r.topic("i-a.t")
	got := must[*kmsg.ProduceResponse](t, c, produce("t", 100<<10, 1), 9)
	if got.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", got)
	}
	if want := int32(quota.MaxThrottle.Milliseconds()); got.ThrottleMillis != want {
		t.Errorf("told to wait %d ms, want %d: seven seconds of the limit were used", got.ThrottleMillis, want)
	}
	beat := must[*kmsg.HeartbeatResponse](t, c, kmsg.NewPtrHeartbeatRequest(), 4)
	if beat.ThrottleMillis != 0 || r.mutedFor() <= 0 {
		t.Errorf("heartbeat: told to wait %d ms; muted for another %v", beat.ThrottleMillis, r.mutedFor())
	}
	// Now a member speaks here: nothing makes its next heartbeat late.
	begin := time.Now()
	next := must[*kmsg.ProduceResponse](t, c, produce("t", 100<<10, 1), 9)
	if next.ThrottleMillis != int32(memberHold.Milliseconds()) {
		t.Errorf("told to wait %d ms on a member's connection, want %v", next.ThrottleMillis, memberHold)
	}
	if held := time.Since(begin); held < memberHold {
		t.Errorf("held for %v, want %v", held, memberHold)
	}
}

func TestMuteHoldsWhatComes(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 100 << 10}})
	c := r.loggedIn("a")
	r.topic("i-a.t")
	got := must[*kmsg.ProduceResponse](t, c, produce("t", 50<<10, 1), 9)
	if got.ThrottleMillis == 0 {
		t.Fatal("not throttled")
	}
	begin, told := time.Now(), time.Duration(got.ThrottleMillis)*time.Millisecond
	must[*kmsg.ListGroupsResponse](t, c, kmsg.NewPtrListGroupsRequest(), 4)
	// The answer was written, and the mute began, a little before it was here.
	if after := time.Since(begin); after < told*3/4 {
		t.Errorf("read again after %v, told to wait %v", after, told)
	}
}

// Nobody answers acks=0, so nobody can be told to wait: the mute alone holds.
func TestUnansweredProduceMutes(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitProduceBytes: {Value: 1 << 10}})
	c := r.loggedIn("a")
	r.topic("i-a.t")
	req := produce("t", 100<<10, 0)
	req.SetVersion(9)
	write(t, c, req)
	eventually(t, "the connection is muted", func() bool { return r.mutedFor() > 0 })
}

// What a fetch costs is known when its answer is there: it is asked for a second's
// worth, or, where nothing is left, for a batch. Its data is never held back.
func TestThrottledFetchKeepsItsData(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitFetchBytes: {Value: 100 << 10}})
	c := r.loggedIn("a")
	r.topic("i-a.t")
	asked := make(chan int32, 10)
	r.kafka.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.kafka.KeepControl()
		asked <- req.(*kmsg.FetchRequest).MaxBytes
		return nil, nil, false
	})
	for range 4 {
		must[*kmsg.ProduceResponse](t, c, produce("t", 80<<10, 1), 9)
	}
	got := must[*kmsg.FetchResponse](t, c, fetch("t", 50<<20), 12)
	if n := len(got.Topics[0].Partitions[0].RecordBatches); n < 80<<10 || n > 100<<10 {
		t.Errorf("%d bytes of records, want one of the batches", n)
	}
	if most := <-asked; most != 100<<10 {
		t.Errorf("the broker was asked for %d bytes, want a second's worth", most)
	}
	if got.ThrottleMillis == 0 {
		t.Error("not throttled")
	}
	r.limit("a", tenancy.Limits{tenancy.LimitFetchBytes: {Value: 10 << 10}}) // a batch is eight seconds' worth
	must[*kmsg.FetchResponse](t, c, fetch("t", 50<<20), 12)
	if most := <-asked; most != leastFetch {
		t.Errorf("the broker was asked for %d bytes, want %d", most, leastFetch)
	}
	begin := time.Now()
	got = must[*kmsg.FetchResponse](t, c, fetch("t", 50<<20), 12)
	if n := len(got.Topics[0].Partitions[0].RecordBatches); n < 80<<10 || n > 100<<10 {
		t.Errorf("%d bytes of records, want one of the batches", n)
	}
	if most := <-asked; most != onlyBatch || time.Since(begin) < otherHold-time.Second {
		t.Errorf("the broker was asked for %d bytes after %v, want %d after about %v", most, time.Since(begin), onlyBatch, otherHold)
	}
}

func TestRequestTimeIsChargedToTheNextAnswer(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitRequestTime: {Value: 0.1}}) // a millisecond each second
	c := r.loggedIn("a")
	told := int32(0)
	for range 200 {
		if told += must[*kmsg.ListGroupsResponse](t, c, kmsg.NewPtrListGroupsRequest(), 4).ThrottleMillis; told > 0 {
			return
		}
	}
	t.Error("never throttled")
}

func TestClientIDsHaveScopesOfTheirOwn(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitRequests: {Value: 1e6}})
	c := r.loggedIn("a")
	var seen []*quota.Scope
	for range 2 {
		must[*kmsg.ListGroupsResponse](t, c, kmsg.NewPtrListGroupsRequest(), 4)
		r.srv.conns.each(func(c *conn) {
			if c.purse.client != "raw" {
				t.Errorf("client %q", c.purse.client)
			}
			seen = append(seen, c.purse.scope)
		})
	}
	if len(seen) != 2 || seen[0] != seen[1] {
		t.Errorf("scopes %v, want the same twice", seen)
	}
}

// While a request is held, the connection can be closed; drained it waits for its
// answer first.
func TestHeldConnectionsEnd(t *testing.T) {
	for name, end := range map[string]func(*rig){
		"drained": func(r *rig) { r.drained() },
		"closed":  func(r *rig) { r.srv.conns.each(func(c *conn) { c.close(&closing{reason: reasonStopped}) }) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newLimitedRig(t, tenancy.Limits{tenancy.LimitRequests: {Value: 1}}, func(c *Config) { c.FrameGrace = time.Millisecond })
			c := r.loggedIn("a")
			req := kmsg.NewPtrListGroupsRequest()
			req.SetVersion(4)
			for range 3 { // into debt
				write(t, c, req)
			}
			eventually(t, "the connection is muted", func() bool { return r.mutedFor() > 0 })
			end(r)
			in := newFrames(c)
			n := 0
			for in() == nil {
				n++
			}
			if name == "drained" && n != 3 {
				t.Errorf("%d answers, want all 3 before the connection leaves", n)
			}
			if name == "drained" {
				r.logs(reasonDrained)
			}
			eventually(t, "the connection has gone", func() bool { return r.srv.Connections() == 0 })
		})
	}
}

func TestSideBudget(t *testing.T) {
	at := time.Unix(1000, 0)
	for name, tc := range map[string]struct {
		limit int64
		want  int // of 1000 at once
		after time.Duration
		more  int // of 1000 then
	}{
		"small limit":   {limit: 1, want: 50, after: time.Second / 10, more: 5},
		"a tenth":       {limit: 2000, want: 200, after: time.Second / 2, more: 100},
		"after a rest":  {limit: 1, want: 50, after: time.Hour, more: 50},
		"without pause": {limit: 1, want: 50, after: 0, more: 0},
	} {
		t.Run(name, func(t *testing.T) {
			var s side
			passed := func(at time.Time) (n int) {
				for range 1000 {
					if s.pass(at, tc.limit, 1) {
						n++
					}
				}
				return n
			}
			if n := passed(at); n != tc.want {
				t.Errorf("%d pass at once, want %d", n, tc.want)
			}
			if n := passed(at.Add(tc.after)); n != tc.more {
				t.Errorf("%d pass after %v, want %d", n, tc.after, tc.more)
			}
		})
	}
}
