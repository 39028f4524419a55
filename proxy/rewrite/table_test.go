package rewrite

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// treatments says of every meaning in fields.tsv what a rewrite does
// with such a field. A field that kmsg gains has no line and fails
// TestEveryFieldIsClassified until somebody has thought about it.
func treatments() map[string]string {
	const (
		mapped    = "mapped both ways, or checked against the id map"
		replaced  = "replaced by the gateway's own"
		sanitised = "passes through Session.Text"
		judged    = "allow-list"
		own       = "of this instance's store, which holds nobody else's"
		checked   = "only what this connection was given"
		passes    = "names nothing of the pool"
		counted   = "a place in a list that keeps its order"
		logical   = "the instance's own, never the pool's"
		unused    = "only in keys that the gateway refuses"
	)
	return map[string]string{
		"topic_name": mapped, "topic_id": mapped, "group_id": mapped, "transactional_id": mapped,
		"coordinator_key": mapped, "resource_name": mapped, "topic_regex": mapped, "transactional_id_regex": mapped,
		"embedded_consumer_assignment": mapped, "embedded_consumer_subscription": mapped,
		"host": replaced, "port": replaced, "cluster_id": replaced, "client_host": replaced, "authorized_operations": replaced,
		"log_dir_path": replaced, "topic_index(into sibling arrays)": counted,
		"acl_resource_name": logical, "acl_host": logical, "principal": logical,
		"principal_type": unused, "delegation_token": unused, "listener_name": unused,
		"error_message": sanitised,
		"config_name":   judged, "config_value": judged,
		"fetch_session_id": checked, "fetch_session_epoch": checked,
		"quota_entity": own, "scram_secret": "becomes SCRAM keys, never shown",
		"quota_entity_type": judged, "quota_key": judged,
		"node_id": passes, "rack": passes, "producer_id": passes, "throttle_time_ms": passes,
		"records": passes, "member_id": passes, "instance_id": passes, "client_id": passes, "client_software": passes,
		"client_text": passes, "protocol_or_assignor": passes, "protocol_type": passes, "group_type": passes, "state": passes,
		"documentation": passes, "directory_or_incarnation_id": passes, "feature_name": passes,
		"sasl_bytes": passes, "sasl_mechanism": passes, "sasl_session_lifetime": passes,
	}
}

// fieldPath is a field of a message: "3 resp Topics[].Topic".
func fieldPath(key int16, direction, path string) string {
	return strconv.Itoa(int(key)) + " " + direction + " " + path
}

// meanings is fields.tsv: field path → meaning.
func meanings() map[string]string {
	all := map[string]string{}
	for _, lines := range classification() {
		for _, f := range lines {
			all[fieldPath(f.key, f.direction, f.path)] = f.meaning
		}
	}
	return all
}

// namingFields are the paths of the fields of typ that could name something:
// strings, ids and bytes.
func namingFields(typ reflect.Type, path string) (paths []string) {
	switch {
	case typ == reflect.TypeFor[kmsg.Tags]():
		return nil
	case typ.Kind() == reflect.String, typ == reflect.TypeFor[[]byte](), typ.Kind() == reflect.Array:
		return []string{path}
	case typ.Kind() == reflect.Pointer:
		return namingFields(typ.Elem(), path)
	case typ.Kind() == reflect.Slice:
		return namingFields(typ.Elem(), path+"[]")
	case typ.Kind() == reflect.Struct:
		for field := range typ.Fields() {
			sub := field.Name
			if path != "" {
				sub = path + "." + sub
			}
			paths = append(paths, namingFields(field.Type, sub)...)
		}
	}
	return paths
}

// Raising kmsg can never open a hole: a field that could name something and has
// no line in the classification fails here, whether its key is served or not;
// for one that is, somebody has to know what becomes of it.
func TestEveryFieldIsClassified(t *testing.T) {
	meanings, known := meanings(), treatments()
	for key := range int16(kmsg.MaxKey + 1) {
		if kmsg.RequestForKey(key) == nil {
			continue
		}
		row, _ := Lookup(key, 0)
		served := row.Mapped() || row.Local
		for direction, m := range map[string]any{"req": kmsg.RequestForKey(key), "resp": kmsg.ResponseForKey(key)} {
			for _, path := range namingFields(reflect.TypeOf(m).Elem(), "") {
				field := fieldPath(key, direction, path)
				switch meaning := meanings[field]; {
				case meaning == "":
					t.Errorf("%s (%s) has no line in fields.tsv: what does it name?", field, kmsg.NameForKey(key))
				case served && known[meaning] == "":
					t.Errorf("%s (%s) means %q, for which no treatment is known", field, kmsg.NameForKey(key), meaning)
				}
			}
		}
	}
}

func TestTable(t *testing.T) {
	rows := Table()
	if !slices.IsSortedFunc(rows, func(a, b API) int { return cmp.Compare(a.Key, b.Key) }) {
		t.Error("rows are not in order of key")
	}
	for i, api := range rows {
		if i > 0 && rows[i-1].Key == api.Key {
			t.Errorf("%s has two rows", api.Key.Name())
		}
		if newest := kmsg.RequestForKey(int16(api.Key)).MaxVersion(); api.Min > api.Max || api.Max > newest {
			t.Errorf("%s: versions %d-%d, kmsg knows up to %d", api.Key.Name(), api.Min, api.Max, newest)
		}
		if api.Says != api.Min && api.Key != kmsg.Produce {
			t.Errorf("%s says %d, serves from %d", api.Key.Name(), api.Says, api.Min)
		}
		if !api.Mapped() && !slices.Contains([]kmsg.Key{kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate}, api.Key) {
			t.Errorf("%s has no rewrite", api.Key.Name())
		}
	}
}

// What is no key is not served, nor are versions that only brokers may use. That
// every key is served or hidden for a reason: TestEveryKeyHasANote.
func TestTableLeavesOut(t *testing.T) {
	for _, key := range []int16{-1, kmsg.MaxKey + 1, 127, 128, 32767, -32768} {
		if api, ok := Lookup(key, 0); ok || api.Mapped() {
			t.Errorf("key %d is served", key)
		}
	}
	for key, version := range map[kmsg.Key]int16{
		kmsg.AddPartitionsToTxn: 4, // batches of brokers
		kmsg.InitProducerID:     6, // two-phase commit
		kmsg.Produce:            2,
		kmsg.Fetch:              3,
		kmsg.Metadata:           14,
	} {
		if _, ok := Lookup(int16(key), version); ok {
			t.Errorf("%s v%d is served", key.Name(), version)
		}
	}
}

func TestLookup(t *testing.T) {
	for key := int16(-2); key < 130; key++ {
		for version := int16(-1); version < 25; version++ {
			i := slices.IndexFunc(Table(), func(a API) bool { return int16(a.Key) == key })
			want := i >= 0 && version >= Table()[i].Min && version <= Table()[i].Max
			if got, ok := Lookup(key, version); ok != want || ok && int16(got.Key) != key {
				t.Errorf("Lookup(%d, %d) = key %d, %t", key, version, got.Key, ok)
			}
		}
	}
}
