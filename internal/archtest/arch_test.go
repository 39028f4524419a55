package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "weir/"

// levels says how high a folder stands: an import must go down. Folders of the
// same level never import each other.
var levels = map[string]int{
	"tenancy": 1, "proxy/wire": 1,
	"auth": 2, "quota": 2, "metering": 2, "upstream": 2,
	"proxy/rewrite": 3, "billing": 3,
	"proxy": 4, "admin": 4, "link": 4,
	"gateway":  5,
	"cmd/weir": 6, "e2e": 6, "bench": 6,
}

// parts are folders that belong to another one: it may import them, and who
// may import it may import them.
var parts = map[string]string{"admin/api": "admin", "admin/clientfiles": "admin", "billing/export": "billing"}

// banned says which packages may import a module, and why nobody else may.
var banned = []struct {
	path, why string
	allowed   []string
}{
	{"github.com/twmb/franz-go/pkg/kgo", "kgo retries and reorders: never on the data path", []string{"upstream", "cmd/weir", "gateway", "e2e", "bench"}},
	{"github.com/redis/go-redis/v9", "no Redis round trip on the data path", []string{"tenancy", "quota", "metering", "billing", "gateway", "e2e", "bench"}},
	{"github.com/danielgtaylor/huma/v2", "the REST framework stays inside admin", []string{"admin"}},
	{"github.com/twmb/franz-go/pkg/kfake", "the embedded broker is for weir dev and tests", []string{"gateway", "e2e", "bench"}},
	{"github.com/alicebob/miniredis/v2", "the embedded Redis is for weir dev and tests", []string{"gateway", "e2e", "bench"}},
	{"testing", "test machinery stays out of production code", []string{"e2e", "bench"}},
}

func TestImportsGoDown(t *testing.T) {
	seen := map[string]bool{}
	walk(t, func(dir, file string, f *ast.File) {
		if strings.HasPrefix(dir, "internal/") || strings.HasPrefix(dir, "tools") {
			return
		}
		home := owner(dir)
		seen[home] = true
		level, ok := levels[home]
		if !ok {
			t.Errorf("%s: folder %s has no level: add it to the table, with design.md in mind", file, dir)
			return
		}
		for _, imp := range f.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			checkBans(t, file, home, path)
			target, own := strings.CutPrefix(path, module)
			if !own || owner(target) == home {
				continue
			}
			if strings.HasPrefix(target, "internal/") {
				if !strings.HasSuffix(file, "_test.go") && home != "e2e" && home != "bench" {
					t.Errorf("%s imports %s: internal is for tests", file, path)
				}
				continue
			}
			if to := levels[owner(target)]; to >= level {
				t.Errorf("%s (level %d) imports %s (level %d): imports go down only", file, level, path, to)
			}
		}
	})
	if len(seen) < 8 {
		t.Errorf("only %d folders were seen: is the test looking at the module?", len(seen))
	}
}

func checkBans(t *testing.T, file, home, path string) {
	if strings.HasSuffix(file, "_test.go") {
		return
	}
	for _, b := range banned {
		if path != b.path {
			continue
		}
		ok := false
		for _, a := range b.allowed {
			ok = ok || a == home
		}
		if !ok {
			t.Errorf("%s imports %s: %s", file, path, b.why)
		}
	}
}

func TestEveryPackageIntroducesItself(t *testing.T) {
	docs := map[string]bool{}
	walk(t, func(dir, file string, f *ast.File) {
		if !strings.HasSuffix(file, "_test.go") {
			docs[dir] = docs[dir] || f.Doc != nil && len(f.Doc.Text()) > 20
		}
	})
	for dir, ok := range docs {
		if !ok {
			t.Errorf("%s has no package comment: doc.go says what it owns and what it never does", dir)
		}
	}
}

func owner(dir string) string {
	if whole, ok := parts[dir]; ok {
		return whole
	}
	for home := range levels {
		if (home == "e2e" || home == "bench") && strings.HasPrefix(dir, home+"/") {
			return home
		}
	}
	return dir
}

// walk parses every Go file of the module outside testdata and hidden folders.
func walk(t *testing.T, visit func(dir, file string, f *ast.File)) {
	t.Helper()
	root := filepath.Join("..", "..")
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.ImportsOnly)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(filepath.Dir(rel)), filepath.ToSlash(rel), f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
