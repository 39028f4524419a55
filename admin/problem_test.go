package admin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// Every code has its line in the table.
func TestKindsAreWhole(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if typed, ok := spec.Type.(*ast.Ident); !ok || typed.Name != "code" {
			return true
		}
		value := spec.Values[0].(*ast.BasicLit).Value
		id := code(value[1 : len(value)-1])
		if k := kinds[id]; k.status < 400 || k.title == "" {
			t.Errorf("code %s has no line in kinds: %+v", id, k)
		}
		seen++
		return true
	})
	if seen != len(kinds) {
		t.Errorf("%d codes, %d lines in kinds", seen, len(kinds))
	}
}
