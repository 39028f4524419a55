package rewrite

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const compatibilityPage = "../../docs/compatibility.md"

// about is what testdata/compatibility.tsv says of a key.
type about struct {
	class string // fast, mapped, list, local, denied or hidden
	note  string // what a tenant gets of it, or why it is hidden
}

func abouts(t *testing.T) map[int16]about {
	t.Helper()
	f, err := os.Open("testdata/compatibility.tsv")
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
	all := map[int16]about{}
	for _, l := range lines[1:] {
		key, err := strconv.ParseInt(l[0], 10, 16)
		if _, twice := all[int16(key)]; err != nil || twice {
			t.Fatalf("testdata/compatibility.tsv: key %q is none, or there twice", l[0])
		}
		all[int16(key)] = about{l[1], l[2]}
	}
	return all
}

// Every key of Kafka's has a class and a word for the tenant; the classes are
// the table's.
func TestEveryKeyHasANote(t *testing.T) {
	all := abouts(t)
	for key := range int16(kmsg.MaxKey + 1) {
		row, _ := Lookup(key, 0)
		served, a := row.Local || row.Mapped(), all[key]
		if a.note == "" {
			t.Errorf("key %d (%s) has no line in testdata/compatibility.tsv: what does a tenant get of it?", key, kmsg.NameForKey(key))
			continue
		}
		switch a.class {
		case "fast", "mapped", "list":
			if !served || row.Local {
				t.Errorf("%s is %s, but not forwarded", kmsg.NameForKey(key), a.class)
			}
		case "local", "denied":
			if !row.Local {
				t.Errorf("%s is %s, but not answered by the gateway", kmsg.NameForKey(key), a.class)
			}
		case "hidden":
			if served {
				t.Errorf("%s is hidden, but served", kmsg.NameForKey(key))
			}
		default:
			t.Errorf("%s: class %q", kmsg.NameForKey(key), a.class)
		}
	}
}

// docs/compatibility.md is made of the table; WEIR_GOLDEN=1 writes it.
func TestCompatibilityPage(t *testing.T) {
	page := writePage(t)
	if os.Getenv("WEIR_GOLDEN") != "" {
		if err := os.WriteFile(compatibilityPage, page, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stands, err := os.ReadFile(compatibilityPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(stands), string(page)); diff != "" {
		t.Errorf("%s is stale, go generate ./proxy/rewrite writes it anew:\n%s", compatibilityPage, diff)
	}
}

func writePage(t *testing.T) []byte {
	var page bytes.Buffer
	all, counts := abouts(t), scenarioCounts(t)
	page.WriteString(`<!-- Made by go generate ./proxy/rewrite of table.go, fields.tsv and testdata. Do not edit. -->

# Compatibility

What a client of an instance can send, key by key and version by version. It is
the gateway's own table (` + "`proxy/rewrite/table.go`" + `), nothing else is served: what
is absent here is not advertised, and closes the connection as it does on Kafka.

`)
	writeCounts(t, &page, all, counts)
	page.WriteString(`
## Every key

| how | what happens |
|---|---|
| fast | names and lengths are rewritten in place, record bytes pass as they came |
| mapped | names, topic ids and addresses are the instance's, on the way there and back |
| list | mapped; "all" means the instance's own, and lists hold nothing else |
| local | the gateway answers by itself, for this instance |
| denied | answered with a code: it is the operator's |
| hidden | not advertised |

Versions are advertised as they stand where every broker of the pool speaks them;
an older pool narrows them. Beside them the highest of Kafka 4.3 and 4.4. "Needs"
is what ACLs must allow where an instance has any.

| key | API | versions | 4.3 has | 4.4 has | how | needs | for a tenant |
|--:|---|--:|--:|--:|---|---|---|
`)
	for _, api := range Table() {
		a := all[int16(api.Key)]
		fmt.Fprintf(&page, "| %d | %s | %s | %s | %s | %s | %s | %s |\n", api.Key, api.Key.Name(), span(api.Min, api.Max),
			newest(kversion.V4_3_0(), api.Key), newest(kversion.V4_4_0(), api.Key), a.class, needs(api.Needs), a.note)
	}
	writeMatrix(&page, counts)
	page.WriteString("\n## Hidden\n\n| key | API | why |\n|--:|---|---|\n")
	for key := range int16(kmsg.MaxKey + 1) {
		if a := all[key]; a.class == "hidden" {
			fmt.Fprintf(&page, "| %d | %s | %s |\n", key, kmsg.NameForKey(key), a.note)
		}
	}
	return page.Bytes()
}

// writeCounts is the table at the head of the page.
func writeCounts(t *testing.T, page *bytes.Buffer, all map[int16]about, counts map[int16]map[int16]int) {
	classes, cells, runs := map[string]int{}, 0, 0
	for _, a := range all {
		classes[a.class]++
	}
	for _, api := range Table() {
		cells += int(api.Max-api.Min) + 1
		for v := api.Min; v <= api.Max; v++ {
			runs += counts[int16(api.Key)][v]
		}
	}
	here, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	outside, err := filepath.Glob("../testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	fields, served := 0, 0
	for at, lines := range classification() {
		fields += len(lines)
		if row, _ := Lookup(at.key, 0); row.Local || row.Mapped() {
			served += len(lines)
		}
	}
	fmt.Fprintf(page, "| | |\n|---|--:|\n| keys that Kafka has or had (to 4.4) | %d |\n", len(all))
	fmt.Fprintf(page, "| served: fast %d, mapped %d, list %d, local %d | %d |\n", classes["fast"], classes["mapped"], classes["list"], classes["local"],
		len(Table())-classes["denied"])
	fmt.Fprintf(page, "| denied, with a code | %d |\n| hidden | %d |\n", classes["denied"], classes["hidden"])
	fmt.Fprintf(page, "| key × version, each with a scenario | %d |\n", cells)
	fmt.Fprintf(page, "| scenarios, and exchanges that they make | %d, %d |\n", len(here)+len(outside), runs)
	fmt.Fprintf(page, "| fields that could name something, classified; of keys that are served | %d, %d |\n", fields, served)
}

// writeMatrix has a line for each key and a column for each version.
func writeMatrix(page *bytes.Buffer, counts map[int16]map[int16]int) {
	top := int16(0)
	for _, api := range Table() {
		top = max(top, api.Max)
	}
	page.WriteString("\n## Scenarios\n\nHow many scenarios (`proxy/rewrite/testdata`, `proxy/testdata`) each version has. A dot\nis a version that kmsg knows and the gateway does not serve.\n\n| key | API |")
	for v := range top + 1 {
		fmt.Fprintf(page, " %d |", v)
	}
	page.WriteString("\n|--:|---|" + strings.Repeat("--:|", int(top)+1) + "\n")
	for _, api := range Table() {
		fmt.Fprintf(page, "| %d | %s |", api.Key, api.Key.Name())
		for v := range top + 1 {
			switch {
			case v >= api.Min && v <= api.Max:
				fmt.Fprintf(page, " %d |", counts[int16(api.Key)][v])
			case v <= kmsg.RequestForKey(int16(api.Key)).MaxVersion():
				page.WriteString(" · |")
			default:
				page.WriteString(" |")
			}
		}
		page.WriteString("\n")
	}
}

func span(from, to int16) string {
	if from == to {
		return strconv.Itoa(int(from))
	}
	return fmt.Sprintf("%d–%d", from, to)
}

// newest is the highest version that a release of Kafka serves of a key.
func newest(release *kversion.Versions, key kmsg.Key) string {
	if top, ok := release.LookupMaxKeyVersion(int16(key)); ok {
		return strconv.Itoa(int(top))
	}
	return "–"
}

func needs(n Needs) string {
	var all []string
	for _, need := range []struct {
		of string
		op kmsg.ACLOperation
	}{{"topic", n.Topic}, {"group", n.Group}, {"transactional id", n.Txn}, {"cluster", n.Cluster}} {
		if need.op != kmsg.ACLOperationUnknown {
			all = append(all, need.of+" "+need.op.String())
		}
	}
	return cmp.Or(strings.Join(all, ", "), "–")
}
