package proxy

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/metering"
	"weir/tenancy"
	"weir/upstream"
)

// Of a request of which the limits refuse one partition, and the broker another, the
// rest counts.
func TestMeteredPartOfARequest(t *testing.T) {
	book, err := metering.NewBook(metering.Config{Gateway: "g"})
	if err != nil {
		t.Fatal(err)
	}
	limits := tenancy.Limits{tenancy.LimitMessageBytes: {Value: 4 << 10}}
	r := meteredRig{newLimitedRig(t, limits, func(c *Config) { c.Usage = book }), book}
	c := r.loggedIn("a")
	r.topic("i-a.t")
	req := produce("t", 5<<10, 1) // partition 0: too large
	add := func(partition int32, size int) {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = partition, records(size)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
	}
	add(9, 100) // not there
	if resp := must[*kmsg.ProduceResponse](t, c, req, 9); len(resp.Topics[0].Partitions) != 2 {
		t.Fatalf("%+v", resp.Topics)
	}
	if v := r.whole("a"); v[metering.ProduceBytes] != 0 || v[metering.ProduceRecords] != 0 {
		t.Fatalf("what was refused is metered: %v", v)
	}
	req.Topics[0].Partitions = req.Topics[0].Partitions[1:]
	add(0, 300)
	resp := must[*kmsg.ProduceResponse](t, c, req, 9)
	errs := 0
	for _, p := range resp.Topics[0].Partitions {
		if p.ErrorCode != 0 {
			errs++
		}
	}
	if v := r.whole("a"); errs != 1 || v[metering.ProduceBytes] != int64(len(records(300))) || v[metering.ProduceRecords] != 1 {
		t.Errorf("%d errors, metered %v; want one batch of %d bytes", errs, v, len(records(300)))
	}
}

// A batch that its producer sends again is counted once: the broker's answer says that it
// had it, and this gateway that it has counted it. One that another gateway may have
// counted is counted, and in doubt.
func TestMeteredDuplicate(t *testing.T) {
	r := newMeteredRig(t, Breakdown{User: true, Topic: true})
	c := r.loggedIn("a")
	r.topic("i-a.t")
	req := produce("t", 200, -1)
	batch := req.Topics[0].Partitions[0].Records
	binary.BigEndian.PutUint64(batch[35:], 1234) // max_timestamp
	binary.BigEndian.PutUint64(batch[43:], 77)   // producer_id
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
	for i, step := range []struct {
		offset, appended int64
		want             int64 // batches
		doubts           int
	}{
		{5, -1, 1, 0},
		{5, 1234, 1, 0},
		{9, 1234, 2, 1}, // of before this gateway was there, or of another's
		{5, 1234, 2, 1},
		{9, 1234, 2, 1},
		{20, 7777, 3, 1}, // the topic has LogAppendTime now
		{21, 1234, 4, 1}, // so this says nothing
		{22, -1, 5, 1},   // no more
		{22, 1234, 5, 1},
	} {
		r.kafka.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
			resp := req.ResponseKind().(*kmsg.ProduceResponse)
			p := kmsg.NewProduceResponseTopicPartition()
			p.BaseOffset, p.LogAppendTime = step.offset, step.appended
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.Partitions = "i-a.t", []kmsg.ProduceResponseTopicPartition{p}
			resp.Topics = []kmsg.ProduceResponseTopic{topic}
			return resp, nil, true
		})
		must[*kmsg.ProduceResponse](t, c, req, 9)
		if v := r.whole("a"); v[metering.ProduceBytes] != step.want*int64(len(batch)) || v[metering.ProduceRecords] != step.want || len(r.book.Doubts()) != step.doubts {
			t.Errorf("step %d: metered %d records, %d doubts; want %d and %d", i, v[metering.ProduceRecords], len(r.book.Doubts()), step.want, step.doubts)
		}
		r.wantParts("a", "user", "topic")
	}
}

// Clients that go in the middle of an exchange: what is in the log is metered, though
// nobody was acknowledged it.
func TestMeteredClientsThatGo(t *testing.T) {
	r := newMeteredRig(t, Breakdown{Topic: true})
	r.topic("i-a.t")
	size, acked := int64(len(records(500))), int64(0)
	for i := range 40 {
		c := r.loggedIn("a")
		req := produce("t", 500, 1)
		req.SetVersion(9)
		write(t, c, req, req, req)
		if i%2 == 0 {
			if _, err := c.Read(make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			acked++
		}
		_ = c.Close()
	}
	eventually(t, "all sessions have ended", func() bool { return r.srv.Connections() == 0 })
	v := r.whole("a")
	bytes, offsets := r.log("i-a.t")
	if n := v[metering.ProduceRecords]; n < acked || n != offsets || v[metering.ProduceBytes] != n*size || bytes != offsets*size {
		t.Errorf("acknowledged %d, metered %v, in the log %d records of %d bytes", acked, v, offsets, bytes)
	}
	t.Logf("acknowledged %d ≤ metered %d ≤ appended %d", acked, v[metering.ProduceRecords], offsets)
	r.wantParts("a", "topic")
}

// Who sends records and hangs up before the answer has them in the log, and pays for them.
func TestMeteredHangUp(t *testing.T) {
	r := newMeteredRig(t, Breakdown{Topic: true})
	r.topic("i-a.t")
	asked, answer := make(chan struct{}), make(chan struct{})
	r.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(asked)
		<-answer
		return nil, nil, false
	})
	c := r.loggedIn("a")
	req := produce("t", 500, -1)
	req.SetVersion(9)
	write(t, c, req)
	<-asked
	_ = c.Close()
	eventually(t, "the client's end is seen", func() bool {
		seen := true
		r.srv.conns.each(func(c *conn) { seen = seen && c.gone.Load() })
		return seen
	})
	close(answer)
	eventually(t, "the session has ended", func() bool { return r.srv.Connections() == 0 })
	v := r.whole("a")
	if bytes, offsets := r.log("i-a.t"); offsets != 1 || v[metering.ProduceRecords] != 1 || v[metering.ProduceBytes] != bytes {
		t.Errorf("metered %v; the log has %d records of %d bytes", v, offsets, bytes)
	}
	r.wantParts("a", "topic")
}

// Connections count for the instance that they name, if there is one.
func TestMeteredConnections(t *testing.T) {
	r := newMeteredRig(t, Breakdown{})
	for user, want := range map[string]bool{"u@i-a": true, "nobody@i-a": false, "u@i-none": false} {
		if err := login(r.dial(0, ""), user); (err == nil) != want {
			t.Errorf("login of %s: %v", user, err)
		}
	}
	_ = r.dial(0, "i-b.kafka.localhost").Close() // goes without a word
	_ = r.dial(0, "i-none.kafka.localhost").Close()
	want := func(id string, attempts, failures int64) {
		eventually(t, "attempts of "+id, func() bool {
			v := r.whole(id)
			return v[metering.ConnectionAttempts] == attempts && v[metering.AuthFailures] == failures
		})
	}
	want("a", 2, 1)
	want("b", 1, 0)
	for c := range r.book.All(0) {
		if c.Instance != "i-a" && c.Instance != "i-b" {
			t.Errorf("an account of %s", c.Instance)
		}
	}
}

// A session goes on when its instance gets another plan, and counts for that.
func TestMeteredFollowsThePlan(t *testing.T) {
	r := newMeteredRig(t, Breakdown{User: true, Topic: true})
	c := r.loggedIn("a")
	r.topic("i-a.t")
	for i, plan := range []string{"dev", "gold", "dev", "gold", "dev"} {
		_, rev, err := r.store.UpdateInstance(t.Context(), "i-a", func(in *tenancy.Instance) error { in.Plan = plan; return nil })
		if err != nil {
			t.Fatal(err)
		}
		r.inForce(rev)
		must[*kmsg.ProduceResponse](t, c, produce("t", 100, 1), 9)
		// Frames count when their answer has left, records before.
		eventually(t, "the frames are counted", func() bool { return r.whole("a")[metering.Requests] == int64(2+i+1) })
	}
	_ = c.Close()
	eventually(t, "the session has ended", func() bool { return r.srv.Connections() == 0 })
	size := int64(len(records(100)))
	for plan, want := range map[string][4]int64{"dev": {3 * size, 3, 3 + 2, 1}, "gold": {2 * size, 2, 2, 0}} { // two requests of the login
		v := r.used("a", plan)[""]
		got := [4]int64{v[metering.ProduceBytes], v[metering.ProduceRecords], v[metering.Requests], v[metering.ConnectionAttempts]}
		if got != want {
			t.Errorf("plan %s: bytes, records, requests, attempts are %v, want %v", plan, got, want)
		}
	}
	r.wantParts("a", "user", "topic")
	for of, p := range r.srv.usage.all {
		if p.sessions != 0 {
			t.Errorf("%d sessions are left of %v", p.sessions, of)
		}
	}
}

// Frames count as they are on the wire, within TLS.
func TestMeteredFrames(t *testing.T) {
	r := newMeteredRig(t, Breakdown{})
	r.topic("i-a.t")
	c := &talliedConn{Conn: r.dial(1, "")}
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		must[*kmsg.ProduceResponse](t, c, produce("t", 1000, 1), 9)
		must[*kmsg.FetchResponse](t, c, fetch("t", 1<<20), 12)
		must[*kmsg.ApiVersionsResponse](t, c, kmsg.NewPtrApiVersionsRequest(), 0)
		must[*kmsg.MetadataResponse](t, c, kmsg.NewPtrMetadataRequest(), 9)
	}
	silent := produce("t", 10, 0)
	silent.SetVersion(9)
	write(t, c, silent)
	must[*kmsg.MetadataResponse](t, c, kmsg.NewPtrMetadataRequest(), 9) // behind it
	read, wrote := c.sums()
	_ = c.Close()
	eventually(t, "the session has ended", func() bool { return r.srv.Connections() == 0 })
	v := r.whole("a")
	if v[metering.Requests] != 2+12+2 || v[metering.RequestBytes] != wrote || v[metering.ResponseBytes] != read {
		t.Errorf("metered %d requests, %d bytes of them, %d of answers; want 16, %d, %d",
			v[metering.Requests], v[metering.RequestBytes], v[metering.ResponseBytes], wrote, read)
	}
	if v[metering.CrossZoneBytes] != 0 {
		t.Error("the gateway's zone is not known")
	}
}

// Bytes to and from brokers of another zone count; kfake's brokers are in rack krack.
func TestMeteredAcrossZones(t *testing.T) {
	for zone, far := range map[string]bool{"": false, "krack": false, "elsewhere": true} {
		t.Run(zone, func(t *testing.T) {
			book, err := metering.NewBook(metering.Config{Gateway: "g"})
			if err != nil {
				t.Fatal(err)
			}
			var d tallyDialer
			r := meteredRig{newRigOn(t, nil, d.over, func(c *Config) { c.Usage, c.Zone = book, zone }), book}
			r.topic("i-a.t")
			c := r.loggedIn("a")
			ask := func() {
				must[*kmsg.ProduceResponse](t, c, produce("t", 1000, 1), 9)
				must[*kmsg.FetchResponse](t, c, fetch("t", 1<<20), 12)
			}
			counted := func(n int64) {
				eventually(t, "the frames are counted", func() bool { return r.whole("a")[metering.Requests] == n })
			}
			ask() // opens the connection to the broker
			counted(4)
			metered, wire := r.whole("a")[metering.CrossZoneBytes], d.sums()
			ask()
			counted(6)
			metered = r.whole("a")[metering.CrossZoneBytes] - metered
			if !far && metered == 0 {
				return
			}
			for i, n := range d.sums() {
				if i < len(wire) && n-wire[i] == metered && far {
					return
				}
			}
			t.Errorf("%d bytes are metered; on the wires there were %v, then %v", metered, wire, d.sums())
		})
	}
}

// tallyDialer counts the bytes of each connection to a broker.
type tallyDialer struct {
	mu    sync.Mutex
	conns []*talliedConn
}

func (d *tallyDialer) over(p *upstream.Config) {
	dial := p.Dial
	p.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &talliedConn{Conn: raw}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.conns = append(d.conns, c)
		return c, nil
	}
}

func (d *tallyDialer) sums() (all []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		read, wrote := c.sums()
		all = append(all, read+wrote)
	}
	return all
}
