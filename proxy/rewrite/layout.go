package rewrite

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kmsg decodes what it is given, but a hostile body makes it work: it allocates
// an array by its announced count as long as that many bytes are left (10 to
// 100 times as much memory as bytes), and it loops as often as a count of tagged
// fields says, though nothing follows (12 bytes: 2^32 rounds, minutes). So a
// body is first walked, without allocating, by the layout of its message. kmsg
// has no description of layouts; they are found by encoding: a field that is
// written at a version is one that changes what AppendTo returns.

// Message is a kmsg request or response.
type Message interface {
	Key() int16
	GetVersion() int16
	SetVersion(int16)
	IsFlexible() bool
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
}

// layout is how a message is written at one version.
type layout struct {
	flexible bool
	fields   []field
}

// field is one field, in the order of the wire.
type field struct {
	kind fieldKind
	size int     // of a fixedField, in bytes
	elem []field // of an arrayField's element, or an optionalField
	mem  int     // what an arrayField's element, or an optionalField, takes once decoded, in bytes
}

type fieldKind uint8

const (
	fixedField    fieldKind = iota
	stringField             // null or not: kmsg refuses null where there is none
	bytesField              // the same
	arrayField              // the same
	optionalField           // a struct behind an int8, -1 is null
	tagsField
)

// layouts are the layouts of one kind of message, each found when it is first
// needed. Any goroutine.
type layouts struct{ byVersion sync.Map } // int16 → layout

func (l *layouts) of(m Message) layout {
	if found, ok := l.byVersion.Load(m.GetVersion()); ok {
		return found.(layout)
	}
	found := layoutOf(m)
	l.byVersion.Store(m.GetVersion(), found)
	return found
}

// layoutOf finds the layout of m's type at m's version.
func layoutOf(m Message) layout {
	blank := reflect.New(reflect.TypeOf(m).Elem())
	p := prober{blank.Interface().(Message)}
	p.m.SetVersion(m.GetVersion())
	return layout{p.m.IsFlexible(), p.fields(blank.Elem())}
}

// prober changes one field of m at a time and looks what becomes of its encoding.
type prober struct{ m Message }

// fields finds the layout of v, a struct within m that is being encoded.
func (p prober) fields(v reflect.Value) []field {
	var all []field
	base := p.m.AppendTo(nil)
	tagsAt := p.tagsAt(base, v)
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case v.Addr().Interface() == any(p.m) && v.Type().Field(i).Name == "Version":
			continue // not on the wire
		case f.Type() == reflect.TypeFor[kmsg.Tags]():
			if tagsAt >= 0 {
				all = append(all, field{kind: tagsField})
			}
			continue
		case f.Kind() == reflect.Struct:
			all = append(all, p.fields(f)...)
			continue
		}
		was := reflect.New(f.Type()).Elem()
		was.Set(f)
		change(f)
		at := firstDifference(base, p.m.AppendTo(nil))
		switch {
		case at < 0: // not written at this version
		case at == tagsAt: // a tagged field: walked as one
			if f.Kind() == reflect.Slice || f.Kind() == reflect.Pointer {
				panic(fmt.Sprintf("%T: tagged field %s can hide counts from the walk", p.m, v.Type().Field(i).Name))
			}
		default:
			all = append(all, p.field(f))
		}
		f.Set(was)
	}
	return all
}

// tagsAt is where v's section of tagged fields begins in the encoding, -1 if
// this version has none.
func (p prober) tagsAt(base []byte, v reflect.Value) int {
	unknown := v.FieldByName("UnknownTags")
	if !unknown.IsValid() {
		return -1 // no version of it is flexible
	}
	tags, _ := unknown.Addr().Interface().(*kmsg.Tags)
	tags.Set(1<<20, nil)
	defer func() { *tags = kmsg.Tags{} }()
	return firstDifference(base, p.m.AppendTo(nil))
}

// field is the layout of f, which is set to something.
func (p prober) field(f reflect.Value) field {
	switch {
	case f.Type() == reflect.TypeFor[[]byte]():
		return field{kind: bytesField}
	case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
		return field{kind: arrayField, elem: p.fields(f.Index(0)), mem: int(f.Type().Elem().Size())}
	case f.Kind() == reflect.Slice:
		return field{kind: arrayField, elem: []field{p.field(f.Index(0))}, mem: int(f.Type().Elem().Size())}
	case f.Kind() == reflect.String, f.Type() == reflect.TypeFor[*string]():
		if f.Kind() == reflect.Pointer {
			return field{kind: stringField, mem: int(f.Type().Elem().Size())}
		}
		return field{kind: stringField}
	case f.Kind() == reflect.Pointer:
		return field{kind: optionalField, elem: p.fields(f.Elem()), mem: int(f.Type().Elem().Size())}
	case f.Kind() == reflect.Struct:
		panic("a struct is its fields")
	}
	return field{kind: fixedField, size: int(f.Type().Size())}
}

// change sets f to something else than it is; an array or an optional struct
// gets its first element.
func change(f reflect.Value) {
	switch f.Kind() {
	case reflect.Bool:
		f.SetBool(!f.Bool())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.SetInt(^f.Int())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		f.SetUint(f.Uint() ^ 1)
	case reflect.Float64:
		f.SetFloat(f.Float() + 1)
	case reflect.String:
		f.SetString(f.String() + "x")
	case reflect.Array:
		change(f.Index(0))
	case reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
		if f.Elem().Kind() == reflect.String {
			f.Elem().SetString("x")
		}
	case reflect.Slice:
		f.Set(reflect.MakeSlice(f.Type(), 1, 1))
	default:
		panic(fmt.Sprintf("kmsg has fields of kind %s now", f.Kind()))
	}
}

// firstDifference is where a and b begin to differ, -1 if they are the same.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// maxElements is how many array elements and tagged fields one request may
// have. Each may be a single byte, and costs up to 800 bytes once it is decoded,
// refused and answered; so a request costs 50 MiB at most, where 8 MiB of empty
// group names would cost 6 GiB. Who has more to ask asks twice: it is eight
// times the topics of the largest instance.
const maxElements = 1 << 16

// decodeSlack is how much memory, in bytes, a request may take decoded beyond
// twice its own size. A request of real names stays within twice: 47,000 topics
// to create, or 170,000 partitions to ask of, are the first that do not.
const decodeSlack = 1 << 20

// check walks body to its last byte, which may have so many elements at most and,
// unless that is math.MaxInt (brokers are believed), take no more than
// decodeSlack and twice its size once kmsg has decoded it.
func (l layout) check(body []byte, most int) error {
	memory := math.MaxInt
	if most != math.MaxInt {
		memory = 2*len(body) + decodeSlack
	}
	c := &cursor{body: body, flexible: l.flexible, elements: most, memory: memory}
	c.walk(l.fields)
	c.end()
	return c.err
}

// walk steps over one struct.
func (c *cursor) walk(fields []field) {
	for _, f := range fields {
		switch f.kind {
		case fixedField:
			c.skip(f.size)
		case stringField:
			c.pay(f.mem + len(c.nullableStr()))
		case bytesField:
			n := max(0, c.length(4))
			c.skip(n)
			c.pay(n)
		case arrayField:
			n := c.spend(c.nullableArray(smallest(f.elem)))
			for c.pay(n * f.mem); n > 0 && c.err == nil; n-- {
				c.walk(f.elem)
			}
		case optionalField:
			if present := c.take(1); c.err == nil && int8(present[0]) != -1 {
				c.pay(f.mem)
				c.walk(f.elem)
			}
		case tagsField:
			n := c.spend(c.tags())
			for c.pay(n * tagMemory); n > 0 && c.err == nil; n-- {
				_, payload := c.tag()
				c.pay(len(payload))
			}
		}
	}
}

// spend takes n of the elements that the body may have, and returns n.
func (c *cursor) spend(n int) int {
	if c.elements -= n; c.elements < 0 {
		c.fail("too many array elements and tagged fields, send several requests")
		return 0
	}
	return n
}

// tagMemory is about what kmsg keeps of an unknown tagged field beside its bytes:
// an entry of a map, and of those that it outgrew.
const tagMemory = 160

// pay takes n bytes of the memory that the decoded body may take.
func (c *cursor) pay(n int) {
	if c.memory -= n; c.memory < 0 {
		c.fail("decoded it takes too much memory for its size, send several requests")
	}
}

// smallest is how many bytes a struct takes at least.
func smallest(fields []field) int {
	n := 0
	for _, f := range fields {
		if f.kind == fixedField {
			n += f.size
		} else {
			n++
		}
	}
	return max(1, n)
}
