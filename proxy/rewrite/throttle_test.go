package rewrite

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// throttleField is a response's throttle_time_ms; ok is false if its version has none.
func throttleField(m kmsg.Response) (f reflect.Value, ok bool) {
	f = reflect.ValueOf(m).Elem().FieldByName("ThrottleMillis")
	if !f.IsValid() {
		return f, false
	}
	was := f.Int()
	defer f.SetInt(was)
	f.SetInt(1)
	with := m.AppendTo(nil)
	f.SetInt(2)
	return f, !bytes.Equal(with, m.AppendTo(nil))
}

// pieces cuts a body into pieces, some of them empty.
func pieces(t *rapid.T, body []byte) [][]byte {
	var all [][]byte
	for len(body) > 0 {
		n := rapid.IntRange(0, min(len(body), 7)).Draw(t, "piece")
		if rapid.IntRange(0, 3).Draw(t, "long") == 0 {
			n = len(body)
		}
		all, body = append(all, body[:n:n]), body[n:]
	}
	return all
}

// fullResponse is a response of which every field is set but what the gateway
// never lets pass: tagged fields that no version defines.
func fullResponse(t *rapid.T, key, version int16) kmsg.Response {
	m := kmsg.ResponseForKey(key)
	m.SetVersion(version)
	n := rapid.IntRange(0, 3).Draw(t, "elements")
	fillAll(reflect.ValueOf(m).Elem(), n)
	m.SetVersion(version)
	return m
}

func fillAll(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			if f.Type() != reflect.TypeFor[kmsg.Tags]() {
				fillAll(f, n)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(bytes.Repeat([]byte{0x81}, 40*n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fillAll(v.Index(i), n)
		}
	case reflect.Pointer:
		if n > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fillAll(v.Elem(), n)
		}
	case reflect.String:
		v.SetString(string(bytes.Repeat([]byte("x"), 50*n)))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Bool:
		v.SetBool(n > 1)
	case reflect.Array:
		for i := range v.Len() {
			fillAll(v.Index(i), n)
		}
	}
}

// SetThrottle changes throttle_time_ms and nothing else, in every version of every
// key of the table, and never to less than the broker says.
func TestSetThrottle(t *testing.T) {
	found := 0
	for _, api := range Table() {
		for version := api.Min; version <= api.Max; version++ {
			rapid.Check(t, func(t *rapid.T) {
				key := int16(api.Key)
				resp := fullResponse(t, key, version)
				was := rapid.SampledFrom([]int64{0, 1, 70_000}).Draw(t, "broker's")
				ms := rapid.SampledFrom([]int32{1, 5000, 0x7f81_0203}).Draw(t, "ours")
				f, ok := throttleField(resp)
				if ok {
					f.SetInt(was)
					found++
				}
				body := resp.AppendTo(nil)
				if ok {
					f.SetInt(max(was, int64(ms)))
				}
				want := resp.AppendTo(nil)
				cut := pieces(t, body)
				SetThrottle(key, version, cut, ms)
				if got := bytes.Join(cut, nil); !bytes.Equal(got, want) {
					t.Fatalf("%s v%d (-want +got):\n%s", api.Key.Name(), version, cmp.Diff(want, got))
				}
			})
		}
	}
	if found == 0 {
		t.Error("no version of any key has the field")
	}
}

// LowerMaxBytes changes max_bytes and nothing else, and never to more.
func TestLowerMaxBytes(t *testing.T) {
	for _, api := range Table() {
		for version := api.Min; version <= api.Max; version++ {
			rapid.Check(t, func(t *rapid.T) {
				req := kmsg.RequestForKey(int16(api.Key))
				fillAll(reflect.ValueOf(req).Elem(), rapid.IntRange(0, 2).Draw(t, "elements"))
				req.SetVersion(version)
				asked := rapid.SampledFrom([]int32{0, 1 << 16, 52428800}).Draw(t, "asked")
				most := rapid.SampledFrom([]int32{1, 1 << 16, 1 << 30}).Draw(t, "most")
				set := func(n int32) bool { return false }
				switch r := req.(type) {
				case *kmsg.FetchRequest:
					set = func(n int32) bool { r.MaxBytes = n; return true }
				case *kmsg.ShareFetchRequest:
					set = func(n int32) bool { r.MaxBytes = n; return true }
				}
				set(asked)
				body := req.AppendTo(nil)
				set(min(asked, most))
				want := req.AppendTo(nil)
				cut := pieces(t, body)
				LowerMaxBytes(int16(api.Key), version, cut, most)
				if got := bytes.Join(cut, nil); !bytes.Equal(got, want) {
					t.Fatalf("%s v%d (-want +got):\n%s", api.Key.Name(), version, cmp.Diff(want, got))
				}
			})
		}
	}
}

// Whatever is patched, broken bodies do no harm.
func TestThrottleOfBrokenBodies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		api := rapid.SampledFrom(Table()).Draw(t, "api")
		version := int16(rapid.IntRange(int(api.Min), int(api.Max)).Draw(t, "version"))
		body := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "body")
		SetThrottle(int16(api.Key), version, pieces(t, bytes.Clone(body)), 5)
		LowerMaxBytes(int16(api.Key), version, pieces(t, bytes.Clone(body)), 5)
	})
}

func TestSetThrottleDoesNotAllocate(t *testing.T) {
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(12)
	fillAll(reflect.ValueOf(resp).Elem(), 2)
	resp.SetVersion(12)
	b := resp.AppendTo(nil)
	body := [][]byte{b[:70], b[70:]}
	if n := testing.AllocsPerRun(100, func() { SetThrottle(0, 12, body, 5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSetThrottle(b *testing.B) {
	for name, m := range map[string]kmsg.Response{"Fetch": kmsg.NewPtrFetchResponse(), "Produce": kmsg.NewPtrProduceResponse()} {
		b.Run(name, func(b *testing.B) {
			m.SetVersion(12)
			fillAll(reflect.ValueOf(m).Elem(), 1)
			m.SetVersion(12)
			body := [][]byte{m.AppendTo(nil)}
			b.ReportAllocs()
			for b.Loop() {
				SetThrottle(m.Key(), 12, body, 5)
			}
		})
	}
}
