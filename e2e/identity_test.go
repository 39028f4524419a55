//go:build real

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/internal/parts"
	"weir/tenancy"
)

// TestHostileTenantWalled is TestHostileTenantReal where each instance has a
// principal of its own in the pool.
func TestHostileTenantWalled(t *testing.T) {
	t.Parallel()
	besiege(t, newWalledWorld(t, "instance", 3))
}

// principal is what a gateway knows of an instance's principal, read from Redis
// as one that went wrong could.
func (w *world) principal(in instance) scram.Auth {
	w.t.Helper()
	opts, err := redis.ParseURL(w.redis.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	opts.ContextTimeoutEnabled = true
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	id, err := tenancy.NewStore(rdb).Identity(w.t.Context(), tenancy.InstanceID(in.id))
	if err != nil {
		w.t.Fatal(err)
	}
	sealer, err := tenancy.NewSealer(sealKey())
	if err != nil {
		w.t.Fatal(err)
	}
	password, err := sealer.Open(tenancy.InstanceID(in.id), tenancy.IdentityPlace("main"), id.Password)
	if err != nil {
		w.t.Fatal(err)
	}
	return scram.Auth{User: id.User, Pass: string(password)}
}

// past is a client of the pool itself with an instance's principal: what a
// gateway that maps nothing any more would be.
func (w *world) past(in instance, opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(w.kafka.Bootstrap()...), kgo.SASL(w.principal(in).AsSha512Mechanism()),
	}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// TestWall: with an instance's principal, brokers give nothing of another instance
// away, however broken the gateway is.
func TestWall(t *testing.T) {
	w := newWalledWorld(t, "instance", 3)
	g := w.start("g1")
	victim, thief := w.create(g, "i-victim"), w.create(g, "i-thief")
	w.treasure(victim)
	mine := w.client(thief, kgo.DefaultProduceTopic("own"))
	w.createTopic(mine, "own", 1)
	if err := mine.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.shareOf(g, thief)

	// Topics by name: an id that was made up is unknown to anybody.
	named := kversion.Stable()
	named.SetMaxKeyVersion(int16(kmsg.Fetch), 12)
	named.SetMaxKeyVersion(int16(kmsg.OffsetCommit), 9)
	past := w.past(thief, kgo.MaxVersions(named))
	for name, try := range thefts() {
		t.Run(name, func(t *testing.T) {
			got := try(t.Context(), past, "i-victim.")
			if got == nil || !refusal(got) {
				t.Errorf("i-victim: %v, want to be refused", got)
			}
		})
	}
	t.Run("own names work", func(t *testing.T) { // so that the refusals above say something
		for _, name := range []string{"produce", "fetch", "list offsets", "commit", "find coordinator of a group", "init producer of a transactional id", "describe configs", "create topics"} {
			if err := thefts()[name](t.Context(), past, "i-thief."); err != nil && refusal(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("lists", func(t *testing.T) { w.lists(t, past) })
	t.Run("a fetch session of another", func(t *testing.T) { w.stealSession(t, victim, thief) })
	t.Run("a share", func(t *testing.T) {
		cl := w.past(thief, kgo.ConsumeTopics("shared_by_all"))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if got := cl.PollFetches(ctx).NumRecords(); got != 1 {
			t.Errorf("read %d records of what is shared, want 1", got)
		}
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "shared_by_all", Value: []byte("x")}).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("writing to what is shared: %v", err)
		}
	})
	// Nothing of all that harmed the victim.
	cl := w.client(victim, kgo.ConsumeTopics(canaryTopic))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if got := cl.PollFetches(ctx).Records(); len(got) != 1 || string(got[0].Value) != canaryValue {
		t.Errorf("the victim reads %v", got)
	}
}

// treasure gives the victim a topic with a record, a group with an offset and a
// transactional id.
func (w *world) treasure(victim instance) {
	w.t.Helper()
	cl := w.client(victim, kgo.DefaultProduceTopic(canaryTopic), kgo.TransactionalID(canaryTxn))
	w.createTopic(cl, canaryTopic, 1)
	if err := cl.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	if err := cl.ProduceSync(w.t.Context(), kgo.StringRecord(canaryValue)).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
	if err := cl.EndTransaction(w.t.Context(), kgo.TryCommit); err != nil {
		w.t.Fatal(err)
	}
	offsets := make(kadm.Offsets)
	offsets.AddOffset(canaryTopic, 0, 1, -1)
	if err := kadm.NewClient(w.client(victim)).CommitAllOffsets(w.t.Context(), canaryGroup, offsets); err != nil {
		w.t.Fatal(err)
	}
}

// shareOf makes a topic of the operator's with one record, and shares it.
func (w *world) shareOf(g *gateway, with instance) {
	w.t.Helper()
	super := w.superuser()
	w.createTopic(super, "shared_by_all", 1)
	if err := super.ProduceSync(w.t.Context(), &kgo.Record{Topic: "shared_by_all", Value: []byte("for all")}).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
	w.call(g, http.MethodPost, "/v1/instances/"+with.id+"/aliases",
		`{"aliases":[{"kind":"topic","name":"news","physical":"shared_by_all","read_only":true}]}`, http.StatusCreated, nil)
}

// refusal is whether Kafka says that the principal may not.
func refusal(err error) bool {
	for _, known := range []error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
		kerr.ClusterAuthorizationFailed,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// lists: what is listed without a name holds nothing of another.
func (w *world) lists(t *testing.T, past *kgo.Client) {
	ctx, admin := t.Context(), kadm.NewClient(past)
	topics, err := admin.ListTopics(ctx)
	if err != nil || len(topics) != 2 {
		t.Errorf("topics: %v, %v", topics.Names(), err)
	}
	groups, err := admin.ListGroups(ctx)
	if err != nil || strings.Contains(fmt.Sprint(groups), "victim") {
		t.Errorf("groups: %v, %v", groups, err)
	}
	txns, err := admin.ListTransactions(ctx, nil, nil)
	if err != nil || strings.Contains(fmt.Sprint(txns), "victim") {
		t.Errorf("transactions: %v, %v", txns, err)
	}
}

// stealSession: who knows the id of another's topic, or guesses that of another's
// fetch session, gets no records by it.
func (w *world) stealSession(t *testing.T, victim, thief instance) {
	const topic = "i-victim." + canaryTopic
	meta, err := kadm.NewClient(w.past(victim)).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	broker := int(meta[topic].Partitions[0].Leader)
	open := fetch(meta[topic].ID, 0, 0)
	open.Version = 13
	opened, err := w.past(victim).Broker(broker).Request(t.Context(), open)
	if err != nil || opened.(*kmsg.FetchResponse).SessionID == 0 {
		t.Fatalf("no session: %v, %+v", err, opened)
	}
	if size := bytesOf(opened); size == 0 {
		t.Fatal("the victim itself got nothing")
	}
	steal := fetch([16]byte{}, opened.(*kmsg.FetchResponse).SessionID, 1)
	for what, req := range map[string]*kmsg.FetchRequest{"a stolen session": steal, "the topic's id": open} {
		stolen, err := w.past(thief).Broker(broker).Request(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if size := bytesOf(stolen); size > 0 {
			t.Errorf("the broker gave away %d bytes by %s", size, what)
		}
	}
}

// bytesOf is how much an answer to Fetch holds of records.
func bytesOf(resp kmsg.Response) (size int) {
	for _, t := range resp.(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			size += len(p.RecordBatches)
		}
	}
	return size
}

// TestIdentityLife: made with the instance, kept in step, repaired when lost,
// rotated under load, removed with the instance.
func TestIdentityLife(t *testing.T) {
	t.Parallel()
	w := newWalledWorld(t, "instance", 3)
	super := kadm.NewClient(w.superuser())
	g := w.start("g1")
	in := w.create(g, "i-life")
	old := w.principal(in)
	cl := w.client(in, kgo.DefaultProduceTopic("life"))
	w.createTopic(cl, "life", 3) // at once: what create answered works
	produce := func(what string, cl *kgo.Client) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := cl.ProduceSync(ctx, kgo.StringRecord(what)).FirstErr(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	produce("after create", cl)

	begin := time.Now()
	w.call(g, http.MethodPost, "/v1/instances/"+in.id+"/identity/rotate", "", http.StatusOK, nil)
	t.Logf("rotated in %s", time.Since(begin))
	produce("live, after rotation", cl)
	produce("new, after rotation", w.client(in, kgo.DefaultProduceTopic("life")))
	if w.principal(in).Pass == old.Pass {
		t.Error("the password did not change")
	}

	// Somebody takes its ACLs and its user away: a gateway that starts puts them back.
	lose(t, super, in.id)
	g2 := w.start("g2")
	parts.Await(t, "the principal is repaired", 30*time.Second, func() bool {
		acls, user := has(t, super, in.id)
		return acls == 3 && user
	})
	produce("new, after repair", w.client(in, kgo.DefaultProduceTopic("life")))

	w.call(g2, http.MethodDelete, "/v1/instances/"+in.id, "", http.StatusAccepted, nil)
	parts.Await(t, "the principal is removed", 60*time.Second, func() bool {
		acls, user := has(t, super, in.id)
		return acls == 0 && !user
	})
}

// has is what the pool has of an instance's principal.
func has(t *testing.T, super *kadm.Client, id string) (acls int, user bool) {
	t.Helper()
	described, err := super.DescribeACLs(t.Context(), aclsOf(id))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range described {
		acls += len(r.Described)
	}
	users, err := super.DescribeUserSCRAMs(t.Context(), "weir-"+id)
	return acls, err == nil && users.Ok() && len(users) == 1
}

func lose(t *testing.T, super *kadm.Client, id string) {
	t.Helper()
	if _, err := super.DeleteACLs(t.Context(), aclsOf(id)); err != nil {
		t.Fatal(err)
	}
	if _, err := super.AlterUserSCRAMs(t.Context(), []kadm.DeleteSCRAM{{User: "weir-" + id, Mechanism: kadm.ScramSha512}}, nil); err != nil {
		t.Fatal(err)
	}
}

func aclsOf(id string) *kadm.ACLBuilder {
	return kadm.NewACLs().AnyResource().Allow("User:weir-" + id).AllowHosts().Operations(kadm.OpAny).ResourcePatternType(kadm.ACLPatternAny)
}
