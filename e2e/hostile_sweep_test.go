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
// code each must give; here nothing of the victim may come back, everything must
// still be there, and nothing may tell the victim's names from those of an
// instance that there is not: neither codes, nor lengths, nor the end of the
// connection.
func everywhere(t *testing.T, s *siege) {
	said, closed, cells := 0, 0, 0
	for _, api := range rewrite.Table() {
		if !api.Mapped() {
			continue
		}
		for v := api.Min; v <= api.Max; v++ {
			cells++
			c := s.login(t, s.attacker, s.prize.leader)
			for _, l := range s.loots() {
				for _, l.kind = range kinds(int16(api.Key)) {
					said += 2
					there, nowhere := l.shape(t, &c, api.Key, v), s.twin(l).shape(t, &c, api.Key, v)
					if there == "closed" {
						closed++
					}
					if there != nowhere && !remembers(api.Key) && there != "elsewhere" && nowhere != "elsewhere" {
						t.Errorf("%s v%d tells whether there is an instance: %s, else %s, for %+v", api.Key.Name(), v, there, nowhere, l)
					}
				}
			}
			_ = c.Close()
		}
	}
	t.Logf("%d requests of %d keys × versions, %d of them answered by the end of the connection", said, cells, closed)
}

// nobody is an instance that there is not, with an id as long as the victim's.
const nobody = "i-nobody"

// twin is a loot of the same form that nobody has.
func (s *siege) twin(l loot) loot {
	l.name = strings.ReplaceAll(l.name, s.victim.id, nobody)
	if l.id == s.prize.id {
		l.id[0] ^= 1
	}
	return l
}

// remembers says that an answer depends on what the attacker said before: kfake
// makes share groups and their sessions of whatever it hears first.
func remembers(key kmsg.Key) bool { return key == kmsg.ShareFetch || key == kmsg.ShareAcknowledge }

// notCoordinator is said of a group or transaction by its name's hash: of two
// names one is here and one elsewhere.
const notCoordinator = 16

// shape says a request and returns what its answer looks like.
func (l loot) shape(t *testing.T, c **raw, key kmsg.Key, version int16) string {
	req := kmsg.RequestForKey(int16(key))
	req.SetVersion(version)
	l.spare = key == kmsg.DeleteTopics
	l.fill(reflect.ValueOf(req).Elem(), "")
	if p, ok := req.(*kmsg.ProduceRequest); ok {
		p.Acks, p.TimeoutMillis = -1, 1000
	}
	body, err := (*c).bytes(int16(key), version, req.AppendTo(nil))
	if err != nil {
		_ = (*c).Close()
		*c = (*c).s.login(t, (*c).s.attacker, (*c).s.prize.leader)
		return "closed"
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	if err := resp.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	all := codes(reflect.ValueOf(resp).Elem(), nil)
	if slices.Contains(all, notCoordinator) {
		return "elsewhere"
	}
	return fmt.Sprintf("%d bytes, codes %v", len(body), all)
}

// codes are all error codes below v.
func codes(v reflect.Value, all []int64) []int64 {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if strings.HasSuffix(v.Type().Field(i).Name, "ErrorCode") {
				all = append(all, v.Field(i).Int())
			} else if v.Type().Field(i).IsExported() {
				all = codes(v.Field(i), all)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = codes(v.Index(i), all)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			all = codes(v.Elem(), all)
		}
	}
	return all
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
	all := []loot{{name: "absent", id: s.prize.id}}
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
		if !l.spare || l.name == "absent" {
			v.Set(reflect.ValueOf(l.id))
		}
	case v.Kind() == reflect.String:
		v.SetString(l.name)
	case v.Kind() == reflect.Pointer:
		if l.spare && l.name == "absent" {
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

// strangersBesideOwn: what a request names beside an own topic does not come
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
