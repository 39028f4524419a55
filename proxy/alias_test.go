package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/wire"
	"weir/tenancy"
)

func topicAlias(virtual, physical string, readOnly bool) tenancy.Alias {
	return tenancy.Alias{Kind: tenancy.KindTopic, Virtual: virtual, Physical: physical, ReadOnly: readOnly}
}

// alias adds aliases to an instance, in force when it returns.
func (r *rig) alias(id string, aliases ...tenancy.Alias) {
	r.t.Helper()
	rev, err := r.store.PutAliases(r.t.Context(), tenancy.InstanceID("i-"+id), aliases...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.inForce(rev)
}

// legacy puts records 0 to 4 into a topic of the pool itself, and a group's
// offset behind the first two.
func (r *rig) legacy(topic, group string) {
	r.t.Helper()
	cl := r.direct()
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = append(create.Topics, kmsg.CreateTopicsRequestTopic{Topic: topic, NumPartitions: 1, ReplicationFactor: 1})
	if _, err := create.RequestWith(r.t.Context(), cl); err != nil {
		r.t.Fatal(err)
	}
	for i := range 5 {
		if err := cl.ProduceSync(r.t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			r.t.Fatal(err)
		}
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = group, -1
	row := kmsg.NewOffsetCommitRequestTopic()
	row.Topic, row.TopicID = topic, r.kafka.TopicInfo(topic).TopicID
	row.Partitions = append(row.Partitions, kmsg.OffsetCommitRequestTopicPartition{Offset: 2, LeaderEpoch: -1})
	commit.Topics = append(commit.Topics, row)
	resp, err := commit.RequestWith(r.t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		r.t.Fatalf("committing directly: %v", err)
	}
}

// read polls until there are n records and returns their values.
func read(t *testing.T, cl *kgo.Client, n int) (values []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(values) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %q: %v", values, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

// TestExistingTopics: a topic and a group that were there before the gateway move
// to an instance with their records and offsets; another instance reads along.
func TestExistingTopics(t *testing.T) {
	r := newRig(t)
	r.legacy("legacy_bills", "Legacy billing")
	r.alias("a", topicAlias("bills", "legacy_bills", false),
		tenancy.Alias{Kind: tenancy.KindGroup, Virtual: "billing", Physical: "Legacy billing"})
	r.alias("b", topicAlias("theirs", "legacy_bills", true))

	owner := r.client("a", kgo.ConsumeTopics("bills"), kgo.ConsumerGroup("billing"))
	if got := read(t, owner, 3); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("from the committed offset: %q", got)
	}
	if err := owner.ProduceSync(t.Context(), &kgo.Record{Topic: "bills", Value: []byte("new")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, owner, 1); got[0] != "new" {
		t.Errorf("own record: %q", got)
	}
	if err := owner.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Error(err)
	}
	reader := r.client("b", kgo.ConsumeTopics("theirs"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if got := read(t, reader, 6); !slices.Equal(got, []string{"0", "1", "2", "3", "4", "new"}) {
		t.Errorf("through the share: %q", got)
	}
	if err := reader.ProduceSync(t.Context(), &kgo.Record{Topic: "theirs", Value: []byte("x")}).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("writing to a share: %v", err)
	}
	if err := deleteTopic(t, reader, "theirs"); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("deleting a share: %v", err)
	}
	if err := deleteTopic(t, reader, "legacy_bills"); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("deleting by the physical name: %v", err)
	}
	if diff := cmp.Diff([]string{"bills"}, topicsOf(t, owner)); diff != "" {
		t.Errorf("the owner's topics (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"theirs"}, topicsOf(t, reader)); diff != "" {
		t.Errorf("the reader's topics (-want +got):\n%s", diff)
	}
	if err := deleteTopic(t, owner, "bills"); err != nil {
		t.Errorf("the owner deletes: %v", err)
	}
}

func deleteTopic(t *testing.T, cl *kgo.Client, name string) error {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

func topicsOf(t *testing.T, cl *kgo.Client) (names []string) {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range resp.Topics {
		names = append(names, *topic.Topic)
	}
	slices.Sort(names)
	return names
}

// TestAliasAddedLive: connections that are open leave between their requests, and
// the next one knows the name; those of other instances stay.
func TestAliasAddedLive(t *testing.T) {
	r := newRig(t)
	r.legacy("legacy_bills", "g")
	idle, other := r.dial(0, ""), r.dial(0, "")
	if err := errors.Join(login(idle, "u@i-a"), login(other, "u@i-b")); err != nil {
		t.Fatal(err)
	}
	busy := r.dial(1, "")
	if err := login(busy, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	poll := kmsg.NewPtrFetchRequest()
	poll.SetVersion(12)
	poll.MaxWaitMillis, poll.MinBytes, poll.SessionEpoch = 300, 1, -1
	if _, err := busy.Write(frame(poll.Key(), 12, poll.AppendTo(nil))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the poll is under way", func() bool { return r.links() == 1 })
	r.alias("a", topicAlias("bills", "legacy_bills", false))
	closedWithout(t, idle)
	if _, err := wire.NewReader(busy).Next(1 << 20); err != nil {
		t.Errorf("the answer in flight: %v", err)
	}
	closedWithout(t, busy)
	r.logs(reasonDrained)
	if _, err := send(other, kmsg.NewPtrMetadataRequest(), 9); err != nil {
		t.Errorf("the other instance's connection: %v", err)
	}
	if got := topicsOf(t, r.client("a")); !slices.Equal(got, []string{"bills"}) {
		t.Errorf("a new connection sees %q", got)
	}
}

// TestAliasRemovedLive: connections that know an alias which is gone end at once,
// whatever they are doing.
func TestAliasRemovedLive(t *testing.T) {
	r := newRig(t)
	r.alias("a", topicAlias("bills", "legacy_bills", false), topicAlias("more", "legacy_more", false))
	c := r.dial(1, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	poll := kmsg.NewPtrFetchRequest()
	poll.SetVersion(12)
	poll.MaxWaitMillis, poll.MinBytes, poll.SessionEpoch = 60_000, 1, -1
	if _, err := c.Write(frame(poll.Key(), 12, poll.AppendTo(nil))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the poll is under way", func() bool { return r.links() == 1 })
	rev, err := r.store.DeleteAlias(t.Context(), "i-a", tenancy.KindTopic, "bills")
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	begin := time.Now()
	closedWithout(t, c)
	t.Logf("closed %s after the change was in force", time.Since(begin))
	r.logs(reasonNames)
	again := r.dial(0, "")
	if err := login(again, "u@i-a"); err != nil {
		t.Errorf("logging in again: %v", err)
	}
}
