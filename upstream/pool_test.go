package upstream

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestNewPoolRefuses(t *testing.T) {
	good := Config{Name: "p1", Bootstrap: []string{"127.0.0.1:9092"}}
	tests := map[string]struct {
		change func(*Config)
		want   string
	}{
		"no name":         {func(c *Config) { c.Name = "" }, "name is empty"},
		"no bootstrap":    {func(c *Config) { c.Bootstrap = nil }, "no bootstrap"},
		"no port":         {func(c *Config) { c.Bootstrap = []string{"kafka"} }, `"kafka" is not host:port`},
		"unverified TLS":  {func(c *Config) { c.TLS = &tls.Config{InsecureSkipVerify: true} }, "must verify"},
		"negative time":   {func(c *Config) { c.DialTimeout = -1 }, "negative"},
		"negative time 2": {func(c *Config) { c.MetadataMaxAge = -1 }, "negative"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			if _, err := NewPool(cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewPool: %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestPoolLearnsBrokersVersionsAndFeatures(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(3), kfake.ClusterID("physical"))
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()[:1]})
	var addrs []string
	for _, b := range p.Brokers() {
		addrs = append(addrs, b.addr())
	}
	slices.Sort(addrs)
	if diff := cmp.Diff(slices.Sorted(slices.Values(c.ListenAddrs())), addrs); diff != "" {
		t.Errorf("brokers (-want +got):\n%s", diff)
	}
	if p.ClusterID() != "physical" || p.Controller() < 0 {
		t.Errorf("cluster %q controller %d", p.ClusterID(), p.Controller())
	}
	if v, ok := p.Versions(int16(kmsg.Metadata)); !ok || v.Max < 12 {
		t.Errorf("Metadata versions %v %v", v, ok)
	}
	if v, ok := p.Versions(int16(kmsg.DescribeQuorum)); ok {
		t.Errorf("a key that kfake lacks has versions %v", v)
	}
	features, epoch := p.Features()
	i := slices.IndexFunc(features, func(f Feature) bool { return f.Name == "transaction.version" })
	if i < 0 || features[i].Level < 1 || epoch < 0 {
		t.Errorf("features %v epoch %d, want transaction.version", features, epoch)
	}
	for _, h := range p.Health() {
		if !h.Up || h.Err != nil || h.Since.IsZero() {
			t.Errorf("health %+v", h)
		}
	}
}

func TestDial(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(3))
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	for _, b := range p.Brokers() {
		conn, err := p.Dial(t.Context(), b.Node, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if conn.Node != b.Node || conn.RemoteAddr().String() != b.addr() || !conn.Expires.IsZero() {
			t.Errorf("dialed %+v, want %+v", conn, b)
		}
		versionsOver(t, conn)
	}
	nodes := map[int32]int{}
	for range 6 {
		conn, err := p.Dial(t.Context(), AnyNode, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		nodes[conn.Node]++
	}
	if diff := cmp.Diff(map[int32]int{0: 2, 1: 2, 2: 2}, nodes); diff != "" {
		t.Errorf("spread of AnyNode (-want +got):\n%s", diff)
	}
}

func TestDialUnknownNode(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(1))
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	if _, err := p.Dial(t.Context(), 7, nil); !errors.Is(err, ErrNoBroker) {
		t.Errorf("Dial(7): %v, want ErrNoBroker", err)
	}
}

func TestBrokersComeAndGo(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(2))
	p := runPool(t, Config{Bootstrap: c.ListenAddrs(), MetadataMaxAge: time.Hour})
	if _, _, err := c.AddNode(7, 0); err != nil {
		t.Fatal(err)
	}
	conn, err := p.Dial(t.Context(), 7, nil) // found by the refresh that an unknown node asks for
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := c.RemoveNode(0); err != nil {
		t.Fatal(err)
	}
	eventually(t, p, "node 0 is gone", func() bool {
		return !slices.ContainsFunc(p.Brokers(), func(b Broker) bool { return b.Node == 0 })
	})
	if _, err := p.Dial(t.Context(), 0, nil); !errors.Is(err, ErrNoBroker) {
		t.Errorf("Dial of a removed node: %v", err)
	}
}

func TestRequest(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(3))
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "a.t", 1, 1
	create.Topics = append(create.Topics, topic)
	resp, err := p.Request(t.Context(), create)
	if err != nil {
		t.Fatal(err)
	}
	if code := resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode; code != 0 {
		t.Errorf("create a.t: code %d", code)
	}
}

func TestRequestNeverCreatesTopics(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(1), kfake.AllowAutoTopicCreation())
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	name := "a.missing"
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	if _, err := p.Request(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if c.TopicInfo(name) != nil {
		t.Error("a metadata request created a topic")
	}
	if !req.AllowAutoTopicCreation {
		t.Error("Request changed its argument")
	}
}

// What changes something reaches a broker once, even if the answer is lost;
// what only reads is asked again.
func TestRequestIsSentOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		req     kmsg.Request
		want    int64
		succeed bool
	}{
		"change": {kmsg.NewPtrDeleteTopicsRequest(), 1, false},
		"read":   {kmsg.NewPtrDescribeClusterRequest(), 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := kafka(t, kfake.NumBrokers(2))
			p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
			var sent atomic.Int64
			c.ControlKey(tt.req.Key(), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				if sent.Add(1) == 1 {
					return nil, errors.New("hang up"), true
				}
				return nil, nil, false
			})
			_, err := p.Request(within20s(t), tt.req)
			if got := sent.Load(); got != tt.want || (err == nil) != tt.succeed {
				t.Errorf("sent %d times: %v; want %d", got, err, tt.want)
			}
		})
	}
}
