package gateway

import (
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"weir/tenancy"
)

// decoder fills a struct from a YAML tree. Unlike yaml.Unmarshal it goes on
// after a mistake, and remembers where each value stood, so that validation
// can name the place too.
type decoder struct {
	file     string
	at       map[string]token.Position // by path
	mistakes []Mistake
	broken   map[string]bool // paths whose value could not be read, or that a misspelt key meant
}

// fail notes a mistake at the place of path, or of the nearest value around it.
// What could not be read is not judged too.
func (d *decoder) fail(path, code, format string, args ...any) {
	if d.isBroken(path) {
		return
	}
	if code == codeType {
		d.broken[path] = true
	}
	var pos token.Position
	for p := path; ; p = parent(p) {
		if found, ok := d.at[p]; ok {
			pos = found
			break
		}
		if p == "" {
			break
		}
	}
	d.mistakes = append(d.mistakes, Mistake{
		File: d.file, Line: pos.Line, Column: pos.Column,
		Path: path, Code: code, Text: fmt.Sprintf(format, args...),
	})
}

func (d *decoder) isBroken(path string) bool {
	for ; path != ""; path = parent(path) {
		if d.broken[path] {
			return true
		}
	}
	return false
}

// parent of "a[0].b" is "a[0]", then "a", then "".
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// value decodes node into v, which is of one of the kinds that Config is made of.
func (d *decoder) value(node ast.Node, path string, v reflect.Value) {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.fail(path, codeType, "anchors, aliases and tags are not read; write the value out")
		return
	case *ast.NullNode:
		return // "key:" with nothing behind it is an absent key
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(node, path, v.Elem())
	case reflect.Struct:
		if _, short := node.(ast.ScalarNode); short && v.Type() == reflect.TypeFor[LimitConfig]() {
			d.scalar(node, path, v.FieldByName("Value"))
			return
		}
		d.mapping(node, path, v)
	case reflect.Slice:
		d.sequence(node, path, v)
	default:
		d.scalar(node, path, v)
	}
}

func (d *decoder) mapping(node ast.Node, path string, v reflect.Value) {
	m, ok := node.(ast.MapNode)
	if !ok {
		d.fail(path, codeType, "want keys and values, found %s", describe(node))
		return
	}
	fields := make(map[string]int)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			fields[name] = i
		}
	}
	for it := m.MapRange(); it.Next(); {
		tk := it.Key().GetToken()
		at := join(path, tk.Value)
		d.at[at] = *tk.Position
		i, known := fields[tk.Value]
		if !known {
			hint := ""
			if meant := tenancy.DidYouMean(tk.Value, maps.Keys(fields)); meant != "" {
				hint = "; did you mean " + meant + "?"
				d.broken[join(path, meant)] = true
			}
			d.fail(at, codeUnknownKey, "unknown key%s", hint)
			continue
		}
		d.value(it.Value(), at, v.Field(i))
	}
}

func (d *decoder) sequence(node ast.Node, path string, v reflect.Value) {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		d.fail(path, codeType, "want a list, found %s", describe(node))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, item := range seq.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.at[at] = *start(item)
		d.value(item, at, v.Index(i))
	}
}

// start is where a value begins: a mapping's own token is its first colon.
func start(node ast.Node) *token.Position {
	if m, ok := node.(ast.MapNode); ok {
		if it := m.MapRange(); it.Next() {
			return it.Key().GetToken().Position
		}
	}
	return node.GetToken().Position
}

func (d *decoder) scalar(node ast.Node, path string, v reflect.Value) {
	s, ok := node.(ast.ScalarNode)
	if !ok {
		d.fail(path, codeType, "want one value, found %s; a text with a colon in it may need quotes", describe(node))
		return
	}
	text := s.GetToken().Value
	if lit, ok := node.(*ast.LiteralNode); ok {
		text = lit.Value.Value
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		dur, err := time.ParseDuration(text)
		if err != nil || dur < 0 {
			d.fail(path, codeType, "want a duration like 10s or 1m30s, found %q", text)
			return
		}
		v.SetInt(int64(dur))
	case v.Type() == reflect.TypeFor[Bytes]():
		n, err := parseBytes(text)
		if err != nil {
			d.fail(path, codeType, "%s", err)
			return
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if _, is := node.(*ast.BoolNode); !is || err != nil {
			d.fail(path, codeType, "want true or false, found %q", text)
			return
		}
		v.SetBool(b)
	case v.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			d.fail(path, codeType, "want a whole number, found %q", text)
			return
		}
		v.SetInt(int64(n))
	}
}

func describe(node ast.Node) string {
	switch node.(type) {
	case ast.MapNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	}
	return strconv.Quote(node.GetToken().Value)
}
