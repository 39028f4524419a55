package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// walled is a pool with an authorizer; the gateway may do everything in it.
func walled(t *testing.T) (*Pool, *kfake.Cluster) {
	t.Helper()
	c := kafka(t, kfake.NumBrokers(2), kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-512", "weir", password))
	return runPool(t, Config{Bootstrap: c.ListenAddrs(), SASL: mechanisms(password)["SCRAM-SHA-512"]}), c
}

func prefixed(id string) []Grant {
	return []Grant{
		{Resource: kmsg.ACLResourceTypeTopic, Name: id + ".", Prefixed: true, Operation: kmsg.ACLOperationAll},
		{Resource: kmsg.ACLResourceTypeGroup, Name: id + ".", Prefixed: true, Operation: kmsg.ACLOperationAll},
	}
}

func literal(name string, op kmsg.ACLOperation) Grant {
	return Grant{Resource: kmsg.ACLResourceTypeTopic, Name: name, Operation: op}
}

// standing is what the pool has of a user.
func standing(t *testing.T, p *Pool, user string) (exists bool, grants map[Grant]bool) {
	t.Helper()
	all, err := p.Identities(within20s(t), "weir-")
	if err != nil {
		t.Fatal(err)
	}
	return all.Users[user], all.Grants[user]
}

func setOf(grants []Grant) map[Grant]bool {
	set := make(map[Grant]bool)
	for _, g := range grants {
		set[g] = true
	}
	return set
}

// An identity is made, kept, changed, repaired and removed; each may be repeated.
func TestKeepIdentity(t *testing.T) {
	p, _ := walled(t)
	as, ctx := NewIdentity("weir-a", "pass-a"), within20s(t)
	keep := func(what string, as *Identity, grants []Grant, want bool) {
		t.Helper()
		if changed, err := p.KeepIdentity(ctx, as, grants); err != nil || changed != want {
			t.Fatalf("%s: changed %v, %v", what, changed, err)
		}
		conn, err := p.Dial(ctx, 0, as)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer conn.Close()
		versionsOver(t, conn)
		if exists, got := standing(t, p, as.User); !exists || !maps.Equal(got, setOf(grants)) {
			t.Errorf("%s: the pool has %v, want %v", what, got, grants)
		}
		all, _ := p.Identities(ctx, "weir-")
		if all.Lacks(as.User, grants) || !all.Lacks(as.User, grants[:1]) || !all.Lacks("weir-b", grants) {
			t.Errorf("%s: Lacks is wrong", what)
		}
	}
	more := append(prefixed("a"), literal("old.orders", kmsg.ACLOperationRead), literal("old_orders", kmsg.ACLOperationAll))
	keep("new", as, prefixed("a"), true)
	keep("again", as, prefixed("a"), false)
	keep("more", as, more, true)
	keep("less", as, more[:3], true)
	keep("another password", NewIdentity("weir-a", "pass-b"), more[:3], true)
	if _, err := p.Dial(ctx, 0, as); !errors.Is(err, ErrIdentity) {
		t.Errorf("the old password: %v", err)
	}
	for range 2 {
		if err := p.RemoveIdentity(ctx, "weir-a"); err != nil {
			t.Fatal(err)
		}
		if exists, got := standing(t, p, "weir-a"); exists || len(got) > 0 {
			t.Errorf("left after removal: %v %v", exists, got)
		}
	}
	keep("after removal", as, prefixed("a"), true)
}

// A DENY that the pool's operator gave an identity is not the gateway's to take away.
func TestKeepIdentityLeavesDeny(t *testing.T) {
	p, _ := walled(t)
	ctx := within20s(t)
	req := kmsg.NewPtrCreateACLsRequest()
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, "a.secret", kmsg.ACLResourcePatternTypeLiteral
	c.Principal, c.Host, c.Operation, c.PermissionType = "User:weir-a", "*", kmsg.ACLOperationAll, kmsg.ACLPermissionTypeDeny
	req.Creations = append(req.Creations, c)
	if _, err := p.Request(ctx, req); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := p.KeepIdentity(ctx, NewIdentity("weir-a", "pass"), prefixed("a")); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := p.Request(ctx, describePrincipal("weir-a"))
	if err != nil {
		t.Fatal(err)
	}
	denied := 0
	for _, r := range answer.(*kmsg.DescribeACLsResponse).Resources {
		for _, a := range r.ACLs {
			if a.PermissionType == kmsg.ACLPermissionTypeDeny {
				denied++
			}
		}
	}
	if denied != 1 {
		t.Errorf("%d DENY left, want 1", denied)
	}
}

// A refused identity says nothing of the broker, which others go on using.
func TestRefusedIdentityBlamesNobody(t *testing.T) {
	p, _ := walled(t)
	for _, as := range []*Identity{NewIdentity("weir-nobody", "pass"), NewIdentity("weir", "wrong-"+password)} {
		_, err := p.Dial(within20s(t), 0, as)
		if !errors.Is(err, ErrIdentity) || strings.Contains(err.Error(), password) || strings.Contains(fmt.Sprintf("%v %+v %#v", as, as, as), password) {
			t.Errorf("%s: %v", as, err)
		}
	}
	for _, h := range p.Health() {
		if !h.Up {
			t.Errorf("broker %d is down: %v", h.Node, h.Err)
		}
	}
	conn, err := p.Dial(within20s(t), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// Without the right to ALTER the cluster it is said, and said what to do.
func TestCanKeepIdentities(t *testing.T) {
	may := func(ops ...kmsg.ACLOperation) []kfake.ACL {
		var acls []kfake.ACL
		for _, op := range ops {
			acls = append(acls, kfake.ACL{Resource: kmsg.ACLResourceTypeCluster, Name: "kafka-cluster", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true})
		}
		return acls
	}
	for name, c := range map[string]struct {
		acls []kfake.ACL
		want string
	}{
		"nothing":       {nil, "ALTER"},
		"describe only": {may(kmsg.ACLOperationDescribe), "ALTER"},
		"both":          {may(kmsg.ACLOperationDescribe, kmsg.ACLOperationAlter), ""},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := kafka(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(),
				kfake.Superuser("PLAIN", "admin", "admin"), kfake.User("SCRAM-SHA-512", "weir", password, c.acls...))
			p := runPool(t, Config{Bootstrap: cluster.ListenAddrs(), SASL: mechanisms(password)["SCRAM-SHA-512"]})
			err := p.CanKeepIdentities(within20s(t))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			_, err = p.KeepIdentity(within20s(t), NewIdentity("weir-a", "pass"), prefixed("a"))
			if (err == nil) != (c.want == "") || err != nil && !errors.Is(err, kerr.ClusterAuthorizationFailed) {
				t.Errorf("KeepIdentity: %v", err)
			}
		})
	}
}

// Our SCRAM and franz-go's log in to the same broker with the same password, and
// ours derives its keys once, however many connections there are.
func TestIdentityScram(t *testing.T) {
	p, c := walled(t)
	const odd = "weir-=,a"
	as := NewIdentity(odd, "pass, =with signs")
	if err := p.putUser(within20s(t), as); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			conn, err := p.Dial(within20s(t), 1, as)
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
		})
	}
	wg.Wait()
	keys := as.mech.derived.Load()
	conn, err := p.Dial(within20s(t), 1, as)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if keys == nil || as.mech.derived.Load() != keys {
		t.Error("the keys were derived again")
	}
	theirs, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.SASL(scram.Auth{User: odd, Pass: "pass, =with signs"}.AsSha512Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if err := theirs.Ping(within20s(t)); err != nil {
		t.Error(err)
	}
}

// A broker that lies in SCRAM is not believed.
func TestIdentityScramLies(t *testing.T) {
	for name, first := range map[string]string{
		"no reply":            "",
		"another nonce":       "r=other,s=c2FsdA==,i=4096",
		"our nonce unchanged": "r=%s,s=c2FsdA==,i=4096",
		"few iterations":      "r=%sx,s=c2FsdA==,i=1",
		"many iterations":     "r=%sx,s=c2FsdA==,i=2000000000",
		"no salt":             "r=%sx,s=,i=4096",
		"salt not base64":     "r=%sx,s=!,i=4096",
		"iterations no digit": "r=%sx,s=c2FsdA==,i=x",
		"an error":            "e=other-error",
	} {
		t.Run(name, func(t *testing.T) {
			session, out, err := newScramSHA512("u", "pass").Authenticate(context.Background(), "")
			if err != nil {
				t.Fatal(err)
			}
			nonce := strings.TrimPrefix(string(out), "n,,n=u,r=")
			if _, _, err := session.Challenge([]byte(strings.ReplaceAll(first, "%s", nonce))); err == nil {
				t.Error("believed")
			}
		})
	}
	for name, final := range map[string]string{"empty": "", "wrong": "v=AAAA", "error": "e=invalid-proof", "no base64": "v=!"} {
		t.Run("final "+name, func(t *testing.T) {
			session, out, _ := newScramSHA512("u", "pass").Authenticate(context.Background(), "")
			nonce := strings.TrimPrefix(string(out), "n,,n=u,r=")
			if _, _, err := session.Challenge([]byte("r=" + nonce + "x,s=c2FsdA==,i=4096")); err != nil {
				t.Fatal(err)
			}
			if done, _, err := session.Challenge([]byte(final)); done || err == nil {
				t.Error("believed")
			}
		})
	}
}

// Brokers that have not heard of an identity yet are waited for.
func TestKeepIdentityWaitsForBrokers(t *testing.T) {
	p, c := walled(t)
	var asked, deaf int
	c.ControlKey(int16(kmsg.DescribeACLs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if asked++; asked == 1 || deaf == 5 { // the first asks what there is to do
			return nil, nil, false
		}
		deaf++
		return req.ResponseKind(), nil, true
	})
	if _, err := p.KeepIdentity(within20s(t), NewIdentity("weir-a", "pass"), prefixed("a")); err != nil {
		t.Fatal(err)
	}
	c.Close() // orders what the cluster's goroutine wrote before what is read here
	if deaf != 5 {
		t.Errorf("it returned after %d answers of brokers that know nothing, want 5", deaf)
	}
}
