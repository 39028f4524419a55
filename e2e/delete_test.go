//go:build real

package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/parts"
)

// TestDelete deletes an instance whose clients are at work, and kills the
// gateway in the middle of it: what takes over finishes. Nothing of the
// instance is left in the pool, all of its neighbour is.
func TestDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g1 := w.start("g1")
	gone, stays := w.create(g1, "i-gone"), w.create(g1, "i-gone2") // nearly the same prefix
	var members []*kgo.Client
	for _, in := range []instance{gone, stays} {
		cl := w.client(in)
		for _, topic := range []string{"a", "b"} {
			w.createTopic(cl, topic, 2)
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		next := context.WithValue(t.Context(), "opt_in_kafka_next_gen_balancer_beta", true) //nolint:staticcheck,revive // franz-go's own key
		for group, opts := range map[string][]kgo.Opt{"classic": nil, "next": {kgo.WithContext(next)}} {
			member := w.client(in, append(opts, kgo.ConsumerGroup(group), kgo.ConsumeTopics("a", "b"),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
			for n := 0; n < 2; {
				n += member.PollFetches(t.Context()).NumRecords()
			}
			if err := member.CommitUncommittedOffsets(t.Context()); err != nil {
				t.Error(err)
			}
			members = append(members, member)
		}
	}
	begin := time.Now()
	w.call(g1, http.MethodDelete, "/v1/instances/i-gone", "", http.StatusAccepted, nil)
	g1.Kill()
	g2 := w.start("g2")
	parts.Await(t, "the instance is gone", 2*time.Minute, func() bool {
		<-time.After(250 * time.Millisecond) // a token has 20 calls a second
		return w.status(g2, http.MethodGet, "/v1/instances/i-gone", "") == http.StatusNotFound
	})
	t.Logf("deleted in %s, with a gateway killed in between", time.Since(begin).Round(time.Millisecond))

	pool, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Bootstrap()...))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	adm := kadm.NewClient(pool)
	topics, err := adm.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := adm.ListGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, name := range append(topics.Names(), groups.Groups()...) {
		if strings.HasPrefix(name, "i-gone.") {
			t.Errorf("%s is still in the pool", name)
		}
		if strings.HasPrefix(name, "i-gone2.") {
			kept++
		}
	}
	if kept != 4 {
		t.Errorf("the neighbour has %d topics and groups left, want 4", kept)
	}
	if code := w.status(g2, http.MethodPost, "/v1/instances", `{"id":"i-gone","tenant":"t-e2e"}`); code != http.StatusConflict {
		t.Errorf("the id was given out again: %d", code)
	}
	for _, m := range members {
		m.CloseAllowingRebalance()
	}
}
