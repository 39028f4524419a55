package rewrite

import (
	"context"
	"encoding/binary"
	"testing"

	"weir/tenancy"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// countingPool says of every id that it is a topic of acme, and counts the asking.
type countingPool struct {
	Pool
	asked int
}

func (p *countingPool) TopicNames(_ context.Context, _ tenancy.Namespace, ids []topicID) map[topicID]string {
	p.asked += len(ids)
	names := map[topicID]string{}
	for _, id := range ids {
		names[id] = "acme.t"
	}
	return names
}

func TestTopicIDsAreRememberedWhileUsed(t *testing.T) {
	pool := &countingPool{}
	x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(kmsg.Produce), Version: 13}
	produce := func(i uint32) {
		mustMap(t, x, produceBody(13, 1, func(r *kmsg.ProduceRequest) {
			r.Topics[0].TopicID = topicID{}
			binary.BigEndian.PutUint32(r.Topics[0].TopicID[:], i+1)
		}, "t"))
	}
	const rounds = 5*maxTopicIDs + 1
	for i := range uint32(rounds) {
		produce(0) // used all the time
		produce(i)
	}
	if pool.asked != rounds {
		t.Errorf("asked the pool for %d ids, want each of %d once", pool.asked, rounds)
	}
	if n := len(x.topicIDs.young) + len(x.topicIDs.old); n > 2*maxTopicIDs+1 {
		t.Errorf("%d ids are remembered, want at most %d", n, 2*maxTopicIDs)
	}
}

// Ids beyond what one request may ask for are learned by the next ones.
func TestManyNewTopicIDs(t *testing.T) {
	pool := &countingPool{}
	x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(kmsg.Fetch), Version: 13}
	body := fetchBody(13, func(r *kmsg.FetchRequest) {
		r.SessionEpoch = -1
		topic := r.Topics[0]
		r.Topics = nil
		for i := range uint32(maxAsked + 100) {
			binary.BigEndian.PutUint32(topic.TopicID[:], i+1)
			r.Topics = append(r.Topics, topic)
		}
	}, "t")
	for _, want := range []int{maxAsked, maxAsked + 100} {
		req := kmsg.NewPtrFetchRequest()
		req.SetVersion(13)
		if err := req.ReadFrom(join(mustMap(t, x, body).Request)); err != nil {
			t.Fatal(err)
		}
		if len(req.Topics) != want {
			t.Errorf("%d topics were forwarded, want %d", len(req.Topics), want)
		}
	}
}
