//go:build real

package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	varint "encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/admin/api"
	"weir/internal/parts"
	"weir/metering"
)

// TestUsageOnTheBill is what finance does with yesterday: usage, exports, a statement,
// and the proof that nobody has changed a record, by the command line at a gateway.
//
// Two gateways metered 1 GB each in every hour of the day, and 2 GB came late: 50 GB. Of
// them 10 are free, 20 cost 0.10 EUR each, and 20 cost 0.05: 3.00 EUR.
func TestUsageOnTheBill(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) string{
		"one redis": func(t testing.TB) string { return parts.StartRedis(t).URL() },
		"cluster":   func(t testing.TB) string { return parts.StartRedisCluster(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, parts.StartKafka(t, 1), start(t))
			w.more = `plans:
  - name: standard
    prices:
      currency: EUR
      meters: [{meter: produce_bytes, unit: GB, price: "0.10", free: 10, tiers: [{above: 30, price: "0.05"}]}]
`
			w.bill(t)
		})
	}
}

func (w *world) bill(t *testing.T) {
	t.Helper()
	const gb, cost = 1_000_000_000, "3.00"
	u := w.usage()
	// In the first half hour of a day the last hours of the day before are not to be sealed yet.
	yesterday := metering.HourOf(time.Now().UTC().Add(-30*time.Minute).Truncate(24*time.Hour).AddDate(0, 0, -1))
	w.sealYesterday(u, yesterday, gb)
	g := w.start("g1")
	w.create(g, "i-bill")
	from, to := yesterday.Begin().Format(time.DateOnly), (yesterday + 24).Begin().Format(time.DateOnly)

	var usage api.Usage
	w.weirJSON(g, &usage, "usage", "get", "i-bill", "--tenant", "t-e2e", "--from", from, "--to", to, "--granularity", "hour")
	var used int64
	for _, item := range usage.Items {
		n, err := strconv.ParseInt(item.Meters["produce_bytes"], 10, 64)
		if err != nil || !item.Sealed {
			t.Errorf("%+v: %v", item, err)
		}
		used += n
	}
	if used != 50*gb || len(usage.Items) != 24 {
		t.Errorf("%d bytes in %d hours, want 50 GB in 24", used, len(usage.Items))
	}

	for _, format := range []string{"jsonl", "jsonl.gz", "csv", "parquet", "focus"} {
		first, again := w.exported(g, format, "1", from, to), w.exported(g, format, "2", from, to)
		t.Logf("%-8s %d rows, %d bytes, sha256 %.16s, again %.16s", format, first.rows, first.bytes, first.sum, again.sum)
		if first != again {
			t.Errorf("%s: exported twice: %+v and %+v", format, first, again)
		}
		if want := map[bool]string{true: cost, false: strconv.Itoa(50 * gb)}[format == "focus"]; first.total != want {
			t.Errorf("%s: the manifest's sum is %s, want %s", format, first.total, want)
		}
	}
	if got := sumOfLines(t, filepath.Join(w.dir, "jsonl-1", "usage-"+from+".jsonl")); got != 50*gb {
		t.Errorf("the lines of jsonl add up to %d", got)
	}
	if got := sumOfColumn(t, filepath.Join(w.dir, "csv-1", "usage-"+from+".csv"), "produce_bytes"); got != 50*gb {
		t.Errorf("the lines of csv add up to %d", got)
	}

	var statement api.Statement
	w.weirJSON(g, &statement, "statement", "get", "t-e2e-"+from[:7]+"-EUR")
	t.Logf("statement %s: %s EUR in %d lines", statement.ID, statement.Total, len(statement.Lines))
	if statement.Total != cost {
		t.Errorf("the statement comes to %s, want %s: %+v", statement.Total, cost, statement.Lines)
	}
	w.budgeted(g, yesterday, cost)
	w.tampered(g, u, from)
}

// budgeted bounds what the tenant spends, which it has spent unless a month began since.
func (w *world) budgeted(g *gateway, yesterday metering.Hour, cost string) {
	w.t.Helper()
	restraint := "throttle"
	if yesterday.Begin().Month() != time.Now().UTC().Month() {
		cost, restraint = "0.00", ""
	}
	tenant := []string{"--tenant", "t-e2e", "--currency", "EUR"}
	var budget api.Budget
	w.weirJSON(g, &budget, append([]string{"budget", "set", "1.00", "--mode", "hard", "--yes"}, tenant...)...)
	var is api.Balance
	balance := func() {
		w.call(g, http.MethodGet, "/v1/tenants/t-e2e/balance", "", http.StatusOK, &is)
		w.t.Logf("budget %s: %s %s available, %s spent, restraint %q", is.Mode, is.Available, is.Currency, is.Spent, is.Restraint)
	}
	if balance(); is.Spent != cost || is.Restraint != restraint {
		w.t.Errorf("%+v", is)
	}
	w.weirJSON(g, &budget, append([]string{"budget", "set", "--mode", "prepaid", "--yes"}, tenant...)...)
	for range 2 { // once
		var up api.TopUp
		w.weirJSON(g, &up, append([]string{"budget", "top-up", "10.00", "--id", "payment-1"}, tenant...)...)
	}
	is = api.Balance{}
	if balance(); is.Available != "10.00" || is.Spent != cost || is.Restraint != "" {
		w.t.Errorf("%+v", is)
	}
	prices := filepath.Join(w.dir, "prices.yaml")
	w.write("prices.yaml", []byte("currency: EUR\nmeters: [{meter: produce_bytes, unit: GB, price: 1}]\n"))
	for _, args := range [][]string{
		{"plan", "prices", "set", "standard", prices, "--from", time.Now().UTC().AddDate(0, 1, -time.Now().UTC().Day()+1).Format("2006-01")},
		{"plan", "prices", "get", "standard"},
		{"budget", "get", "--tenant", "t-e2e"},
		{"budget", "delete", "--tenant", "t-e2e"},
		{"statement", "list", "--tenant", "t-e2e"},
	} {
		if out, err := w.weir(g, args...); err != nil {
			w.t.Errorf("weir %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// sealYesterday has a day metered by two gateways and sealed, and a correction of what a
// third one brought when that was done.
func (w *world) sealYesterday(u *usage, yesterday metering.Hour, gb int64) {
	w.t.Helper()
	now := func() time.Time { return time.Now().Add(-10 * time.Minute) } // an export is as of a minute ago
	store := metering.NewStore(metering.StoreConfig{Redis: u.rdb, Now: now})
	records := metering.NewRecordStore(metering.RecordStoreConfig{Redis: u.rdb, Store: store, Now: now})
	sealer := metering.NewSealer(metering.SealerConfig{
		Records: records, Store: store, Gateway: "story", Now: now,
		HealWait: time.Millisecond, LateWait: time.Millisecond, Settle: time.Millisecond,
	})
	count := func(gateway string, h metering.Hour, bytes int64) metering.Count {
		c := metering.Count{
			Line:   metering.Line{Hour: h, Instance: "i-bill", Tenant: "t-e2e", Plan: "standard", Pool: "main"},
			Source: metering.Source{Gateway: gateway, Epoch: 1, Part: 1}, Seq: 1, Final: true,
		}
		c.Values[metering.ProduceBytes] = bytes
		return c
	}
	push := func(counts ...metering.Count) {
		if done, _, err := store.Push(w.t.Context(), counts); err != nil || len(done) != len(counts) {
			w.t.Fatalf("pushed %d of %d: %v", len(done), len(counts), err)
		}
	}
	sealed := func(what string, n int) {
		parts.Await(w.t, what, usageLimit, func() bool {
			sealer.Round(w.t.Context())
			got := 0
			for _, err := range records.Records(w.t.Context(), metering.Query{Instance: "i-bill", From: yesterday, To: yesterday + 24}) {
				if err != nil {
					w.t.Fatal(err)
				}
				got++
			}
			return got == n
		})
	}
	for h := yesterday; h < yesterday+24; h++ {
		push(count("g-a", h, gb), count("g-b", h, gb))
	}
	sealed("yesterday is sealed", 24)
	push(count("g-late", yesterday+5, 2*gb))
	sealed("what came late is a correction", 25)
}

// weirJSON runs the command line for its JSON.
func (w *world) weirJSON(g *gateway, into any, args ...string) {
	w.t.Helper()
	out, err := w.weir(g, append(args, "-o", "json")...)
	if err == nil {
		err = json.Unmarshal([]byte(out), into)
	}
	if err != nil {
		w.t.Fatalf("weir %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// exported is what an export came to: of its only file.
type exported struct {
	rows, bytes int64
	sum, total  string
}

func (w *world) exported(g *gateway, format, n, from, to string) exported {
	w.t.Helper()
	dir := filepath.Join(w.dir, format+"-"+n)
	var made api.Export
	w.weirJSON(g, &made, "usage", "export", "--tenant", "t-e2e", "--from", from, "--to", to, "--format", format, "--out", dir)
	if len(made.Files) != 1 {
		w.t.Fatalf("%s: %+v", format, made)
	}
	f := made.Files[0]
	text, err := os.ReadFile(filepath.Join(dir, f.Name))
	if err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	if f.SHA256 != hex.EncodeToString(sum[:]) || *f.Bytes != int64(len(text)) {
		w.t.Errorf("%s: the file is not what the manifest says: %+v", format, f)
	}
	return exported{rows: *f.Rows, bytes: *f.Bytes, sum: f.SHA256, total: f.Meters["produce_bytes"] + f.Costs["EUR"]}
}

// sumOfLines adds up the produced bytes of CloudEvents, a line each.
func sumOfLines(t *testing.T, name string) (sum int64) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var event struct {
			Data struct {
				Meters map[string]json.Number `json:"meters"`
			} `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		n, err := event.Data.Meters["produce_bytes"].Int64()
		if err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		sum += n
	}
	return sum
}

func sumOfColumn(t *testing.T, name, column string) (sum int64) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range rows[0] {
		for _, row := range rows[1:] {
			if name == column {
				n, err := strconv.ParseInt(row[i], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				sum += n
			}
		}
	}
	return sum
}

// tampered changes one record of a day, which must show.
func (w *world) tampered(g *gateway, u *usage, day string) {
	w.t.Helper()
	if out, err := w.weir(g, "usage", "verify", "i-bill"); err != nil {
		w.t.Errorf("a whole chain: %v\n%s", err, out)
	}
	key := "weir:{i-bill}:records:" + day
	raw, err := u.rdb.HGet(w.t.Context(), key, "7").Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	was, less := varint.AppendVarint(nil, 2_000_000_000), varint.AppendVarint(nil, 1_999_999_999)
	if bytes.Count(raw, was) != 1 {
		w.t.Fatalf("record 7 is not of 2 GB: %x", raw)
	}
	if err := u.rdb.HSet(w.t.Context(), key, "7", bytes.Replace(raw, was, less, 1)).Err(); err != nil {
		w.t.Fatal(err)
	}
	out, err := w.weir(g, "usage", "verify", "i-bill")
	w.t.Logf("after one record was changed in Redis: %v\n%s", err, out)
	if err == nil || !strings.Contains(out, "7") {
		w.t.Error("a record was changed and nobody says so")
	}
}
