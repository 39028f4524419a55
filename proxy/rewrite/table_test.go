package rewrite

import (
	"cmp"
	"encoding/csv"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// treatments says of every meaning in testdata/fields.tsv what a rewrite does
// with such a field. A field that kmsg gains has no line and fails
// TestEveryFieldIsClassified until somebody has thought about it.
func treatments() map[string]string {
	const (
		mapped    = "mapped both ways, or checked against the id map"
		replaced  = "replaced by the gateway's own"
		sanitised = "passes through Session.Text"
		judged    = "allow-list"
		checked   = "only what this connection was given"
		passes    = "names nothing of the pool"
	)
	return map[string]string{
		"topic_name": mapped, "topic_id": mapped, "group_id": mapped, "transactional_id": mapped,
		"coordinator_key": mapped, "resource_name": mapped, "topic_regex": mapped, "transactional_id_regex": mapped,
		"embedded_consumer_assignment": mapped, "embedded_consumer_subscription": mapped,
		"host": replaced, "port": replaced, "cluster_id": replaced, "client_host": replaced, "authorized_operations": replaced,
		"error_message": sanitised,
		"config_name":   judged, "config_value": judged,
		"fetch_session_id": checked, "fetch_session_epoch": checked,
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

// classification is testdata/fields.tsv: field path → meaning.
func classification(t *testing.T) map[string]string {
	f, err := os.Open("testdata/fields.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	meanings := map[string]string{}
	for _, l := range lines[1:] {
		key, err := strconv.ParseInt(l[0], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		meanings[fieldPath(int16(key), l[2], l[3])] = l[4]
	}
	return meanings
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
// no line in the classification fails here.
func TestEveryFieldIsClassified(t *testing.T) {
	meanings, known := classification(t), treatments()
	for _, api := range Table() {
		key := int16(api.Key)
		for direction, m := range map[string]any{"req": kmsg.RequestForKey(key), "resp": kmsg.ResponseForKey(key)} {
			for _, path := range namingFields(reflect.TypeOf(m).Elem(), "") {
				field := fieldPath(key, direction, path)
				switch meaning := meanings[field]; {
				case meaning == "":
					t.Errorf("%s (%s) has no line in testdata/fields.tsv: what does it name?", field, api.Key.Name())
				case known[meaning] == "":
					t.Errorf("%s (%s) means %q, for which no treatment is known", field, api.Key.Name(), meaning)
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

// Keys that could reach beyond an instance stay out of the table whatever is
// added to it (protocol.md section 3, HIDE), and so do versions that only
// brokers may use.
func TestTableLeavesOut(t *testing.T) {
	for _, key := range []int16{4, 5, 6, 7, 27, 34, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 71, 72, 73, 80, 81, 82, 83, 84, 85, 86, 87, -1, 95, 127, 128, 32767, -32768} {
		if api, ok := Lookup(key, 0); ok || api.Mapped() {
			t.Errorf("key %d (%s) is served", key, kmsg.NameForKey(key))
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
