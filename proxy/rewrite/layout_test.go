package rewrite

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// eachMessage calls fn for the request and the response of every row and
// version that goes through kmsg.
func eachMessage(fn func(api API, m Message)) {
	for _, api := range Table() {
		if api.Key == kmsg.Produce || api.Key == kmsg.Fetch || api.Key == kmsg.ShareFetch || api.Key == kmsg.ApiVersions {
			continue // walked by hand; and the answer to ApiVersions is only ever written
		}
		for v := api.Min; v <= api.Max; v++ {
			for _, m := range []Message{kmsg.RequestForKey(int16(api.Key)), kmsg.ResponseForKey(int16(api.Key))} {
				m.SetVersion(v)
				fn(api, m)
			}
		}
	}
}

// fill draws every field of v. name draws a string for the field at path, as in
// fields.tsv.
func fill(t *rapid.T, v reflect.Value, path string, name func(path string) string) {
	switch {
	case v.Type() == reflect.TypeFor[kmsg.Tags]():
		return
	case v.Type() == reflect.TypeFor[[]byte]():
		v.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, path))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if path == "" && v.Type().Field(i).Name == "Version" {
				continue
			}
			sub := v.Type().Field(i).Name
			if path != "" {
				sub = path + "." + sub
			}
			fill(t, v.Field(i), sub, name)
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, path)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), path+"[]", name)
		}
	case reflect.Array:
		v.Set(reflect.ValueOf([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, path))))
	case reflect.Pointer:
		if rapid.Bool().Draw(t, path) {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), path, name)
		}
	case reflect.String:
		v.SetString(name(path))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, path))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, path))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(rapid.Uint64Range(0, 1<<v.Type().Bits()-1).Draw(t, path))
	default:
		v.SetInt(rapid.Int64Range(-1<<(v.Type().Bits()-1), 1<<(v.Type().Bits()-1)-1).Draw(t, path))
	}
}

// A layout accepts whatever kmsg writes, whole, and nothing less or more.
func TestLayoutIsWhatKmsgWrites(t *testing.T) {
	eachMessage(func(api API, m Message) {
		l := layoutOf(m)
		rapid.Check(t, func(t *rapid.T) {
			full := reflect.New(reflect.TypeOf(m).Elem())
			fill(t, full.Elem(), "", func(path string) string { return rapid.StringN(0, 9, -1).Draw(t, path) })
			written, _ := full.Interface().(Message)
			written.SetVersion(m.GetVersion())
			body := written.AppendTo(nil)
			if err := l.check(body, maxElements); err != nil {
				t.Fatalf("%T v%d: %v\n% x", m, m.GetVersion(), err, body)
			}
			if err := l.check(append(bytes.Clone(body), 0), maxElements); err == nil {
				t.Fatalf("%T v%d: a byte after the end passes", m, m.GetVersion())
			}
			if n := rapid.IntRange(0, len(body)).Draw(t, "cut"); n < len(body) && l.check(body[:n], maxElements) == nil {
				t.Fatalf("%T v%d: cut to %d of %d bytes it passes", m, m.GetVersion(), n, len(body))
			}
		})
	})
}

// What kmsg pays for an announced count, the walk does not.
func TestDecodeRefusesAnnouncedCounts(t *testing.T) {
	for _, tt := range []struct {
		name    string
		m       Message
		version int16
		body    []byte
	}{
		{"2^32 tagged fields", kmsg.NewPtrHeartbeatRequest(), 4, []byte{2, 'g', 0, 0, 0, 1, 2, 'm', 0, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		{"2^31 topics", kmsg.NewPtrMetadataRequest(), 1, []byte{0x7f, 0xff, 0xff, 0xff, 0, 1, 'x'}},
		{"as many topics as bytes", kmsg.NewPtrMetadataRequest(), 1, append([]byte{0, 16, 0, 0}, make([]byte, 1<<20)...)},
		{"a few more groups than may be", kmsg.NewPtrDescribeGroupsRequest(), 5, groups(maxElements + 1)},
		{"tagged fields of no bytes", kmsg.NewPtrHeartbeatRequest(), 4, tagged(maxElements + 1)},
		{"a byte after the end", kmsg.NewPtrMetadataRequest(), 1, []byte{0, 0, 0, 0, 0}},
		{"negative count", kmsg.NewPtrMetadataRequest(), 1, []byte{0xff, 0xff, 0xff, 0xfe}},
		{"nothing", kmsg.NewPtrMetadataRequest(), 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.m.SetVersion(tt.version)
			_ = Decode(tt.m, tt.body) // the first use of a type finds its layout, which is not what is measured
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := Decode(tt.m, tt.body)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("decoded to %s", show(t, tt.m))
			}
			// Seconds would show it too, but not on every machine alike.
			if paid := after.TotalAlloc - before.TotalAlloc; paid > 64<<10 {
				t.Errorf("%d bytes were allocated to refuse %d", paid, len(tt.body))
			}
		})
	}
}

// groups is DescribeGroups v5 of n empty names.
func groups(n int) []byte {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.SetVersion(5)
	req.Groups = make([]string, n)
	return req.AppendTo(nil)
}

// tagged is Heartbeat v4 with n tagged fields.
func tagged(n int) []byte {
	req := kmsg.NewPtrHeartbeatRequest()
	req.SetVersion(4)
	for i := range n {
		req.UnknownTags.Set(uint32(i), nil)
	}
	return req.AppendTo(nil)
}

// As many elements as may be are decoded.
func TestDecodeAllowsManyElements(t *testing.T) {
	for m, body := range map[Message][]byte{
		kmsg.NewPtrDescribeGroupsRequest(): groups(maxElements),
		kmsg.NewPtrHeartbeatRequest():      tagged(1 << 12),
	} {
		m.SetVersion(map[kmsg.Key]int16{kmsg.DescribeGroups: 5, kmsg.Heartbeat: 4}[kmsg.Key(m.Key())])
		if err := Decode(m, body); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
}

// typedKey reports whether requests of a row go through kmsg.
func typedKey(api API) bool {
	return api.Mapped() && api.Key != kmsg.Produce && api.Key != kmsg.Fetch && api.Key != kmsg.ShareFetch
}

// densest makes bodies of many smallest elements: each array of the message in
// turn, within one element of those around it.
func densest(m Message) (bodies [][]byte) {
	var grow func(v reflect.Value, n int)
	arrays := 0
	grow = func(v reflect.Value, n int) {
		for _, f := range v.Fields() {
			if f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[kmsg.Tags]() {
				grow(f, n)
			}
			if f.Kind() != reflect.Slice || f.Type().Elem().Kind() == reflect.Uint8 {
				continue
			}
			size := 1
			if arrays++; arrays == n {
				size = maxElements
			}
			f.Set(reflect.MakeSlice(f.Type(), size, size))
			if f.Type().Elem().Kind() == reflect.Struct {
				grow(f.Index(0), n)
			}
		}
	}
	for n, last := 1, 1; n <= last; n++ {
		full := reflect.New(reflect.TypeOf(m).Elem())
		arrays = 0
		grow(full.Elem(), n)
		last = arrays
		written, _ := full.Interface().(Message)
		written.SetVersion(m.GetVersion())
		bodies = append(bodies, written.AppendTo(nil))
	}
	return bodies
}

// Whatever its arrays hold, decoding a request takes twice its size at most, and
// a constant.
func TestDecodingIsBounded(t *testing.T) {
	refused, accepted := 0, 0
	eachMessage(func(api API, m Message) {
		if _, request := m.(kmsg.Request); !request || !typedKey(api) {
			return
		}
		l := layoutOf(m)
		for _, body := range densest(m) {
			paid, err := decodingCost(m, l, body)
			if err != nil {
				refused++
			} else {
				accepted++
			}
			if most := uint64(makes * (2*len(body) + decodeSlack + 64<<10)); paid > most {
				t.Errorf("%T v%d: decoding %d bytes takes %d, at most %d (%v)", m, m.GetVersion(), len(body), paid, most, err)
			}
		}
	})
	for n := 1; n <= maxElements; n *= 2 {
		m := kmsg.NewPtrHeartbeatRequest()
		m.SetVersion(4)
		body := tagged(n)
		if paid, err := decodingCost(m, layoutOf(m), body); paid > uint64(makes*(2*len(body)+decodeSlack+64<<10)) {
			t.Errorf("decoding %d tagged fields takes %d bytes (%v)", n, paid, err)
		}
	}
	if refused == 0 || accepted == 0 {
		t.Errorf("%d refused, %d accepted: the bound is not where the test looks", refused, accepted)
	}
}

// decodingCost is how many bytes are allocated for decoding body.
func decodingCost(like Message, l layout, body []byte) (uint64, error) {
	m, _ := reflect.New(reflect.TypeOf(like).Elem()).Interface().(Message)
	m.SetVersion(like.GetVersion())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := decode(m, l, body, maxElements)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// No tenant's bytes make a rewrite panic, and what it forwards decodes.
func FuzzMap(f *testing.F) {
	eachMessage(func(api API, m Message) {
		if api.Mapped() {
			f.Add(int16(api.Key), m.GetVersion(), m.AppendTo(nil), []byte{})
		}
	})
	var found [kmsg.MaxKey + 1]layouts
	f.Fuzz(func(t *testing.T, key, version int16, request, response []byte) {
		api, ok := Lookup(key, version)
		if !ok || !api.Mapped() {
			return
		}
		if m := kmsg.RequestForKey(key); typedKey(api) {
			m.SetVersion(version)
			l := found[key].of(m)
			if paid, err := decodingCost(m, l, request); paid > uint64(makes*(2*len(request)+decodeSlack+64<<10)) {
				t.Errorf("%T v%d: decoding %d bytes takes %d (%v)", m, version, len(request), paid, err)
			}
		}
		x := &Exchange{Session: newSession(newFakePool("acme.orders", "other.orders")), Ctx: t.Context(), Key: key, Version: version}
		plan, err := api.Plan(x, request)
		if err != nil || plan.Request == nil {
			return
		}
		if api.Key != kmsg.Produce && api.Key != kmsg.Fetch {
			req := kmsg.RequestForKey(key)
			req.SetVersion(version)
			if err := Decode(req, join(plan.Request)); err != nil {
				t.Errorf("forwarded what does not decode: %v", err)
			}
		}
		if plan.Unmap != nil {
			_, _ = plan.Unmap(response)
		}
	})
}
