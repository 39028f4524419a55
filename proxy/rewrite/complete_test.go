package rewrite

import (
	"cmp"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/tools/txtar"
)

// scenarioCounts is how many scenarios there are, by key and version: those here,
// and package proxy's of the keys that it answers itself.
func scenarioCounts(t testing.TB) map[int16]map[int16]int {
	t.Helper()
	counts := map[int16]map[int16]int{}
	for _, dir := range []string{"testdata", "../testdata"} {
		paths, err := filepath.Glob(dir + "/*/*.txtar")
		if err != nil || len(paths) == 0 {
			t.Fatalf("no scenarios in %s: %v", dir, err)
		}
		for _, path := range paths {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			number, _, _ := strings.Cut(filepath.Base(filepath.Dir(path)), "_")
			key, err := strconv.ParseInt(number, 10, 16)
			if err != nil {
				t.Fatalf("%s: the folder does not begin with an API key", path)
			}
			for line := range strings.Lines(string(ar.Comment)) {
				list, ok := strings.CutPrefix(line, "versions:")
				if !ok {
					continue
				}
				if counts[int16(key)] == nil {
					counts[int16(key)] = map[int16]int{}
				}
				for _, v := range parseVersions(t, path, list) {
					counts[int16(key)][v]++
				}
			}
		}
	}
	return counts
}

// What a row does at a version is data: nothing is exempt.
func TestEveryVersionHasAScenario(t *testing.T) {
	counts := scenarioCounts(t)
	for _, api := range Table() {
		for v := api.Min; v <= api.Max; v++ {
			if counts[int16(api.Key)][v] == 0 {
				t.Errorf("%s v%d has no testdata/*.txtar", api.Key.Name(), v)
			}
		}
	}
}

// The classification says what Kafka's own schemas do: testdata/protocol-fields.tsv
// has been made from those of Kafka 4.4.0, with the path in kmsg beside it.
func TestClassificationIsKafkas(t *testing.T) {
	raw, err := os.ReadFile("testdata/protocol-fields.tsv")
	if err != nil {
		t.Fatal(err)
	}
	ours, compared := meanings(), 0
	finer := map[string]string{"acl_resource_name": "resource_name"} // what we tell apart further
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		// key, name, direction, versions, path on the wire, meaning, type, path in kmsg, versions in kmsg
		columns := strings.Split(line, "\t")
		if i == 0 || len(columns) < 8 || columns[7] == "" || columns[7] == "-" {
			continue
		}
		key, err := strconv.ParseInt(columns[0], 10, 16)
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		field := fieldPath(int16(key), columns[2], columns[7])
		meaning := cmp.Or(finer[ours[field]], ours[field])
		if compared++; meaning != columns[5] {
			t.Errorf("%s (%s): fields.tsv says %q, Kafka %q", field, columns[1], ours[field], columns[5])
		}
	}
	if compared < 700 {
		t.Errorf("only %d fields were compared", compared)
	}
}

// Every path of the classification leads to a field: a typing error would
// classify nothing, and the tripwire would not look there. "(absent)" is a field
// of Kafka's that kmsg does not have.
func TestClassificationLeadsSomewhere(t *testing.T) {
	for at, lines := range classification() {
		var m any = kmsg.RequestForKey(at.key)
		if at.direction == "resp" {
			m = kmsg.ResponseForKey(at.key)
		}
		if reflect.ValueOf(m).IsZero() {
			t.Errorf("key %d is none of kmsg's", at.key)
			continue
		}
		for _, f := range lines {
			if f.path != "(absent)" && !leads(reflect.TypeOf(m).Elem(), strings.Split(f.path, ".")) {
				t.Errorf("%s leads nowhere", fieldPath(f.key, f.direction, f.path))
			}
		}
	}
}

func leads(typ reflect.Type, steps []string) bool {
	for _, step := range steps {
		if typ.Kind() != reflect.Struct {
			return false
		}
		field, ok := typ.FieldByName(strings.TrimRight(step, "[]"))
		if !ok {
			return false
		}
		typ = field.Type
		for range strings.Count(step, "[]") {
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			if typ.Kind() != reflect.Slice {
				return false
			}
			typ = typ.Elem()
		}
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
	}
	return true
}

// numberNames matches the fields that name something by a number.
var numberNames = regexp.MustCompile(`(ID|IDs|Leader|Replica|Replicas|ISR|Broker|Brokers|Nodes|Port|Operations|ThrottleMillis)$`)

func TestEveryNumberIsClassified(t *testing.T) {
	ours := meanings()
	for _, api := range Table() {
		key := int16(api.Key)
		for direction, m := range map[string]any{"req": kmsg.RequestForKey(key), "resp": kmsg.ResponseForKey(key)} {
			for _, path := range numberFields(reflect.TypeOf(m).Elem(), "") {
				if field := fieldPath(key, direction, path); ours[field] == "" {
					t.Errorf("%s (%s) has no line in fields.tsv: what does it name?", field, api.Key.Name())
				}
			}
		}
	}
}

// numberFields are the paths of the numbers in typ whose name says that they name something.
func numberFields(typ reflect.Type, path string) (paths []string) {
	switch typ.Kind() {
	case reflect.Int32, reflect.Int64:
		if numberNames.MatchString(strings.TrimRight(path, "[]")) {
			return []string{path}
		}
	case reflect.Pointer:
		return numberFields(typ.Elem(), path)
	case reflect.Slice:
		return numberFields(typ.Elem(), path+"[]")
	case reflect.Struct:
		if typ == reflect.TypeFor[kmsg.Tags]() {
			return nil
		}
		for field := range typ.Fields() {
			sub := field.Name
			if path != "" {
				sub = path + "." + sub
			}
			paths = append(paths, numberFields(field.Type, sub)...)
		}
	}
	return paths
}
