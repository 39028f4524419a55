//go:build real

package e2e

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// controlBatch is how large a batch is that ends a transaction: a header, and one record
// with a key of 4 bytes and a value of 6.
const controlBatch = batchHeader + 17

// logged is what is in the log of a topic, by the brokers themselves.
type logged struct {
	records int64 // end offsets, without control records
	control int64 // control records, each a batch of its own
	bytes   int64 // of the segments of one replica of each partition, without control batches
}

// direct is a client of the pool that may do everything.
func (w *world) direct() *kgo.Client {
	w.t.Helper()
	if identityMode() != "" {
		return w.superuser()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Bootstrap()...))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// logged reads what is in the log of an instance's fresh topic. Replicas that have not
// the same are an error: they will have.
func (w *world) logged(ctx context.Context, cl *kgo.Client, id, topic string, txn bool) (logged, error) {
	name, adm := id+"."+topic, kadm.NewClient(cl)
	var l logged
	ends, err := adm.ListEndOffsets(ctx, name)
	if err != nil {
		return l, err
	}
	ends.Each(func(o kadm.ListedOffset) { l.records += o.Offset })
	if err := ends.Error(); err != nil {
		return l, err
	}
	if txn {
		if l.control, err = w.control(ctx, cl, name, ends); err != nil {
			return l, err
		}
	}
	l.records -= l.control
	dirs, err := adm.DescribeAllLogDirs(ctx, kadm.TopicsSet{name: {0: {}, 1: {}, 2: {}}})
	if err != nil {
		return l, err
	}
	sizes := map[int32]int64{}
	differ := false
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if was, ok := sizes[p.Partition]; ok && was != p.Size {
				differ = true
			}
			sizes[p.Partition] = p.Size
		})
	})
	if differ || len(sizes) != 3 {
		return l, fmt.Errorf("replicas of %s are not of the same size: %v", name, sizes)
	}
	for _, n := range sizes {
		l.bytes += n
	}
	l.bytes -= l.control * controlBatch
	return l, nil
}

// control counts the control records of a topic by reading all of it.
func (w *world) control(ctx context.Context, like *kgo.Client, name string, ends kadm.ListedOffsets) (n int64, err error) {
	parts := map[int32]kgo.Offset{}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if parts[o.Partition] = kgo.NewOffset().AtStart(); o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	cl, err := kgo.NewClient(append(like.Opts(), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: parts}))...)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return 0, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Attrs.IsControl() {
				n++
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return n, nil
}
