package upstream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// joiner puts members into groups that never leave by themselves within a test.
type joiner struct {
	t  *testing.T
	c  *kfake.Cluster
	cl *kgo.Client
}

// virtualPool is a pool on embedded brokers, and somebody to join groups there;
// in a bubble, because Purge takes its time to believe that all is gone.
func virtualPool(t *testing.T, brokers int) (*kfake.Cluster, *Pool, joiner) {
	t.Helper()
	n := newNetwork()
	c := virtualKafka(t, n, brokers)
	p := runPool(t, Config{Bootstrap: c.ListenAddrs(), Dial: n.DialContext})
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.Dialer(n.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return c, p, joiner{t, c, cl}
}

func (j joiner) classic(group string, instance *string) {
	j.t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType, req.InstanceID = group, "consumer", instance
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 300_000, 300_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	resp, err := req.RequestWith(within20s(j.t), j.cl)
	if err == nil && resp.ErrorCode == kerr.MemberIDRequired.Code {
		req.MemberID = resp.MemberID
		resp, err = req.RequestWith(within20s(j.t), j.cl)
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		j.t.Fatalf("join %s: %v", group, err)
	}
}

func (j joiner) consumer(group, topic string, instance *string) {
	j.t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.InstanceID = group, "member-"+group, instance
	req.RebalanceTimeoutMillis, req.SubscribedTopicNames = 300_000, []string{topic}
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	resp, err := req.RequestWith(within20s(j.t), j.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		j.t.Fatalf("heartbeat %s: %v", group, err)
	}
}

func (j joiner) share(group, topic string) {
	j.t.Helper()
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.SubscribedTopicNames = group, "AAAAAAAAAAAAAAAAAAAAAQ", []string{topic}
	resp, err := req.RequestWith(within20s(j.t), j.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		j.t.Fatalf("share heartbeat %s: %v", group, err)
	}
}

// offset makes an empty group that has only an offset.
func (j joiner) offset(group, topic string) {
	j.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	ct := kmsg.NewOffsetCommitRequestTopic()
	ct.Topic, ct.TopicID = topic, j.c.TopicInfo(topic).TopicID
	ct.Partitions = []kmsg.OffsetCommitRequestTopicPartition{kmsg.NewOffsetCommitRequestTopicPartition()}
	req.Topics = append(req.Topics, ct)
	resp, err := req.RequestWith(within20s(j.t), j.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		j.t.Fatalf("commit %s: %v", group, err)
	}
}

func (j joiner) groups() []string {
	j.t.Helper()
	var names []string
	for _, shard := range j.cl.RequestSharded(within20s(j.t), kmsg.NewPtrListGroupsRequest()) {
		if shard.Err != nil {
			j.t.Fatal(shard.Err)
		}
		for _, g := range shard.Resp.(*kmsg.ListGroupsResponse).Groups {
			names = append(names, g.Group)
		}
	}
	slices.Sort(names)
	return names
}

func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, j := virtualPool(t, 3)
		mine := []string{"a.t1", "a.t2"}
		for i := range 2 * purgeBatch {
			mine = append(mine, "a.many"+strings.Repeat("x", i))
		}
		createTopic(t, c, mine...)
		createTopic(t, c, "a-b.t", "ab.t", "a", "b.t")
		static := "host-1"
		for _, space := range []string{"a.", "a-b.", "ab."} {
			for _, g := range []string{"classic1", "classic2", "classic3"} { // one for each broker, more or less
				j.classic(space+g, nil)
			}
			j.classic(space+"static", &static)
			topic := strings.Replace(space+"t1", "b.t1", "b.t", 1)
			j.consumer(space+"848", topic, nil)
			j.consumer(space+"848static", topic, &static)
			j.share(space+"share", topic)
			j.offset(space+"offsets", topic)
		}
		if got := len(j.groups()); got != 24 {
			t.Fatalf("made %d groups, want 24", got)
		}

		if err := p.Purge(within20s(t), "a."); err != nil {
			t.Fatal(err)
		}
		if got, err := p.ListTopics(t.Context(), ""); err != nil || !slices.Equal(got, []string{"a", "a-b.t", "ab.t", "b.t"}) {
			t.Errorf("topics that are left: %v, %v", got, err)
		}
		var want []string
		for _, space := range []string{"a-b.", "ab."} {
			for _, g := range []string{"848", "848static", "classic1", "classic2", "classic3", "offsets", "share", "static"} {
				want = append(want, space+g)
			}
		}
		if diff := cmp.Diff(want, j.groups()); diff != "" {
			t.Errorf("groups that are left (-want +got):\n%s", diff)
		}
		if err := p.Purge(within20s(t), "a."); err != nil {
			t.Errorf("a second time: %v", err)
		}
	})
}

func TestPurgeRefusesWhatIsNoNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, _ := virtualPool(t, 1)
		createTopic(t, c, "a.t")
		for _, prefix := range []string{"", ".", "a"} {
			if err := p.Purge(within20s(t), prefix); err == nil {
				t.Errorf("Purge(%q) did not refuse", prefix)
			}
		}
		if c.TopicInfo("a.t") == nil {
			t.Error("the topic is gone")
		}
	})
}

// A group that refuses to be empty and a topic that needs a second attempt.
func TestPurgeTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, j := virtualPool(t, 1)
		createTopic(t, c, "a.t")
		j.classic("a.g", nil)
		c.ControlKey(int16(kmsg.LeaveGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
			resp := req.ResponseKind().(*kmsg.LeaveGroupResponse) // lost once: the group stays full
			return resp, nil, true
		})
		c.ControlKey(int16(kmsg.DeleteTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
			resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
			for _, rt := range req.(*kmsg.DeleteTopicsRequest).Topics {
				resp.Topics = append(resp.Topics, kmsg.DeleteTopicsResponseTopic{Topic: rt.Topic, ErrorCode: kerr.NotController.Code})
			}
			return resp, nil, true
		})
		if err := p.Purge(within20s(t), "a."); err != nil {
			t.Fatal(err)
		}
		if groups := j.groups(); len(groups) > 0 || c.TopicInfo("a.t") != nil {
			t.Errorf("left: groups %v, topic %v", groups, c.TopicInfo("a.t"))
		}
	})
}

func TestPurgeStopsWhenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, _ := virtualPool(t, 1)
		createTopic(t, c, "a.t")
		c.ControlKey(int16(kmsg.DeleteTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
			resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
			name := "a.t"
			resp.Topics = append(resp.Topics, kmsg.DeleteTopicsResponseTopic{Topic: &name, ErrorCode: kerr.TopicAuthorizationFailed.Code})
			return resp, nil, true
		})
		if err := p.Purge(within20s(t), "a."); !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("Purge: %v, want TOPIC_AUTHORIZATION_FAILED", err)
		}
	})
}

func TestPurgeIsResumable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, j := virtualPool(t, 1)
		createTopic(t, c, "a.t")
		j.classic("a.g", nil)
		var heal atomic.Bool
		c.ControlKey(int16(kmsg.LeaveGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			return req.ResponseKind(), nil, !heal.Load()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := p.Purge(ctx, "a."); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, kerr.NonEmptyGroup) {
			t.Errorf("Purge: %v, want what it still waited for", err)
		}
		if c.TopicInfo("a.t") != nil {
			t.Error("a full group kept the topic")
		}
		heal.Store(true)
		if err := p.Purge(within20s(t), "a."); err != nil {
			t.Fatal(err)
		}
		if groups := j.groups(); len(groups) > 0 {
			t.Errorf("left: groups %v", groups)
		}
	})
}

// A broker whose metadata lags hides a topic at first.
func TestPurgeWaitsForMetadataToSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, _ := virtualPool(t, 1)
		createTopic(t, c, "a.late")
		var hidden atomic.Bool
		c.ControlKey(int16(kmsg.DescribeTopicPartitions), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			return req.ResponseKind(), nil, !hidden.Swap(true) // once
		})
		if err := p.Purge(within20s(t), "a."); err != nil {
			t.Fatal(err)
		}
		if !hidden.Load() || c.TopicInfo("a.late") != nil {
			t.Error("the topic is left")
		}
	})
}
