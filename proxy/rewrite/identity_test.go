package rewrite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// coordinated is the keys of the group and transaction APIs.
func coordinated() []kmsg.Key {
	return []kmsg.Key{
		kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.FindCoordinator, kmsg.JoinGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.SyncGroup,
		kmsg.DescribeGroups, kmsg.ListGroups, kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.EndTxn,
		kmsg.TxnOffsetCommit, kmsg.DeleteGroups, kmsg.OffsetDelete, kmsg.DescribeProducers, kmsg.DescribeTransactions,
		kmsg.ListTransactions, kmsg.ConsumerGroupHeartbeat, kmsg.ConsumerGroupDescribe,
		kmsg.StreamsGroupHeartbeat, kmsg.StreamsGroupDescribe, kmsg.StreamsGroupTopologyDescriptionUpdate,
		kmsg.ShareGroupHeartbeat, kmsg.ShareGroupDescribe, kmsg.ShareAcknowledge,
		kmsg.DescribeShareGroupOffsets, kmsg.AlterShareGroupOffsets, kmsg.DeleteShareGroupOffsets,
	}
}

// holdsName reports the kmsg fields of these APIs that hold the name of a topic, group
// or transaction.
func holdsName(m Message, field string, v reflect.Value) bool {
	if reflect.Indirect(v).Kind() != reflect.String {
		return false // a number of the same name
	}
	if field == "Key" && keyOf(m) != kmsg.FindCoordinator {
		return false // of a config, or a client's tag
	}
	return slices.Contains([]string{
		"Group", "Groups", "Topic", "TransactionalID", "TransactionalIDs", "CoordinatorKey", "CoordinatorKeys", "Key",
		"SubscribedTopicNames", "SubscribedTopics", "GroupID", "GroupIDs", "SourceTopics", "RepartitionSinkTopics", "SinkTopic",
	}, field)
}

func keyOf(m Message) kmsg.Key {
	keyed, _ := m.(interface{ Key() int16 })
	return kmsg.Key(keyed.Key())
}

// replaced are the fields that scenarios are for: what becomes of them is more
// than a prefix.
func replaced(m Message, field string) bool {
	if keyOf(m) == kmsg.StreamsGroupHeartbeat || keyOf(m) == kmsg.StreamsGroupDescribe {
		// Hosts and ports are the application's own.
		return slices.Contains([]string{"ClientHost", "AuthorizedOperations", "ErrorMessage", "StatusDetail"}, field)
	}
	return slices.Contains([]string{
		"Host", "Port", "NodeID", "ClientHost", "AuthorizedOperations", "ErrorMessage", "TransactionalIDPattern", "SubscribedTopicRegex",
	}, field)
}

// TestIdentity fills every request and response of every version with random
// values, unknown tags too: names get the prefix and lose it, all else stays as
// it is to the last byte.
func TestIdentity(t *testing.T) {
	for _, key := range coordinated() {
		api, _ := Lookup(int16(key), 0)
		if !api.Mapped() {
			t.Errorf("%s is not in the table", key.Name())
		}
		for v := api.Min; v <= api.Max; v++ {
			t.Run(fmt.Sprintf("%s/v%d", key.Name(), v), func(t *testing.T) {
				for seed := range uint64(30) {
					checkIdentity(t, api, v, seed)
				}
			})
		}
	}
}

func checkIdentity(t *testing.T, api API, version int16, seed uint64) {
	pool := newFakePool()
	described := kmsg.NewPtrDescribeGroupsResponse()
	described.Groups = []kmsg.DescribeGroupsResponseGroup{{ProtocolType: "opaque"}}
	pool.answers[int16(kmsg.DescribeGroups)] = described
	g := filler{rand.New(rand.NewPCG(seed, uint64(version))), pool}

	s := scenario{key: int16(api.Key)}
	req := s.blank("request", version)
	g.fill(reflect.ValueOf(req).Elem(), "")
	if hb, ok := req.(*kmsg.StreamsGroupHeartbeatRequest); ok && hb.Topology != nil {
		tidyTopology(hb.Topology)
	}
	req.SetVersion(version)
	body := req.AppendTo(nil)

	x := &Exchange{Session: newSession(pool), Ctx: t.Context(), Key: int16(api.Key), Version: version}
	plan, err := api.Plan(x, body)
	if err != nil || plan.Answer != nil {
		t.Fatalf("seed %d: not forwarded (%v): %s", seed, err, show(t, req))
	}
	compareIdentity(t, s.decode(t, "forwarded", version, body), s.decode(t, "forwarded", version, join(plan.Request)), version, seed)

	resp := s.blank("response", version)
	g.fill(reflect.ValueOf(resp).Elem(), "")
	resp.SetVersion(version)
	want := s.decode(t, "response", version, resp.AppendTo(nil))
	prefixNames(resp)
	body = resp.AppendTo(nil)
	if plan.Unmap == nil {
		t.Fatal("no unmap")
	}
	pieces, err := plan.Unmap(body)
	if err != nil {
		t.Fatalf("seed %d: unmap: %v", seed, err)
	}
	got := s.decode(t, "response", version, join(pieces))
	prefixNames(got)
	compareIdentity(t, want, got, version, seed)
}

// compareIdentity puts the prefix on want's names and compares, but for replaced fields.
func compareIdentity(t *testing.T, want, got Message, version int16, seed uint64) {
	t.Helper()
	prefixNames(want)
	for _, m := range []Message{want, got} {
		eachLeaf(reflect.ValueOf(m).Elem(), "", func(field string, v reflect.Value) {
			if replaced(m, field) {
				v.SetZero()
			}
		})
		m.SetVersion(version)
	}
	if !bytes.Equal(want.AppendTo(nil), got.AppendTo(nil)) {
		t.Fatalf("seed %d: %T (-want +got):\n%s", seed, want, cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(kmsg.Tags{})))
	}
}

// prefixNames puts "acme." before every name in m.
func prefixNames(m Message) {
	eachLeaf(reflect.ValueOf(m).Elem(), "", func(field string, v reflect.Value) {
		if !holdsName(m, field, v) {
			return
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		v.SetString("acme." + v.String())
	})
}

// eachLeaf calls fn for every leaf of v (strings, numbers, pointers to strings that
// are not nil) with the name of the field that holds it.
func eachLeaf(v reflect.Value, field string, fn func(field string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				eachLeaf(v.Field(i), f.Name, fn)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachLeaf(v.Index(i), field, fn)
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if v.Elem().Kind() != reflect.String {
			eachLeaf(v.Elem(), field, fn)
			return
		}
		fn(field, v)
	default:
		fn(field, v)
	}
}

// filler makes random messages of an instance all of whose topic ids pool knows.
type filler struct {
	*rand.Rand
	pool *fakePool
}

func (g filler) fill(v reflect.Value, field string) {
	switch v.Kind() {
	case reflect.Struct:
		if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			tags.Set(1000+g.Uint32N(9), []byte("tag"))
			return
		}
		for i := range v.NumField() {
			g.fill(v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), g.IntN(4), 4))
		for i := range v.Len() {
			g.fill(v.Index(i), field)
		}
	case reflect.Pointer:
		if v.SetZero(); field == "GroupID" || field != "SubscribedTopicRegex" && g.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			g.fill(v.Elem(), field)
		}
	case reflect.Array:
		id := idOf("acme." + g.text())
		g.pool.topics[id] = "acme.x"
		v.Set(reflect.ValueOf(id))
	case reflect.String:
		v.SetString(g.text())
	case reflect.Bool:
		v.SetBool(g.IntN(2) == 0)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(g.Uint64N(256))
	default:
		v.SetInt(int64(g.Uint64()))
		switch field {
		case "CoordinatorType":
			v.SetInt(int64(g.IntN(2)))
		case "ShareSessionEpoch":
			v.SetInt(0) // any other is that of a session, of which there is none
		}
	}
}

// text is lengths about 127 now and then: there a compact length gets a second byte.
func (g filler) text() string {
	n := 1 + g.IntN(4)
	if g.IntN(8) == 0 {
		n = 119 + g.IntN(10)
	}
	return strings.Repeat("a", n-1) + string(rune('a'+g.IntN(26)))
}
