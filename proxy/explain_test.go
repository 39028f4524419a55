package proxy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/auth"
)

// reasonIDs reads the ids of all constants in a folder whose names begin with
// reason or Reason.
func reasonIDs(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "reason") {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				id, _ := strconv.Unquote(lit.Value)
				ids = append(ids, id)
			}
			return true
		})
	}
	return ids
}

// Every reason id of the three packages has a text and a fix, and no other has.
func TestEveryReasonIsExplained(t *testing.T) {
	unknown := map[string]bool{}
	for id := range explanations {
		unknown[id] = true
	}
	for dir, atLeast := range map[string]int{".": 25, "rewrite": 5, "../auth": 19} {
		ids := reasonIDs(t, dir)
		if len(ids) < atLeast {
			t.Errorf("%s: %d reasons found, there are more", dir, len(ids))
		}
		for _, id := range ids {
			delete(unknown, id)
			e, ok := Explain(id)
			if !ok {
				t.Errorf("%s: reason %q has no line in proxy/explain.go", dir, id)
				continue
			}
			for _, text := range []string{e.Text, e.Fix} {
				if text == "" || strings.HasSuffix(text, ".") || strings.ContainsAny(text, "\n|") {
					t.Errorf("%s: %q", id, text)
				}
			}
			if e.Try != "" && !strings.HasPrefix(e.Try, "weir ") {
				t.Errorf("%s: %q is no command", id, e.Try)
			}
		}
	}
	for id := range unknown {
		t.Errorf("%q is no reason any more", id)
	}
}

func TestExplanationOfOneConnection(t *testing.T) {
	e, _ := Explain(reasonNetwork)
	got := e.For("orders", "t-acme", "10.9.4.4", "")
	if got.Text != "orders does not allow 10.9.4.4" || got.Try != "weir network allow orders 10.9.4.4" {
		t.Errorf("%+v", got)
	}
	if got = e.For("", "", "10.9.4.4", ""); got.Try != "" || !strings.HasPrefix(got.Text, "INSTANCE ") {
		t.Errorf("of no instance: %+v", got)
	}
	e, _ = Explain(string(auth.ReasonBudgetSpent))
	if got = e.For("orders", "t-acme", "", ""); got.Text != "the budget of tenant t-acme is spent" || got.Try != "weir budget get --tenant t-acme" {
		t.Errorf("of a spent budget: %+v", got)
	}
}

// docs/refusals.md has the whole table. WEIR_GOLDEN=1 writes it anew.
func TestReasonsAreDocumented(t *testing.T) {
	const path, begin, end = "../docs/refusals.md", "TestReasonsAreDocumented -->\n", "<!-- end -->"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost its marks", path)
	}
	var table strings.Builder
	table.WriteString("| reason | means | what to do |\n|---|---|---|\n")
	for _, id := range slices.Sorted(maps.Keys(explanations)) {
		e := explanations[id]
		fix := e.Fix
		if e.Try != "" {
			fix += ": `" + e.Try + "`"
		}
		table.WriteString("| `" + id + "` | " + e.Text + " | " + fix + " |\n")
	}
	want := before + begin + table.String() + end + after
	if os.Getenv("WEIR_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
