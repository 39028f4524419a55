package e2e

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
)

// everywhere puts the victim's names, and then its ids, into every field of
// every request at every version that is served. Attacks of their own say which
// code each must give; here nothing of the victim may come back, whatever the
// answer is, and everything must still be there.
func everywhere(t *testing.T, s *siege) {
	said, closed, cells := 0, 0, 0
	for _, api := range rewrite.Table() {
		if !api.Mapped() {
			continue
		}
		for v := api.Min; v <= api.Max; v++ {
			cells++
			var c *raw
			for _, l := range s.loots() {
				for _, kind := range kinds(int16(api.Key)) {
					if c == nil {
						c = s.login(t, s.attacker, s.prize.leader)
					}
					req := kmsg.RequestForKey(int16(api.Key))
					req.SetVersion(v)
					l.kind, l.spare = kind, api.Key == kmsg.DeleteTopics
					l.fill(reflect.ValueOf(req).Elem(), "")
					said++
					if p, ok := req.(*kmsg.ProduceRequest); ok {
						p.Acks, p.TimeoutMillis = -1, 1000
					}
					if _, err := c.ask(req, v); err != nil { // closing says nothing
						closed++
						_ = c.Close()
						c = nil
					}
				}
			}
		}
	}
	t.Logf("%d requests of %d keys × versions, %d of them answered by the end of the connection", said, cells, closed)
}

// kinds are the values for fields that say of what kind a name is.
func kinds(key int16) []int8 {
	switch kmsg.Key(key) {
	case kmsg.FindCoordinator:
		return []int8{0, 1, 2}
	case kmsg.DescribeConfigs, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs, kmsg.ListConfigResources:
		return []int8{2, 4, 8, 16, 32}
	case kmsg.DescribeACLs, kmsg.DeleteACLs, kmsg.CreateACLs:
		return []int8{1, 2, 3, 4, 5}
	case kmsg.DescribeCluster:
		return []int8{1, 2}
	}
	return []int8{1}
}

// loot is what a request is filled with.
type loot struct {
	name  string
	id    [16]byte
	kind  int8
	spare bool // of DeleteTopics: a topic has a name or an id
}

// loots are names that could be the victim's, with ids that are nobody's, and
// the victim's id with a name of one's own.
func (s *siege) loots() []loot {
	all := []loot{{name: "junk", id: s.prize.id}}
	for _, name := range append(s.reaching(), s.victim.id+"."+canaryGroup, s.victim.id+"."+canaryTxn, s.victim.user, "User:"+s.victim.user, "", "*", s.victim.id) {
		all = append(all, loot{name: name})
	}
	return all
}

// fill sets every field below v.
func (l loot) fill(v reflect.Value, field string) {
	switch {
	case v.Type() == reflect.TypeFor[kmsg.Tags]() || field == "Version":
	case v.Type() == reflect.TypeFor[[]byte]():
		v.SetBytes(batch(-1, -1, 0))
	case v.Type() == reflect.TypeFor[[16]byte]():
		if !l.spare || l.name == "junk" {
			v.Set(reflect.ValueOf(l.id))
		}
	case v.Kind() == reflect.String:
		v.SetString(l.name)
	case v.Kind() == reflect.Pointer:
		if l.spare && l.name == "junk" {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		l.fill(v.Elem(), field)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		l.fill(v.Index(0), field)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				l.fill(v.Field(i), f.Name)
			}
		}
	case v.CanInt():
		v.SetInt(l.number(field))
	case v.Kind() == reflect.Bool:
		v.SetBool(!strings.Contains(field, "ValidateOnly"))
	}
}

// number is a value with which a request gets as far as possible.
func (l loot) number(field string) int64 {
	switch {
	case strings.Contains(field, "Type"), field == "Kind":
		return int64(l.kind)
	case field == "ReplicaID", field == "ID": // of replica_state
		return -1
	case strings.Contains(field, "Timeout"):
		return 1000
	case strings.Contains(field, "Bytes"), strings.Contains(field, "Limit"):
		return 1 << 20
	case field == "NumPartitions", field == "ReplicationFactor", field == "Count":
		return 1
	}
	return 0
}

// foreignWithinRequests: what a request names beside an own topic does not come
// back either, so that nothing is learnt from what is cut out and merged again.
func strangersBesideOwn(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, s.prize.attackersLeader)
	for v := int16(13); v <= 18; v++ {
		for _, order := range [][][16]byte{{s.prize.attackersID, s.prize.id}, {s.prize.id, s.prize.attackersID}} {
			req := fetch(order[0], 0, 0)
			req.Topics = append(req.Topics, fetch(order[1], 0, 0).Topics...)
			got := must[*kmsg.FetchResponse](t, c, req, v)
			i := slices.IndexFunc(got.Topics, func(row kmsg.FetchResponseTopic) bool { return row.TopicID == s.prize.id })
			if i < 0 || got.Topics[i].Partitions[0].ErrorCode != noTopicID || len(got.Topics[i].Partitions[0].RecordBatches) > 0 {
				t.Errorf("Fetch v%d %v: %s", v, order, fmt.Sprintf("%+v", got.Topics))
			}
		}
	}
}
