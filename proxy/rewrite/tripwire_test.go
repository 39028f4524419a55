package rewrite

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// poolValues are what a field must never show, by what it could show.
func poolValues(as snare) []any {
	switch as {
	case snareName:
		return []any{"other.orders", "acme.orders", "acme."}
	case snareRegex:
		return []any{`acme\.(?:orders.*)`, `other\.(?:orders.*)`}
	case snareText:
		return []any{"broker0.pool.internal is away", "Topic 'other.orders' collides with it"}
	case snareHost:
		return []any{
			"broker0.pool.internal",
			"b2-acme.weir.test", // another node's
			"b0-acme.weir.test", // with a port that is not the gateway's
		}
	case snareClient:
		return []any{"/10.0.0.7"}
	case snareCluster:
		return []any{"the-pools-own-cluster"}
	case snareSubscription:
		return []any{subscriptionBlob(3, "orders", "other.orders"), subscriptionBlob(0, "acme.orders")}
	case snareAssignment:
		return []any{assignmentBlob(0, "orders", "other.orders"), assignmentBlob(0, "acme.orders")}
	}
	return nil
}

// A rewrite that lets a field pass as the broker sent it costs the connection:
// each field that could show something, of each row at each version.
func TestTripwireWithoutARewrite(t *testing.T) {
	for _, api := range Table() {
		key := int16(api.Key)
		for _, f := range fieldsOf(key, "resp") {
			as := snareOf(f.meaning)
			if as == 0 {
				continue
			}
			tripped := 0
			for v := range kmsg.ResponseForKey(key).MaxVersion() + 1 { // those that are not served too
				for _, value := range poolValues(as) {
					tripped += tripsOn(t, key, v, f.path, as, value)
				}
			}
			if tripped == 0 {
				t.Errorf("%s: %s never trips: at which version is it written?", api.Key.Name(), f.path)
			}
		}
	}
}

// tripsOn checks a response of which nothing but one field is set. It returns 0
// if that version does not write the field.
func tripsOn(t *testing.T, key, version int16, path string, as snare, value any) int {
	t.Helper()
	req, resp := kmsg.RequestForKey(key), kmsg.ResponseForKey(key)
	resp.SetVersion(version)
	setPath(reflect.ValueOf(resp).Elem(), strings.Split(path, "."), value)
	sayConsumer(req, resp)
	body := resp.AppendTo(nil)
	got := kmsg.ResponseForKey(key)
	got.SetVersion(version)
	if err := got.ReadFrom(body); err != nil {
		t.Fatalf("%s v%d %s: %v", kmsg.NameForKey(key), version, path, err)
	}
	if !holds(got, path, value) {
		return 0
	}
	x := &Exchange{Session: newSession(newFakePool()), Ctx: t.Context(), Key: key, Version: version}
	req.SetVersion(version)
	var wire tripwire
	err := wire.watch(x, req).check(got, body)
	l, ok := errors.AsType[*Leak](err)
	switch {
	case !ok:
		t.Errorf("%s v%d: %s = %q leaves (%v)", kmsg.NameForKey(key), version, path, value, err)
	case l.Field != path || l.Key != key || l.Version != version || l.Kind != as.String() || l.Digest == "":
		t.Errorf("%s v%d: %s = %q: alarm says %+v", kmsg.NameForKey(key), version, path, value, l)
	case strings.Contains(err.Error(), "orders") || strings.Contains(err.Error(), "internal"):
		t.Errorf("%s v%d: the alarm holds the value: %v", kmsg.NameForKey(key), version, err)
	}
	return 1
}

// sayConsumer makes blobs those of the consumer protocol.
func sayConsumer(req kmsg.Request, resp kmsg.Response) {
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		req.ProtocolType = consumerProtocol
	case *kmsg.SyncGroupRequest:
		req.ProtocolType = new(consumerProtocol)
	}
	if resp, ok := resp.(*kmsg.DescribeGroupsResponse); ok && len(resp.Groups) > 0 {
		resp.Groups[0].ProtocolType = consumerProtocol
	}
}

// setPath sets the field that steps lead to; arrays on the way get one element.
func setPath(v reflect.Value, steps []string, value any) {
	f := v.FieldByName(strings.TrimRight(steps[0], "[]"))
	for f.Kind() == reflect.Slice && f.Type().Elem().Kind() != reflect.Uint8 || f.Kind() == reflect.Pointer {
		if f.Kind() == reflect.Slice {
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			f = f.Index(0)
		} else {
			f.Set(reflect.New(f.Type().Elem()))
			f = f.Elem()
		}
	}
	if len(steps) > 1 {
		setPath(f, steps[1:], value)
		return
	}
	f.Set(reflect.ValueOf(value))
}

// holds reports whether the field of that path is value.
func holds(m Message, path string, value any) bool {
	h := holding{path: path, text: fmt.Sprint(value)}
	_ = walk(reflect.ValueOf(m).Elem(), probesOf(m, "resp"), &h)
	return h.found
}

type holding struct {
	path, text string
	found      bool
}

func (h *holding) protocol(string) {}

func (h *holding) value(p *probe, _, f reflect.Value) error {
	h.found = h.found || p.path == h.path && fmt.Sprint(f.Interface()) == h.text
	return nil
}

// A tenant may call its things as if they were another's, and be told so.
func TestTripwireLetsPass(t *testing.T) {
	const theirs = "other.orders"
	text := "Topic 'acme.other.orders' collides with acme.other_orders"
	metadata, created := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrCreateTopicsRequest()
	invalid := "other.orders!"
	metadata.Topics = []kmsg.MetadataRequestTopic{{Topic: new(theirs)}, {Topic: &invalid}}
	created.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: theirs, NumPartitions: 1, ReplicationFactor: 1}}
	joined, synced := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrSyncGroupRequest()
	joined.Group, joined.ProtocolType = "g", consumerProtocol
	synced.Group, synced.ProtocolType = "g", new("opaque")
	describe := kmsg.NewPtrConsumerGroupDescribeRequest()
	describe.Groups = []string{"other.group"}
	list := kmsg.NewPtrListGroupsRequest()

	for _, c := range []struct {
		name string
		req  kmsg.Request
		raw  kmsg.Response
		says string
	}{
		{"a name, and one refused", metadata, &kmsg.MetadataResponse{Topics: []kmsg.MetadataResponseTopic{{Topic: new("acme." + theirs)}}}, theirs + "!"},
		{"a text", created, &kmsg.CreateTopicsResponse{Topics: []kmsg.CreateTopicsResponseTopic{{Topic: "acme." + theirs, ErrorCode: 17, ErrorMessage: &text}}}, "Topic 'other.orders' collides with other_orders"},
		{"a group that nobody asked for", list, &kmsg.ListGroupsResponse{Groups: []kmsg.ListGroupsResponseGroup{{Group: "acme.other.group"}, {Group: "acme.acme.group"}}}, "acme.group"},
		{"a subscription", joined, &kmsg.JoinGroupResponse{Members: []kmsg.JoinGroupResponseMember{{ProtocolMetadata: subscriptionBlob(3, "acme."+theirs)}}}, theirs},
		{"an opaque blob", synced, &kmsg.SyncGroupResponse{MemberAssignment: assignmentBlob(0, theirs)}, theirs},
		{"a pattern and its group", describe, &kmsg.ConsumerGroupDescribeResponse{Groups: []kmsg.ConsumerGroupDescribeResponseGroup{{
			Group: "acme.other.group", Members: []kmsg.ConsumerGroupDescribeResponseGroupMember{{
				SubscribedTopics: []string{"acme." + theirs}, SubscribedTopicRegex: new(`acme\.(?:other\..*)`), ClientHost: "/10.1.2.3",
			}},
		}}}, `other\..*`},
	} {
		t.Run(c.name, func(t *testing.T) {
			api, _ := Lookup(c.req.Key(), 0)
			c.req.SetVersion(api.Max)
			c.raw.SetVersion(api.Max)
			x := &Exchange{Session: newSession(newFakePool("acme."+theirs, "acme.other.group")), Ctx: t.Context(), Key: c.req.Key(), Version: api.Max}
			x.Foreign = regexp.MustCompile(`pool\.internal|(^|[^a-z.])other\.`).MatchString // as proxy's: a name's beginning counts
			plan, err := api.Plan(x, c.req.AppendTo(nil))
			if err != nil || plan.Unmap == nil {
				t.Fatalf("not forwarded: %v", err)
			}
			pieces, err := plan.Unmap(c.raw.AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(join(pieces)), c.says) {
				t.Errorf("answer %q does not say %q", join(pieces), c.says)
			}
		})
	}
}

// An alias stands for a name under no prefix: that is the pool's too.
func TestTripwireKnowsAliases(t *testing.T) {
	x := &Exchange{Session: newSession(newFakePool()), Ctx: t.Context(), Key: int16(kmsg.ListGroups), Version: 5}
	x.Space = tenancy.NewNamespace("acme", tenancy.Alias{Kind: tenancy.KindGroup, Virtual: "new", Physical: "legacy"})
	for name, trips := range map[string]bool{"new": false, "legacy": true, "acme.x": true, "x": false} {
		resp := &kmsg.ListGroupsResponse{Version: 5, Groups: []kmsg.ListGroupsResponseGroup{{Group: name}}}
		raw := &kmsg.ListGroupsResponse{Version: 5, Groups: []kmsg.ListGroupsResponseGroup{{Group: "legacy"}, {Group: "acme.x"}}}
		var wire tripwire
		if err := wire.watch(x, kmsg.NewPtrListGroupsRequest()).check(resp, raw.AppendTo(nil)); (err != nil) != trips {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The wire is in the way of every typed rewrite, of answers of the gateway's own too.
func TestTripwireIsInTheWay(t *testing.T) {
	raw := &kmsg.MetadataResponse{Version: 12, Topics: []kmsg.MetadataResponseTopic{{Topic: new("other.orders")}}}
	addresses := &kmsg.MetadataResponse{Brokers: []kmsg.MetadataResponseBroker{{Host: "broker0.pool.internal", Port: 9092}}}
	for name, careless := range map[string]func(*Exchange, *kmsg.MetadataRequest) (outcome[*kmsg.MetadataResponse], error){
		"unmap does nothing": func(*Exchange, *kmsg.MetadataRequest) (outcome[*kmsg.MetadataResponse], error) {
			return forward(func(*kmsg.MetadataResponse) error { return nil }), nil
		},
		"no unmap": func(*Exchange, *kmsg.MetadataRequest) (outcome[*kmsg.MetadataResponse], error) {
			return forward[*kmsg.MetadataResponse](nil), nil
		},
		"local": func(*Exchange, *kmsg.MetadataRequest) (outcome[*kmsg.MetadataResponse], error) {
			return answer(addresses), nil
		},
	} {
		x := &Exchange{Session: newSession(newFakePool()), Ctx: t.Context(), Key: int16(kmsg.Metadata), Version: 12}
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(12)
		plan, err := typed(careless)(x, req.AppendTo(nil))
		if err == nil {
			_, err = plan.Unmap(raw.AppendTo(nil))
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ReasonTripwire {
			t.Errorf("%s: %v", name, err)
		}
	}
}
