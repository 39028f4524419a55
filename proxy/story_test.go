package proxy

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// roundTrip writes n records with a prefix of their own and reads all there is.
func roundTrip(t *testing.T, cl *kgo.Client, topic, mark string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range n {
		cl.Produce(ctx, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%s-%d", mark, i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for len(seen) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if v := string(r.Value); v[:len(mark)] != mark {
				t.Errorf("a record of somebody else: %q", v)
			} else if seen[v] {
				t.Errorf("%q twice", v)
			} else {
				seen[v] = true
			}
		})
	}
}

func TestTwoInstancesWithTheSameNames(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"a", "b"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			roundTrip(t, r.client(id, kgo.ConsumeTopics("orders")), "orders", id, 1000)
		})
	}
	t.Run("group", func(t *testing.T) {
		for _, id := range []string{"a", "b"} {
			cl := r.client(id, kgo.ConsumeTopics("grouped"), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			roundTrip(t, cl, "grouped", id, 100)
			if err := cl.CommitUncommittedOffsets(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
