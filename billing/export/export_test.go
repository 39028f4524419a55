package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"weir/metering"
	"weir/tenancy"
)

func usageFormats() []Format { return []Format{JSONL, JSONLGzip, CSV, Parquet} }

// contents is a file whole.
func (r *rig) contents(t testing.TB, s Spec, f File) ([]byte, Made) {
	t.Helper()
	var b bytes.Buffer
	made, err := r.Write(t.Context(), s, f, &b, 0)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), made
}

// A thousand instances and a day: twice the same bytes, whoever makes them, and what
// the manifest says of them is so.
func TestSameBytes(t *testing.T) {
	for _, format := range usageFormats() {
		t.Run(string(format), func(t *testing.T) {
			a, b := newRig(t, 1000), newRig(t, 1000)
			s := a.spec(t, format)
			if files := s.Files(); len(files) != 2 || files[0].Name != "usage-2026-11-22."+s.Format.kind().extension {
				t.Fatalf("%+v", files)
			}
			f := s.Files()[0]
			one, made := a.contents(t, s, f)
			two, _ := b.contents(t, s, f)
			sum := sha256.Sum256(one)
			if !bytes.Equal(one, two) {
				t.Error("exported twice, the bytes differ")
			}
			if made.Rows != 24_000 || made.Bytes != int64(len(one)) || made.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("%+v, of %d bytes", made, len(one))
			}
			if got, err := a.Made(t.Context(), s, f); err != nil || got.SHA256 != made.SHA256 {
				t.Errorf("%+v %v", got, err)
			}
			if a.records.yielded != 24_000 {
				t.Errorf("%d records were read: what is known of a file was made again", a.records.yielded)
			}
			want := new(big.Int).Mul(big.NewInt(24_000), big.NewInt(1<<62)) // more than 64 bits
			if got := made.Sums["storage_byte_seconds"]; got != want.String() {
				t.Errorf("sum is %s, want %s", got, want)
			}
		})
	}
}

// Whoever was cut off at any byte goes on there and has the same file.
func TestGoesOn(t *testing.T) {
	for _, format := range usageFormats() {
		r := newRig(t, 50)
		s := r.spec(t, format)
		f := s.Files()[0]
		whole, made := r.contents(t, s, f)
		rapid.Check(t, func(rt *rapid.T) {
			at := rapid.IntRange(0, len(whole)).Draw(rt, "offset")
			var rest bytes.Buffer
			again, err := r.Write(t.Context(), s, f, &rest, int64(at))
			if err != nil || !bytes.Equal(rest.Bytes(), whole[at:]) || again.SHA256 != made.SHA256 {
				rt.Fatalf("%s from %d: %v, %d bytes", format, at, err, rest.Len())
			}
		})
	}
}

func TestEvents(t *testing.T) {
	r := newRig(t, 2)
	r.records.parts = true
	s := r.spec(t, JSONL)
	s.Names = true
	lines, made := r.contents(t, s, s.Files()[0])
	first, _, _ := bytes.Cut(lines, []byte("\n"))
	want := `{"specversion":"1.0","type":"weir.usage.hour.v1","source":"/cell/main","subject":"t-000","id":"i-000000|2026-11-22T00|standard|r0","time":"2026-11-22T01:15:00Z",` +
		`"datacontenttype":"application/json","data":{"tenant":"t-000","instance":"i-000000","plan":"standard","pool":"main","start":"2026-11-22T00:00:00Z","end":"2026-11-22T01:00:00Z",` +
		`"revision":0,"complete":true,"gateways":3,"meters":{"produce_bytes":"1000","produce_records":"1001","fetch_bytes":"1002","fetch_records":"1003","requests":"1004",` +
		`"request_bytes":"1005","response_bytes":"1006","connection_seconds":"1007","connection_attempts":"1008","auth_failures":"1009","partition_seconds":"1010",` +
		`"storage_byte_seconds":"4611686018427387904","cross_zone_bytes":"1012","transactional_records":"1013"},"number":"` +
		strconv.Itoa(int(day(t, "2026-11-22"))) + `","prev_hash":"` + "00010203" + strings.Repeat("0", 56) + `"}}`
	if string(first) != want {
		t.Errorf("got  %s\nwant %s", first, want)
	}
	ids := map[string]bool{}
	for line := range bytes.Lines(lines) {
		var e struct {
			ID   string `json:"id"`
			Data struct {
				Part   string            `json:"part"`
				Meters map[string]string `json:"meters"`
			} `json:"data"`
		}
		if err := json.Unmarshal(line, &e); err != nil || len(e.Data.Meters) != metering.Meters || ids[e.ID] {
			t.Fatalf("%v: %s", err, line)
		}
		ids[e.ID] = true
	}
	if len(ids) != 2*24*2 || made.Rows != 96 || made.Sums["produce_bytes"] != strconv.Itoa(24*3000+2*100*276) {
		t.Errorf("%d events, %+v", len(ids), made)
	}
	z, _ := r.contents(t, Spec{Format: JSONLGzip, From: s.From, To: s.To, AsOf: s.AsOf, Names: true}, s.Files()[0])
	zr, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(zr); err != nil || !bytes.Equal(plain, lines) {
		t.Errorf("compressed, it is something else: %v", err)
	}
}

// What a spreadsheet would take for a formula comes as text; numbers stay numbers.
func TestCSV(t *testing.T) {
	r := newRig(t, 1)
	r.records.late = r.now.Add(-30 * time.Minute)
	s := r.spec(t, CSV)
	raw, made := r.contents(t, s, s.Files()[1])
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil || len(rows) != 26 || made.Rows != 25 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	if len(column) != 14+metering.Meters {
		t.Errorf("%v", rows[0])
	}
	last := rows[25]
	if last[column["revision"]] != "1" || last[column["produce_bytes"]] != "-1" || last[column["id"]] != "i-000000|2026-11-23T23|standard|r1" {
		t.Errorf("%q", last)
	}
}

func TestCells(t *testing.T) {
	for text, want := range map[string]string{ //nolint:gosmopolitan // the wide sign is meant
		"":                    "",
		"standard":            "standard",
		"user=alice":          "user=alice",
		"=1+1":                "'=1+1",
		"+1":                  "'+1",
		"-1":                  "'-1",
		"@SUM(A1)":            "'@SUM(A1)",
		"\t=1":                "\"'\t=1\"",
		"\r=1":                "\"'\r=1\"",
		"\n=1":                "\"'\n=1\"",
		"'=1":                 "''=1",
		"＝1+1":                "'＝1+1",
		`=HYPERLINK("a","b")`: `"'=HYPERLINK(""a"",""b"")"`,
		"a,b":                 `"a,b"`,
		" a":                  `" a"`,
	} {
		got := string(appendCell(nil, text))
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		// However the cell is split, none begins with a sign of a formula.
		for _, part := range strings.FieldsFunc(strings.Trim(got, `"`), func(r rune) bool { return r == 0 }) {
			if part != "" && strings.ContainsAny(part[:1], "=+-@\t\r") {
				t.Errorf("%q begins with %q", text, part[:1])
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`['=+@\t \-a-c",\n;]{1,8}`).Draw(rt, "text")
		rows, err := csv.NewReader(strings.NewReader(string(appendCell(nil, text)) + ",x\n")).ReadAll()
		if err != nil {
			rt.Fatal(err)
		}
		cell, guarded := strings.CutPrefix(rows[0][0], "'")
		if cell != text || guarded != strings.ContainsAny(text[:1], "=+-@\t\r\n'") {
			rt.Fatalf("%q came back as %q", text, rows[0][0])
		}
	})
}

func TestParquet(t *testing.T) {
	r := newRig(t, 2500) // more than one row group
	s := r.spec(t, Parquet)
	raw, _ := r.contents(t, s, s.Files()[0])
	file, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(file.RowGroups()); n != 2 || file.NumRows() != 60_000 || file.RowGroups()[0].NumRows() > rowGroup {
		t.Errorf("%d row groups, %d rows", n, file.NumRows())
	}
	for m := range metering.Meters {
		if _, ok := file.Schema().Lookup(metering.Meter(m).String()); !ok {
			t.Errorf("there is no column %s", metering.Meter(m))
		}
	}
	rows, err := parquet.Read[any](bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		row, v := row.(map[string]any), values(i/24, s.From+metering.Hour(i%24))
		for m := range v {
			if row[metering.Meter(m).String()] != v[m] {
				t.Fatalf("row %d: %s is %v, want %d", i, metering.Meter(m), row[metering.Meter(m).String()], v[m])
			}
		}
	}
}

func TestIDs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := Spec{
			Tenant:   tenancy.TenantID(rapid.SampledFrom([]string{"", "t-acme", "a1"}).Draw(rt, "tenant")),
			Instance: tenancy.InstanceID(rapid.SampledFrom([]string{"", "orders", "i-7k2m9x4q"}).Draw(rt, "instance")),
			Format:   rapid.SampledFrom(append(usageFormats(), FOCUS)).Draw(rt, "format"),
			From:     metering.Hour(rapid.IntRange(400_000, 500_000).Draw(rt, "from")),
			To:       metering.Hour(rapid.IntRange(400_000, 500_000).Draw(rt, "to")),
			AsOf:     time.Unix(rapid.Int64Range(1e9, 2e9).Draw(rt, "as of"), 0).UTC(),
			Names:    rapid.Bool().Draw(rt, "names"),
		}
		if got, err := ParseID(s.ID()); err != nil || got != s {
			rt.Fatalf("%s: %+v %v", s.ID(), got, err)
		}
	})
	for _, id := range []string{
		"", "e1", "e2~csv~_~_~2026-11-22T00~2026-11-23T00~1795478400", "e1~xml~_~_~2026-11-22T00~2026-11-23T00~1795478400",
		"e1~csv~../x~_~2026-11-22T00~2026-11-23T00~1795478400", "e1~csv~_~_~2026-11-22T00~2026-11-23T00~+795478400",
		"e1~csv~_~_~2026-11-22T00~2026-11-23T00~1795478400~more", "e1~csv~_~_~2026-11-22~2026-11-23T00~1795478400",
		"e1~csv~_~_~2026-11-22T00~2026-11-23T00~1795478400~names~", "e1~csv~~~2026-11-22T00~2026-11-23T00~1795478400",
	} {
		if s, err := ParseID(id); !errors.Is(err, ErrID) {
			t.Errorf("%q: %+v %v", id, s, err)
		}
	}
}

// Files cover the period without a gap; those at its ends are shorter.
func TestFiles(t *testing.T) {
	s := Spec{Format: CSV, From: day(t, "2026-10-30") + 5, To: day(t, "2026-12-02") + 1}
	at := s.From
	for _, f := range s.Files() {
		if f.From != at || f.To <= f.From || f.To-f.From > 24 {
			t.Errorf("%+v", f)
		}
		at = f.To
	}
	if n := len(s.Files()); at != s.To || n != 34 {
		t.Errorf("%d files to %s", n, at)
	}
	s.Format = FOCUS
	files := s.Files()
	if len(files) != 3 || files[0].Name != "focus-2026-10.csv" || files[1].From != day(t, "2026-11-01") || files[1].To != day(t, "2026-12-01") || files[2].To != s.To {
		t.Errorf("%+v", files)
	}
}

func TestMistakes(t *testing.T) {
	r := newRig(t, 1)
	r.records.sealed -= 3
	r.now = r.records.sealed.End().Add(5 * time.Hour)
	from, to := day(t, "2026-11-22"), day(t, "2026-11-23")
	for name, c := range map[string]struct {
		s           Spec
		field, says string
	}{
		"reversed":       {Spec{Format: CSV, From: to, To: from}, "to", "reversed"},
		"empty":          {Spec{Format: CSV, From: to, To: to}, "to", "empty"},
		"too old":        {Spec{Format: CSV, From: day(t, "2025-01-01"), To: to}, "from", "older"},
		"in the future":  {Spec{Format: CSV, From: from, To: to + 100}, "to", "future"},
		"not sealed":     {Spec{Format: CSV, From: from, To: r.records.sealed + 1}, "to", "not sealed"},
		"as of tomorrow": {Spec{Format: CSV, From: from, To: to, AsOf: r.now.AddDate(0, 0, 1)}, "as_of", "future"},
		"as of before":   {Spec{Format: CSV, From: from, To: to, AsOf: to.Begin()}, "as_of", "before"},
		"no prices":      {Spec{Format: FOCUS, From: from, To: to}, "format", "no prices"},
	} {
		_, err := r.Plan(t.Context(), c.s)
		var m *Mistake
		if !errors.As(err, &m) || m.Field != c.field || !strings.Contains(m.Message, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.Exporter.cfg.Charges = fakeCharges{}
	for field, s := range map[string]Spec{
		"from": {Format: FOCUS, From: from + 1, To: to}, "to": {Format: FOCUS, From: from, To: to - 1}, "names": {Format: FOCUS, From: from, To: to, Names: true},
	} {
		var m *Mistake
		if _, err := r.Plan(t.Context(), s); !errors.As(err, &m) || m.Field != field {
			t.Errorf("focus with a wrong %s: %v", field, err)
		}
	}
	if s, err := r.Plan(t.Context(), Spec{Format: CSV, From: from, To: r.records.sealed}); err != nil || s.AsOf.After(r.now) || s.AsOf.Nanosecond() != 0 {
		t.Errorf("%+v %v", s, err)
	}
	if r.records.yielded != 0 || r.records.open {
		t.Error("records were read")
	}
}

// What is sealed after an export was planned is none of it.
func TestAsOf(t *testing.T) {
	r := newRig(t, 3)
	s := r.spec(t, CSV)
	before, _ := r.contents(t, s, s.Files()[1])
	r.records.late = r.now.Add(time.Minute)
	after, _ := r.contents(t, s, s.Files()[1])
	if !bytes.Equal(before, after) {
		t.Error("a correction changed a file that was exported before")
	}
	r.now = r.now.Add(time.Hour)
	later := r.spec(t, CSV)
	if _, made := r.contents(t, later, later.Files()[1]); made.Rows != 3*24+3 || later.ID() == s.ID() {
		t.Errorf("%+v", made)
	}
}

// failing is a client that is gone after some bytes.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// A file that could not be made whole is not remembered, and no more of it is read.
func TestFailures(t *testing.T) {
	r := newRig(t, 1000)
	s := r.spec(t, CSV)
	f := s.Files()[0]
	if _, err := r.Write(t.Context(), s, f, &failing{left: 3 * chunk}, 0); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if r.records.yielded > 3000 {
		t.Errorf("%d records were read for a client that was gone", r.records.yielded)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Write(ctx, s, f, io.Discard, 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	r.records.fail = errAway
	if _, err := r.Made(t.Context(), s, f); !errors.Is(err, errAway) {
		t.Error(err)
	}
	if _, ok := r.recall(f); ok {
		t.Error("what was not made whole is known")
	}
}

func TestPlaces(t *testing.T) {
	r := newRig(t, 1)
	var ends []func()
	begin := func(who tenancy.TenantID) error {
		end, err := r.Begin(who)
		if err == nil {
			ends = append(ends, end)
		}
		return err
	}
	if err := errors.Join(begin("a"), begin("a")); err != nil {
		t.Fatal(err)
	}
	if err := begin("a"); !errors.Is(err, ErrBusy) {
		t.Errorf("a third of one tenant: %v", err)
	}
	if err := begin("b"); err != nil {
		t.Error(err)
	}
	if err := begin("c"); !errors.Is(err, ErrBusy) {
		t.Errorf("a fourth of tenants: %v", err)
	}
	if err := begin(""); err != nil {
		t.Errorf("the operator's, while tenants have all of theirs: %v", err)
	}
	if err := begin(""); !errors.Is(err, ErrBusy) {
		t.Errorf("a fifth: %v", err)
	}
	ends[0]()
	ends[0]() // once more is nothing
	if err := begin(""); err != nil {
		t.Error(err)
	}
	if err := begin("d"); !errors.Is(err, ErrBusy) {
		t.Errorf("a fifth again: %v", err)
	}
}

func TestSums(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s Sum
		want := new(big.Int)
		for _, n := range rapid.SliceOf(rapid.Int64()).Draw(rt, "numbers") {
			s.Add(n)
			want.Add(want, big.NewInt(n))
		}
		if s.String() != want.String() {
			rt.Fatalf("got %s, want %s", s, want)
		}
	})
}
