package e2e

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy"
)

// heap is what is reachable, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools held in the first one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// peak watches the heap until the test's end; it returns the most that was seen.
func peak(t *testing.T) func() int64 {
	ctx, cancel := context.WithCancel(t.Context())
	most := make(chan int64, 1)
	go func() {
		var top int64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			top = max(top, int64(m.HeapAlloc))
			select {
			case <-ctx.Done():
				most <- top
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 { cancel(); return <-most }
}

const mib = 1 << 20

// TestAmplification sends requests whose elements are as small as may be. None
// may cost more than the bound of one request, whether answered or refused.
func TestAmplification(t *testing.T) {
	p := newInProcess(t)
	// n that is let pass, and as much as a control frame holds.
	for _, n := range []int{60_000, 4 << 20} {
		for name, bloat := range bloated() {
			t.Run(fmt.Sprintf("%s of %d", name, n), func(t *testing.T) {
				req, version := bloat(n)
				req.SetVersion(version)
				body := req.AppendTo(nil)
				c := p.login(t, p.attacker, -1)
				c.mine = "" // searching takes longer than all else
				before, most := heap(), peak(t)
				begin := time.Now()
				answer, err := c.bytes(req.Key(), version, body)
				took, used := time.Since(begin), most()-before
				t.Logf("%d bytes asked, %d answered (%v) in %v, heap +%d MiB", len(body), len(answer), err, took, used/mib)
				if used > 200*mib {
					t.Errorf("one request took %d MiB", used/mib)
				}
			})
		}
	}
}

// bloated are requests of n elements that are a byte or two each.
func bloated() map[string]func(n int) (kmsg.Request, int16) {
	return map[string]func(n int) (kmsg.Request, int16){
		"DescribeGroups": func(n int) (kmsg.Request, int16) {
			r := kmsg.NewPtrDescribeGroupsRequest()
			r.Groups = make([]string, n)
			return r, 6
		},
		"FindCoordinator": func(n int) (kmsg.Request, int16) {
			r := kmsg.NewPtrFindCoordinatorRequest()
			r.CoordinatorKeys = make([]string, n)
			return r, 4
		},
		"DeleteTopics": func(n int) (kmsg.Request, int16) {
			r := kmsg.NewPtrDeleteTopicsRequest()
			r.TopicNames = make([]string, n)
			return r, 5
		},
		"DescribeConfigs": func(n int) (kmsg.Request, int16) {
			r := kmsg.NewPtrDescribeConfigsRequest()
			r.Resources = make([]kmsg.DescribeConfigsRequestResource, min(n, mib))
			for i := range r.Resources {
				r.Resources[i] = kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "0"}
			}
			return r, 4
		},
		"Metadata by id": func(n int) (kmsg.Request, int16) {
			r := kmsg.NewPtrMetadataRequest()
			r.Topics = make([]kmsg.MetadataRequestTopic, min(n, mib/4))
			for i := range r.Topics {
				r.Topics[i].TopicID = [16]byte{1, byte(i), byte(i >> 8), byte(i >> 16)}
			}
			return r, 12
		},
	}
}

// TestStrangersWithNothingToSay opens more connections than may be shaking
// hands, from another address, and holds each at one stage of the handshake.
// A client next door works on, a new one comes in, and nothing stays behind.
func TestStrangersWithNothingToSay(t *testing.T) {
	const places, strangers = 100, 400
	p := newInProcess(t, func(c *proxy.Config) { c.MaxHandshakes, c.HandshakeTimeout = places, 30*time.Second })
	cl := p.client(t, p.victim, kgo.DefaultProduceTopic(canaryTopic))
	works := func() {
		t.Helper()
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("next door")).FirstErr(); err != nil {
			t.Error(err)
		}
	}
	works()
	before, goroutines := heap(), runtime.NumGoroutine()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}}
	garbage := []string{"", "\x16", "\x16\x03\x01\x40\x00\x01", "GET / HTTP/1.1\r\n", "\x00\x00\x00\x10\x00\x12", "\xff\xff"}
	var open []net.Conn
	for i := range strangers {
		c, err := from.DialContext(t.Context(), "tcp", p.addr(-1))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(garbage[i%len(garbage)]))
		open = append(open, c)
	}
	during := heap()
	t.Logf("%d strangers: heap %+d KiB, goroutines %+d, connections %d", strangers, (during-before)/1024, runtime.NumGoroutine()-goroutines, p.srv.Connections())
	if during-before > places*100<<10 {
		t.Errorf("heap grew by %d KiB", (during-before)/1024)
	}
	works()
	newcomer := p.login(t, p.victim, -1)
	must[*kmsg.MetadataResponse](t, newcomer, kmsg.NewPtrMetadataRequest(), 9)
	_ = newcomer.Close()
	for _, c := range open {
		_ = c.Close()
	}
	again(t, "the strangers' goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	t.Logf("afterwards: heap %+d KiB, goroutines %+d", (heap()-before)/1024, runtime.NumGoroutine()-goroutines)
}

// TestStrangersWhoAnnounceMuch send the beginning of large frames, before and
// after they have proved who they are: memory is what has been sent.
func TestStrangersWhoAnnounceMuch(t *testing.T) {
	p := newInProcess(t, func(c *proxy.Config) { c.FrameGrace, c.UpstreamIdle = 100*time.Millisecond, 100*time.Millisecond })
	before := heap()
	var held []*raw
	for range 30 {
		c := p.login(t, p.attacker, -1)
		_, _ = c.Write([]byte{0x00, 0x10, 0x00, 0x00, 0, 0, 0, 9, 0, 0}) // Produce v9 of 1 MiB
		held = append(held, c)
	}
	during := heap()
	t.Logf("%d requests of 1 MiB have begun: heap %+d KiB", len(held), (during-before)/1024)
	if during-before > int64(len(held))*100<<10 {
		t.Errorf("heap grew by %d KiB", (during-before)/1024)
	}
	for _, size := range [][]byte{{0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}, {0, 1, 0, 1}} {
		c := p.dial(t, -1, "")
		_, _ = c.Write(size)
		c.closes(t)
	}
	for _, c := range held { // 32 s at 32 KiB/s are over when the grace is
		_ = c.Close()
	}
}

// TestAnswersBehindALongPoll pipelines requests with large answers behind one
// that waits: they are not all worked out ahead. In the end each is answered,
// in order.
func TestAnswersBehindALongPoll(t *testing.T) {
	const behind = 40
	p := newInProcess(t)
	c := p.login(t, p.attacker, p.prize.attackersLeader)
	poll := fetch(p.prize.attackersID, 0, -1)
	poll.MaxWaitMillis, poll.MinBytes = 2000, 1
	poll.SetVersion(13)
	req, version := bloated()["DescribeGroups"](60_000)
	req.SetVersion(version)
	body := req.AppendTo(nil)
	before, most := heap(), peak(t)
	c.write(1, 13, poll.AppendTo(nil))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range behind {
			c.write(req.Key(), version, body)
		}
	}()
	for i := range 1 + behind {
		frame, err := c.in.Next(8 * mib)
		if err != nil || (i == 0) != (len(frame) < 1000) {
			t.Fatalf("answer %d has %d bytes, %v", i, len(frame), err)
		}
	}
	<-sent
	used := most() - before
	t.Logf("%d answers of 2.8 MiB: heap +%d MiB", behind, used/mib)
	if used > 150*mib {
		t.Errorf("heap grew by %d MiB", used/mib)
	}
}
