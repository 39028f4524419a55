package proxy

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/wire"
	"weir/upstream"
)

const (
	hogClient = "hog" // the client id whose Fetch requests are answered by hogAnswer
	hogBytes  = 55 << 20
)

// hogBroker answers a hog's Fetch requests by hogBytes of records each, which take no
// memory of this process, and passes everything else on to a broker.
func hogBroker(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		broker, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			_, _ = io.Copy(theirs, broker)
		}()
		go func() {
			defer broker.Close()
			for in := wire.NewReader(theirs); ; {
				frame, err := in.Next(1 << 30)
				if err != nil {
					return
				}
				h, _, err := wire.ParseRequest(frame)
				if err == nil && h.Key == int16(kmsg.Fetch) && string(h.ClientID) == hogClient {
					err = hogAnswer(theirs, h)
				} else {
					_, err = broker.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
				}
				if err != nil {
					return
				}
			}
		}()
		return ours, nil
	}
}

// hogAnswer writes an answer to Fetch v11 with hogBytes of records.
func hogAnswer(to io.Writer, h wire.RequestHeader) error {
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(h.Version)
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = []byte{}
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.Partitions = "i-a.t", []kmsg.FetchResponseTopicPartition{p}
	resp.Topics = append(resp.Topics, topic)
	body := resp.AppendTo(nil)
	binary.BigEndian.PutUint32(body[len(body)-4:], hogBytes) // the length of the records stands at the end
	if _, err := to.Write(append(wire.AppendResponse(nil, h.Key, h.Version, h.Correlation, len(body)+hogBytes), body...)); err != nil {
		return err
	}
	chunk := make([]byte, 1<<16)
	for left := hogBytes; left > 0; left -= len(chunk) {
		if _, err := to.Write(chunk[:min(len(chunk), left)]); err != nil {
			return err
		}
	}
	return nil
}

// askAndSleep asks for hogBytes and never reads them. It may not be let in.
func (r *rig) askAndSleep() error {
	cfg := r.tls()
	cfg.ServerName = "127.0.0.1"
	c, err := (&tls.Dialer{Config: cfg}).DialContext(r.t.Context(), "tcp", r.srv.Addrs()[0])
	if err != nil {
		return err
	}
	context.AfterFunc(r.t.Context(), func() { _ = c.Close() })
	if err := login(c, "u@i-a"); err != nil {
		return err
	}
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(11)
	req.MaxBytes, req.MaxWaitMillis, req.SessionEpoch = hogBytes, 100, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = hogBytes
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.Partitions = "t", []kmsg.FetchRequestTopicPartition{p}
	req.Topics = append(req.Topics, topic)
	body := req.AppendTo(nil)
	h := wire.RequestHeader{Key: 1, Version: 11, Correlation: 7, ClientID: []byte(hogClient)}
	_, err = c.Write(append(wire.AppendRequest(nil, h, len(body)), body...))
	return err
}

// residentBytes is what the process takes of the machine's memory (proc(5)).
func residentBytes() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	var size, resident int64
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// TestMemoryOfHogs: 200 connections of one instance ask for more than memory has and
// read nothing. Another instance produces and fetches all the while, what is held
// stays within the budget, and in the end nothing is.
func TestMemoryOfHogs(t *testing.T) {
	const budget, hogs = 64 << 20, 200
	r := newRigOn(t, nil, func(c *upstream.Config) { c.Dial = hogBroker(c.Dial) }, func(c *Config) { c.Memory = budget })
	before := residentBytes()
	var most, resident atomic.Int64
	var worst atomic.Int32
	watch := t.Context()
	go func() {
		for watch.Err() == nil {
			most.Store(max(most.Load(), r.srv.memory.used()))
			resident.Store(max(resident.Load(), residentBytes()))
			worst.Store(max(worst.Load(), r.srv.memory.step.Load()))
			<-time.After(time.Millisecond)
		}
	}()

	cl := r.client("b", kgo.ConsumeTopics("t"), kgo.RecordRetries(0), kgo.ProducerBatchMaxBytes(2<<20))
	exchange := func(i int) {
		value := make([]byte, 1<<20)
		value[0] = byte(i)
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: value}).FirstErr(); err != nil {
			t.Fatalf("exchange %d: produce: %v", i, err)
		}
		for got := false; !got; {
			fetches := cl.PollFetches(t.Context())
			if err := fetches.Err(); err != nil {
				t.Fatalf("exchange %d: fetch: %v", i, err)
			}
			fetches.EachRecord(func(rec *kgo.Record) { got = got || rec.Value[0] == byte(i) })
		}
	}
	exchange(0)
	refused := 0
	for range hogs {
		if r.askAndSleep() != nil {
			refused++
		}
	}
	if refused > hogs/2 {
		t.Fatalf("%d of %d hogs were refused", refused, hogs)
	}
	var took []time.Duration
	closed := func() bool { return strings.Contains(r.log.String(), "reason="+reasonOverloaded) }
	for i := 0; i < 40 || !closed() && i < 4000; i++ { // until the hogs have been stuck for long enough
		begin := time.Now()
		exchange(i + 1)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("%d exchanges of 1 MiB beside %d hogs: median %v, slowest %v; %d connections are left; stage up to %d",
		len(took), hogs, took[len(took)/2], took[len(took)-1], r.srv.Connections(), worst.Load())
	t.Logf("held at most %d MiB of %d; resident %d MiB before, %d MiB at most", most.Load()>>20, budget>>20, before>>20, resident.Load()>>20)
	if !closed() { // nor was memory ever short, and the test shows nothing
		t.Error("hogs that wait for each other stay for ever")
	}
	if n := most.Load(); n > budget {
		t.Errorf("%d bytes were held, of %d", n, budget)
	}
	if n := resident.Load() - before; n > 6*budget && !detectsRaces {
		t.Errorf("%d bytes resident beyond those before", n)
	}
	cl.Close()
	r.srv.conns.ofInstance("i-a", func(c *conn) { c.close(&closing{reason: reasonStopped}) })
	r.settled()
	if !strings.Contains(r.log.String(), "memory is short") {
		t.Error("the log does not say that memory is short")
	}
}

// settled waits until no connection is left, and fails if memory is charged then.
func (r *rig) settled() {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); r.srv.Connections() > 0 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	if n := r.srv.memory.used(); n != 0 || r.srv.Connections() != 0 || len(r.srv.memory.holdings) != 0 {
		r.t.Errorf("%d bytes are charged, to %d instances, with %d connections", n, len(r.srv.memory.holdings), r.srv.Connections())
	}
}
