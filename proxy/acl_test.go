package proxy

import (
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// aclOf lets user u of an instance do op with a topic, or denies it.
func aclOf(topic string, op kmsg.ACLOperation, permission kmsg.ACLPermissionType) tenancy.ACL {
	return tenancy.ACL{
		Resource: kmsg.ACLResourceTypeTopic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Name: topic,
		Principal: "User:u", Host: "*", Operation: op, Permission: permission,
	}
}

// produceCode sends an empty batch to partition 0 of a topic, and returns what it is answered.
func produceCode(t *testing.T, c net.Conn, topic string) int16 {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = []byte{}
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
	resp, err := send(c, req, 9)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
}

// A live connection loses and gains a right with the change that takes it away
// or gives it; its neighbour in another instance notices nothing.
func TestACLsOfALiveConnection(t *testing.T) {
	r := newRig(t)
	a, b := r.dial(0, ""), r.dial(0, "")
	for c, user := range map[net.Conn]string{a: "u@i-a", b: "u@i-b"} {
		if err := login(c, user); err != nil {
			t.Fatal(err)
		}
	}
	denied := kerr.TopicAuthorizationFailed.Code
	write, describe := kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe
	allow, deny := kmsg.ACLPermissionTypeAllow, kmsg.ACLPermissionTypeDeny
	for _, step := range []struct {
		what        string
		add, remove []tenancy.ACL
		denied      bool
	}{
		{"no ACLs", nil, nil, false},
		{"only DESCRIBE", []tenancy.ACL{aclOf("t", describe, allow)}, nil, true},
		{"WRITE too", []tenancy.ACL{aclOf("t", write, allow)}, nil, false},
		{"WRITE is denied", []tenancy.ACL{aclOf("t", write, deny)}, nil, true},
		{"another topic's", nil, []tenancy.ACL{aclOf("t", write, deny), aclOf("t", write, allow), aclOf("t", describe, allow)}, false},
	} {
		if step.add != nil || step.remove != nil {
			begin := time.Now()
			rev, err := r.store.ChangeACLs(t.Context(), "i-a", step.add, step.remove)
			if err != nil {
				t.Fatal(err)
			}
			changed := time.Now()
			if (produceCode(t, a, "t") == denied) != step.denied { // not yet in force, as it may be
				r.inForce(rev)
			}
			if got := produceCode(t, a, "t"); (got == denied) != step.denied {
				t.Errorf("%s, at once: code %d", step.what, got)
			}
			t.Logf("%s: written in %s, obeyed %s later", step.what, changed.Sub(begin), time.Since(changed))
		}
		if got := produceCode(t, a, "t"); (got == denied) != step.denied {
			t.Errorf("%s: code %d", step.what, got)
		}
		if got := produceCode(t, b, "t"); got == denied {
			t.Errorf("%s: the other instance's connection is denied", step.what)
		}
	}
}

// Over the wire: a client changes the ACLs, and they hold when it has its answer,
// for itself as well. A plan may deny what no ACL names.
func TestACLsOverTheWire(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Auth = auth.New(auth.Config{Directory: c.Directory, Pepper: []byte("pepper"), Defaults: func(plan string) auth.Defaults { return auth.Defaults{DenyACLs: plan == "dev"} }})
	})
	c := r.dial(0, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	create := kmsg.NewPtrCreateACLsRequest()
	create.Creations = []kmsg.CreateACLsRequestCreation{{
		ResourceType: 2, ResourceName: "t", ResourcePatternType: 3, Principal: "User:u", Host: "127.0.0.1",
		Operation: kmsg.ACLOperationWrite, PermissionType: kmsg.ACLPermissionTypeAllow,
	}}
	code := func() int16 {
		t.Helper()
		resp, err := send(c, create, 3)
		if err != nil {
			t.Fatal(err)
		}
		return resp.(*kmsg.CreateACLsResponse).Results[0].ErrorCode
	}
	if got := code(); got != kerr.ClusterAuthorizationFailed.Code {
		t.Errorf("creating ACLs without any right: code %d", got)
	}
	// The operator comes to help.
	repair := aclOf(tenancy.ClusterName, kmsg.ACLOperationAlter, kmsg.ACLPermissionTypeAllow)
	repair.Resource = kmsg.ACLResourceTypeCluster
	rev, err := r.store.ChangeACLs(t.Context(), "i-a", []tenancy.ACL{repair}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.inForce(rev)
	denied := kerr.TopicAuthorizationFailed.Code
	if got := produceCode(t, c, "t"); got != denied {
		t.Errorf("producing before: code %d", got)
	}
	if got := code(); got != 0 {
		t.Fatalf("creating ACLs: code %d", got)
	}
	if got := produceCode(t, c, "t"); got == denied {
		t.Error("producing is denied after CreateAcls has answered")
	}
}
