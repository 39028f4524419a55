package proxy

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/tenancy"
	"weir/upstream"
)

const gatewayPassword = "the gateway's own"

// walledRig is a rig whose pool has a principal for each instance; those of a and
// b are there, with the grants that package admin gives.
type walledRig struct {
	*rig
	pool    *upstream.Pool
	sealer  *tenancy.Sealer
	mu      sync.Mutex
	missing []tenancy.InstanceID // as told by Config.MissingIdentity
}

func newWalledRig(t *testing.T) *walledRig {
	t.Helper()
	sealer, err := tenancy.NewSealer([]byte(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}
	w := &walledRig{sealer: sealer}
	brokers := []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-512", "gateway", gatewayPassword)}
	w.rig = newRigOn(t, brokers, func(c *upstream.Config) {
		c.PerInstance, c.SASL = true, scram.Auth{User: "gateway", Pass: gatewayPassword}.AsSha512Mechanism()
	}, func(c *Config) {
		w.pool = c.Pools["main"]
		c.Sealer = sealer
		c.MissingIdentity = func(id tenancy.InstanceID) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.missing = append(w.missing, id)
		}
	})
	w.identify("i-a", "password of a")
	w.identify("i-b", "password of b")
	return w
}

// identify gives an instance a principal, in the store and in the pool.
func (w *walledRig) identify(id tenancy.InstanceID, pass string) {
	w.t.Helper()
	w.stored(id, pass, "main")
	w.inPool(id, pass)
}

func (w *walledRig) inPool(id tenancy.InstanceID, pass string) {
	w.t.Helper()
	var grants []upstream.Grant
	for _, resource := range []kmsg.ACLResourceType{kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup, kmsg.ACLResourceTypeTransactionalId} {
		grants = append(grants, upstream.Grant{Resource: resource, Name: string(id) + ".", Prefixed: true, Operation: kmsg.ACLOperationAll})
	}
	if _, err := w.pool.KeepIdentity(w.t.Context(), upstream.NewIdentity("weir-"+string(id), pass), grants); err != nil {
		w.t.Fatal(err)
	}
}

// store1 puts a principal into the store, sealed for a pool.
func (w *walledRig) stored(id tenancy.InstanceID, pass, pool string) {
	w.t.Helper()
	rev, err := w.store.ReplaceIdentity(w.t.Context(), id, tenancy.Identity{
		User: "weir-" + string(id), Mechanism: tenancy.IdentityMechanism, CreatedAt: time.Now(),
		Password: w.sealer.Seal(id, tenancy.IdentityPlace(pool), []byte(pass)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.inForce(rev)
}

// Clients of two instances work as ever, and what the brokers let them do is
// their own principal's: without its grants nothing is left.
func TestClientsAreTheirInstancesPrincipal(t *testing.T) {
	w := newWalledRig(t)
	for _, id := range []string{"a", "b"} {
		cl := w.client(id, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		roundTrip(t, cl, "orders", id, 50)
	}
	for _, id := range []string{"a", "b"} { // DESCRIBE on the cluster, which principals do not have
		dirs, err := kadm.NewClient(w.client(id)).DescribeAllLogDirs(t.Context(), nil)
		if err != nil || len(dirs) != 3 {
			t.Errorf("log dirs of %s: %v, %v", id, err, dirs)
		}
		moving, err := kadm.NewClient(w.client(id)).ListPartitionReassignments(t.Context(), nil)
		if err != nil || len(moving) > 0 {
			t.Errorf("reassignments of %s: %v, %v", id, moving, err)
		}
	}
	if _, err := w.pool.KeepIdentity(t.Context(), upstream.NewIdentity("weir-i-b", "password of b"), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.client("b", kgo.RecordRetries(0)).ProduceSync(ctx, &kgo.Record{Topic: "orders"}).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("b without grants: %v", err)
	}
	if err := w.client("a").ProduceSync(ctx, &kgo.Record{Topic: "orders"}).FirstErr(); err != nil {
		t.Errorf("a: %v", err)
	}
}

// What cannot be opened, or is refused, closes the client's connection: it is
// never served as the gateway itself, and somebody is told.
func TestNoIdentityNoAccess(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *walledRig)
		says  string
	}{
		"none":                    {func(w *walledRig) { w.create("c", "u") }, "no principal"},
		"sealed for another pool": {func(w *walledRig) { w.create("c", "u"); w.stored("i-c", "x", "other") }, "cannot open a sealed secret"},
		"unknown to the pool":     {func(w *walledRig) { w.create("c", "u"); w.stored("i-c", "x", "main") }, "refused the instance's principal"},
		"another password":        {func(w *walledRig) { w.create("c", "u"); w.identify("i-c", "x"); w.stored("i-c", "y", "main") }, "refused the instance's principal"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalledRig(t)
			c.spoil(w)
			before := w.kafkaTopics()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if err := w.client("c").ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err == nil {
				t.Error("produced")
			}
			text := w.log.String()
			if !strings.Contains(text, "reason="+reasonIdentity) || !strings.Contains(text, c.says) || !strings.Contains(text, "fix=") {
				t.Errorf("log: %s", text)
			}
			if strings.Contains(text, "broker is down") {
				t.Error("the broker was blamed")
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.missing) == 0 || w.missing[0] != "i-c" {
				t.Errorf("told of %v", w.missing)
			}
			if after := w.kafkaTopics(); after != before {
				t.Errorf("the pool has %d topics, had %d", after, before)
			}
		})
	}
}

func (w *walledRig) kafkaTopics() int {
	w.t.Helper()
	names, err := w.pool.ListTopics(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return len(names)
}

// While a password is being replaced, who connects waits for it; who is
// connected goes on.
func TestIdentityRotates(t *testing.T) {
	w := newWalledRig(t)
	old := w.client("a", kgo.DefaultProduceTopic("orders"))
	produce := func(what string, cl *kgo.Client) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := cl.ProduceSync(ctx, kgo.StringRecord(what)).FirstErr(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	produce("before", old)
	w.stored("i-a", "another password", "main") // in the store, and not in the pool yet
	produce("live", old)
	var done sync.WaitGroup
	done.Go(func() { produce("new", w.client("a", kgo.DefaultProduceTopic("orders"))) })
	w.inPool("i-a", "another password")
	done.Wait()
	produce("live, after", old)
}
