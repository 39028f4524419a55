package proxy

import (
	"context"
	"hash/crc32"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/wire"
	"weir/quota"
	"weir/tenancy"
)

// newLimitedRig is newRig with instance a held to limits.
func newLimitedRig(t *testing.T, limits tenancy.Limits, change ...func(*Config)) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	r := newRig(t, append(change, func(c *Config) {
		dir := c.Directory
		c.Quota = quota.New(quota.Config{Log: c.Log, Instance: func(id tenancy.InstanceID) (*tenancy.View, tenancy.Limits, bool) {
			v, ok := dir.View(id)
			return v, nil, ok
		}})
		dir.Watch(c.Quota.Changed)
		wg.Go(func() { _ = c.Quota.Run(ctx) })
	})...)
	t.Cleanup(func() { cancel(); wg.Wait() })
	r.limit("a", limits)
	return r
}

// limit changes an instance's limits.
func (r *rig) limit(id string, limits tenancy.Limits, remove ...tenancy.LimitName) {
	r.t.Helper()
	rev, err := r.store.ChangeLimits(r.t.Context(), tenancy.InstanceID("i-"+id), limits, remove)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
}

// topic makes a topic of one partition, past the gateway, led by the broker that
// loggedIn connects to.
func (r *rig) topic(physical string) {
	r.t.Helper()
	req := create(1, physical)
	if _, err := req.RequestWith(r.t.Context(), r.direct()); err != nil {
		r.t.Fatal(err)
	}
	if err := r.kafka.MoveTopicPartition(physical, 0, 0); err != nil {
		r.t.Fatal(err)
	}
}

// loggedIn is a connection of user u to a broker.
func (r *rig) loggedIn(id string) net.Conn {
	r.t.Helper()
	return r.loggedInAt(id, 0)
}

// controller is a connection of user u of instance a to the pool's controller.
func (r *rig) controller() net.Conn {
	r.t.Helper()
	got, err := kmsg.NewPtrMetadataRequest().RequestWith(r.t.Context(), r.direct())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.loggedInAt("a", got.ControllerID)
}

func (r *rig) loggedInAt(id string, node int32) net.Conn {
	r.t.Helper()
	c := r.dial(1+int(node), "")
	if err := login(c, "u@i-"+id); err != nil {
		r.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// mutedFor is how long the only connection will not be read.
func (r *rig) mutedFor() (d time.Duration) {
	r.srv.conns.each(func(c *conn) { d = time.Until(time.Unix(0, c.mutedUntil.Load())) })
	return d
}

// must is send for what must work.
func must[P kmsg.Response](t *testing.T, c net.Conn, req kmsg.Request, version int16) P {
	t.Helper()
	resp, err := send(c, req, version)
	if err != nil {
		t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return resp.(P)
}

// records are a batch with one record of about so many bytes.
func records(size int) []byte {
	one := kmsg.Record{Value: make([]byte, size)}
	one.Length = int32(len(one.AppendTo(nil)) - 1) // its own length takes one byte while it is 0
	batch := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 1, Records: one.AppendTo(nil)}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	batch.CRC = int32(crc32.Checksum(batch.AppendTo(nil)[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch.AppendTo(nil)
}

func produce(topic string, size int, acks int16) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, 5000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = records(size)
	topicRow := kmsg.NewProduceRequestTopic()
	topicRow.Topic, topicRow.Partitions = topic, []kmsg.ProduceRequestTopicPartition{part}
	req.Topics = []kmsg.ProduceRequestTopic{topicRow}
	return req
}

func fetch(topic string, maxBytes int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 1, 1, maxBytes, -1
	part := kmsg.NewFetchRequestTopicPartition()
	part.PartitionMaxBytes = maxBytes
	topicRow := kmsg.NewFetchRequestTopic()
	topicRow.Topic, topicRow.Partitions = topic, []kmsg.FetchRequestTopicPartition{part}
	req.Topics = []kmsg.FetchRequestTopic{topicRow}
	return req
}

func create(partitions int32, names ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range names {
		row := kmsg.NewCreateTopicsRequestTopic()
		row.Topic, row.NumPartitions, row.ReplicationFactor = name, partitions, -1
		req.Topics = append(req.Topics, row)
	}
	return req
}

func write(t *testing.T, c net.Conn, reqs ...kmsg.Request) {
	t.Helper()
	var all []byte
	for i, req := range reqs {
		body := req.AppendTo(nil)
		h := wire.RequestHeader{Key: req.Key(), Version: req.GetVersion(), Correlation: int32(i), ClientID: []byte("raw")}
		all = append(append(all, wire.AppendRequest(nil, h, len(body))...), body...)
	}
	if _, err := c.Write(all); err != nil {
		t.Fatal(err)
	}
}

// newFrames reads one answer at a time.
func newFrames(c net.Conn) func() error {
	in := wire.NewReader(c)
	return func() error {
		_, err := in.Next(1 << 20)
		return err
	}
}
