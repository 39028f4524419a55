package rewrite

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// probing is a request by which a client tries to learn whether there is an
// instance "other", and what the broker says to it.
type probing struct {
	req     kmsg.Request
	raw     kmsg.Response
	topics  []string // of the pool
	aliases []tenancy.Alias
	deny    []guardRule
}

// answered is what the client gets in a world of those instances besides acme.
func (p probing) answered(t *testing.T, instances ...string) ([]byte, error) {
	t.Helper()
	api, _ := Lookup(p.req.Key(), 0)
	p.req.SetVersion(api.Max)
	p.raw.SetVersion(api.Max)
	s := newSession(newFakePool(p.topics...))
	s.Space = tenancy.NewNamespace("acme", p.aliases...)
	s.Guard = &fakeGuard{rules: p.deny}
	s.Registered = func(id string) bool { return id == "acme" || slices.Contains(instances, id) }
	s.Foreign = func(text string) bool { // as proxy's
		words := strings.FieldsFunc(text, func(r rune) bool { return r > 127 || !nameByte(byte(r)) })
		return strings.Contains(text, "User:") || strings.Contains(text, "broker0") || slices.ContainsFunc(words, func(w string) bool {
			first, _, dotted := strings.Cut(w, ".")
			return dotted && slices.Contains(instances, first)
		})
	}
	x := &Exchange{Session: s, Ctx: t.Context(), Key: p.req.Key(), Version: api.Max}
	plan, err := api.Plan(x, p.req.AppendTo(nil))
	if err != nil || plan.Unmap == nil {
		t.Fatalf("not forwarded: %v", err)
	}
	pieces, err := plan.Unmap(p.raw.AppendTo(nil))
	return join(pieces), err
}

// What a client calls its own things, and what it says in a request, comes back
// the same whether an instance of such a name exists or not, and costs nobody the
// connection.
func TestAnswersDoNotTellWhichInstancesThereAre(t *testing.T) {
	for name, p := range probings() {
		t.Run(name, func(t *testing.T) {
			without, err := p().answered(t)
			if err != nil {
				t.Fatalf("without the instance: %v", err)
			}
			with, err := p().answered(t, "other")
			if err != nil {
				t.Fatalf("with it: %v", err)
			}
			if !bytes.Equal(with, without) {
				t.Errorf("with it:    %q\nwithout it: %q", with, without)
			}
		})
	}
}

func probings() map[string]func() probing {
	return map[string]func() probing{
		"a page that ends before it, because of an alias": func() probing {
			return probing{
				req:    kmsg.NewPtrDescribeTopicPartitionsRequest(),
				raw:    &kmsg.DescribeTopicPartitionsResponse{Topics: []kmsg.DescribeTopicPartitionsResponseTopic{{Topic: new("legacy"), TopicID: idOf("legacy")}}},
				topics: []string{"acme.other.x", "legacy"}, aliases: []tenancy.Alias{{Kind: tenancy.KindTopic, Virtual: "bills", Physical: "legacy"}},
			}
		},
		"the name of an id that may not be deleted": func() probing {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: idOf("acme.other.x")}, {TopicID: idOf("acme.y")}}
			return probing{
				req: req, raw: &kmsg.DeleteTopicsResponse{Topics: []kmsg.DeleteTopicsResponseTopic{{Topic: new("acme.y"), TopicID: idOf("acme.y")}}},
				topics: []string{"acme.other.x", "acme.y"},
				deny:   []guardRule{{kind: kmsg.ACLResourceTypeTopic, name: "other.x", op: opDelete}},
			}
		},
		"a config's name, repeated by the gateway": func() probing {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.Topics = []kmsg.CreateTopicsRequestTopic{
				{Topic: "good", NumPartitions: 1, ReplicationFactor: 1},
				{Topic: "bad", NumPartitions: 1, ReplicationFactor: 1, Configs: []kmsg.CreateTopicsRequestTopicConfig{{Name: "other.x\n"}}},
			}
			return probing{req: req, raw: &kmsg.CreateTopicsResponse{Topics: []kmsg.CreateTopicsResponseTopic{{Topic: "acme.good"}}}}
		},
		"a config's value, repeated by the broker": func() probing { return altering("other.x") },
		"a group that is not there": func() probing {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Groups = []string{"x other.y"}
			raw := &kmsg.DescribeGroupsResponse{Groups: []kmsg.DescribeGroupsResponseGroup{{
				Group: "acme.x other.y", ErrorCode: 69, ErrorMessage: new("Group acme.x other.y not found."),
			}}}
			return probing{req: req, raw: raw}
		},
	}
}

// altering sets a config to a value that the broker does not take.
func altering(value string) probing {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t",
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}},
	}}
	raw := &kmsg.IncrementalAlterConfigsResponse{Resources: []kmsg.IncrementalAlterConfigsResponseResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "acme.t", ErrorCode: 40,
		ErrorMessage: new("Invalid value " + value + " for configuration retention.ms: Not a number of type LONG"),
	}}}
	return probing{req: req, raw: raw}
}

// A broker's host is not found out by trying names for it.
func TestTextsDoNotTellHosts(t *testing.T) {
	for _, host := range []string{"broker0", "broker0.pool.internal"} {
		said, err := altering(host).answered(t)
		if want := "Invalid value " + host + " for"; err != nil || !strings.Contains(string(said), want) {
			t.Errorf("%q does not say %q: %v", said, want, err)
		}
	}
}
