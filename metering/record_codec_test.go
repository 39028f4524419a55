package metering

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/tenancy"
)

func drawRecord(t *rapid.T) Record {
	word := rapid.StringMatching(`[a-z][a-z0-9-]{0,12}`)
	r := Record{
		Line: Line{
			Hour: Hour(rapid.Int64Range(0, 1<<20).Draw(t, "hour")), Instance: tenancy.InstanceID(word.Draw(t, "instance")),
			Tenant: tenancy.TenantID(word.Draw(t, "tenant")), Plan: word.Draw(t, "plan"), Pool: word.Draw(t, "pool"),
			Part: rapid.SampledFrom([]string{"", "user", "topic=a b", "user=\x00é"}).Draw(t, "part"),
		},
		Revision: rapid.IntRange(0, 300).Draw(t, "revision"), Complete: rapid.Bool().Draw(t, "complete"),
		Gateways: rapid.IntRange(0, 200).Draw(t, "gateways"), Number: rapid.Int64Range(1, 1<<40).Draw(t, "number"),
	}
	for m := range r.Values {
		r.Values[m] = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "value")
	}
	copy(r.Prev[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "prev"))
	r.Sealed = r.Hour.End().Add(time.Duration(rapid.Int64Range(0, 1<<22).Draw(t, "sealed")) * time.Second)
	var marks []sourceMark
	for i := range rapid.IntRange(0, 4).Draw(t, "sources") {
		m := sourceMark{of: uint64(i)<<40 | 7, seq: rapid.Int64Min(1).Draw(t, "seq"), final: rapid.Bool().Draw(t, "final")}
		if !m.final {
			m.values[ProduceBytes] = rapid.Int64Min(0).Draw(t, "had")
		}
		marks = append(marks, m)
	}
	r.Sources = sourcesOf(marks)
	return r
}

func TestRecordCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		raw := r.Encode()
		got, err := DecodeRecord(raw)
		if err != nil || got != r {
			t.Fatalf("read %+v, %v; want %+v", got, err, r)
		}
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if _, err := DecodeRecord(raw[:cut]); err == nil {
			t.Fatalf("the first %d of %d bytes were read as a record", cut, len(raw))
		}
		bit := rapid.IntRange(0, 8*len(raw)-1).Draw(t, "bit")
		raw[bit/8] ^= 1 << (bit % 8)
		if got, err := DecodeRecord(raw); err == nil && (got == r || got.Hash() == r.Hash()) {
			t.Fatal("with another bit it is the same record")
		}
		if _, err := DecodeRecord(append(raw, 0)); err == nil {
			t.Fatal("a byte too many was read as a part of a record")
		}
	})
}

// What is sealed stays readable: these bytes are in somebody's Redis.
func TestRecordFormStays(t *testing.T) {
	c := testCount("gw-1", 9, 123_456_789)
	c.Values[ProduceRecords], c.Values[Requests] = 10_000, 77
	c.Final = true
	records := hourOf{hour: testHour, counts: []Count{c}, fleet: map[string]string{c.Source.start(): FleetFinal}}.plan()
	head{}.link(records)
	raw := records[0].Encode()
	if len(raw) > 150 {
		t.Errorf("a usual record has %d bytes, want at most 150", len(raw))
	}
	const want = "e76961cd5bb8d2321c36dbb28b4cc1acfb132af84b8cd718342a622bf5646dd4"
	if got := hexOf(records[0].Hash()); got != want {
		t.Errorf("its hash is %s, was %s", got, want)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := Record{Line: testCount("g", 1, 1).Line, Number: 1, Sealed: testHour.End()}
	r.Sources = sourcesOf([]sourceMark{{of: 1, seq: 2, values: Values{3}}})
	f.Add(r.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := DecodeRecord(raw)
		if err == nil && string(r.Encode()) != string(raw) {
			t.Errorf("%x is read as %+v, which is written as %x", raw, r, r.Encode())
		}
	})
}
