//go:build real

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTwoInstances lets two instances do everything at once under the same
// names: topics, classic and KIP-848 groups, transactions, administration.
func TestTwoInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.start("g1")
	left, right := w.create(g, "i-left"), w.create(g, "i-right")
	toLeft, toRight := newTap(w, "right-canary"), newTap(w, "left-canary")
	var wg sync.WaitGroup
	for in, x := range map[instance]*tap{left: toLeft, right: toRight} {
		mark := strings.TrimPrefix(in.id, "i-") + "-canary"
		for _, job := range []func(*testing.T, *world, instance, *tap, string){classic, kip848, transactions, administration} {
			wg.Go(func() { job(t, w, in, x, mark) })
		}
	}
	wg.Wait()
	for _, x := range []*tap{toLeft, toRight} {
		x.mu.Lock() // clients that are closed later still read
		if x.bytes == 0 || x.leaks > 0 {
			t.Errorf("tap saw %d bytes, %d leaks", x.bytes, x.leaks)
		}
		t.Logf("tap: %d connections, %d bytes from the gateway, %d leaks", x.conns, x.bytes, x.leaks)
		x.mu.Unlock()
	}
}

func (w *world) tapped(in instance, x *tap, opts ...kgo.Opt) *kgo.Client {
	// kgo takes either a TLS configuration or a dialer: the last one counts.
	return w.client(in, append([]kgo.Opt{kgo.DialTLSConfig(nil), kgo.Dialer(x.dial)}, opts...)...)
}

const perJob = 3000

func classic(t *testing.T, w *world, in instance, x *tap, mark string) {
	grouped(t, w, in, x, mark, "shared-classic", "the-group")
}

func kip848(t *testing.T, w *world, in instance, x *tap, mark string) {
	ctx := context.WithValue(t.Context(), "opt_in_kafka_next_gen_balancer_beta", true) //nolint:staticcheck,revive // franz-go's own key
	grouped(t, w, in, x, mark, "shared-next", "the-next-group", kgo.WithContext(ctx))
}

// grouped produces and has two members of one group consume.
func grouped(t *testing.T, w *world, in instance, x *tap, mark, topic, group string, opts ...kgo.Opt) {
	producer := w.tapped(in, x)
	w.createTopic(producer, topic, 6)
	var mu sync.Mutex
	seen := map[string]int{}
	done, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var members sync.WaitGroup
	for range 2 {
		member := w.tapped(in, x, append([]kgo.Opt{
			kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200 * time.Millisecond),
		}, opts...)...)
		members.Go(func() {
			for done.Err() == nil {
				member.PollFetches(done).EachRecord(func(r *kgo.Record) {
					mu.Lock()
					defer mu.Unlock()
					seen[string(r.Value)]++
					if len(seen) == perJob {
						cancel()
					}
				})
			}
			member.Close()
		})
	}
	for i := range perJob {
		producer.Produce(t.Context(), &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, "%s %d", mark, i)},
			func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("%s: %v", in.id, err)
				}
			})
	}
	if err := producer.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	members.Wait()
	check(t, in, seen, mark)
}

func check(t *testing.T, in instance, seen map[string]int, mark string) {
	if len(seen) != perJob {
		t.Errorf("%s: %d records of %d", in.id, len(seen), perJob)
	}
	for value := range seen {
		if !strings.HasPrefix(value, mark) {
			t.Errorf("%s got a record of somebody else: %q", in.id, value)
		}
	}
}

// transactions commits and aborts in turn and reads committed records only.
func transactions(t *testing.T, w *world, in instance, x *tap, mark string) {
	const topic = "shared-txn"
	producer := w.tapped(in, x, kgo.TransactionalID("the-transaction"), kgo.DefaultProduceTopic(topic))
	w.createTopic(producer, topic, 3)
	for batch := range 30 {
		if err := producer.BeginTransaction(); err != nil {
			t.Error(err)
			return
		}
		commit := kgo.TryCommit
		if batch%3 == 2 {
			commit = kgo.TryAbort
		}
		for i := range perJob / 20 {
			value := fmt.Sprintf("%s %d %d", mark, batch, i)
			if commit == kgo.TryAbort {
				value = "aborted " + value
			}
			producer.Produce(t.Context(), kgo.StringRecord(value), nil)
		}
		if err := producer.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if err := producer.EndTransaction(t.Context(), commit); err != nil {
			t.Errorf("%s: end of transaction: %v", in.id, err)
			return
		}
	}
	reader := w.tapped(in, x, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := map[string]int{}
	for len(seen) < perJob && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
	}
	check(t, in, seen, mark)
}

// administration lists and describes everything there is to see.
func administration(t *testing.T, w *world, in instance, x *tap, _ string) {
	adm := kadm.NewClient(w.tapped(in, x))
	ctx := t.Context()
	own := []string{"adm", "shared-classic", "shared-next", "shared-txn"}
	for round := range 10 {
		if _, err := adm.CreateTopic(ctx, 2, -1, nil, "adm"); err != nil && round == 0 {
			t.Errorf("%s: %v", in.id, err)
		}
		topics, err := adm.ListTopics(ctx)
		if err != nil {
			t.Errorf("%s: %v", in.id, err)
		}
		for name := range topics {
			if !slices.Contains(own, name) {
				t.Errorf("%s sees topic %q", in.id, name)
			}
		}
		groups, err := adm.ListGroups(ctx)
		if err != nil {
			t.Errorf("%s: %v", in.id, err)
		}
		for _, g := range groups.Groups() {
			if g != "the-group" && g != "the-next-group" {
				t.Errorf("%s sees group %q", in.id, g)
			}
		}
		if _, err := adm.DescribeGroups(ctx); err != nil {
			t.Errorf("%s: describe groups: %v", in.id, err)
		}
		if _, err := adm.DescribeTopicConfigs(ctx, "adm"); err != nil {
			t.Errorf("%s: configs: %v", in.id, err)
		}
		if txns, err := adm.ListTransactions(ctx, nil, nil); err != nil {
			t.Errorf("%s: transactions: %v", in.id, err)
		} else if ids := txns.TransactionalIDs(); len(ids) > 1 || len(ids) == 1 && ids[0] != "the-transaction" {
			t.Errorf("%s sees transactions %v", in.id, ids)
		}
		if _, err := adm.BrokerMetadata(ctx); err != nil {
			t.Errorf("%s: %v", in.id, err)
		}
		if _, err := adm.ListEndOffsets(ctx); err != nil {
			t.Errorf("%s: offsets: %v", in.id, err)
		}
	}
}
