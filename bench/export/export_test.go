//go:build bench

package export_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"weir/billing"
	"weir/billing/export"
	"weir/internal/parts"
	"weir/metering"
	"weir/tenancy"
)

// roleVariable makes a process of this binary an export: its memory is that alone.
const roleVariable = "WEIR_BENCH_EXPORT"

var (
	instances = flag.Int("instances", 100_000, "how many instances there are")
	most      = flag.Int("days", 2, "how many days the longest export is of")
	formats   = flag.String("formats", "jsonl,jsonl.gz,csv,parquet,focus", "which")
	perTenant = flag.Int("per-tenant", 100, "how many of them a tenant has")
)

// first is the first hour of what is exported.
const first = "2026-11-20T00"

// job is what one process exports.
type job struct {
	Addr   string
	Format export.Format
	Days   int
	Now    time.Time
}

// result is what it says of that.
type result struct {
	Rows, Bytes int64
	Seconds     float64
	MaxRSS      float64 // MiB
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := run(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

func run(role string) error {
	var j job
	if err := json.Unmarshal([]byte(role), &j); err != nil {
		return err
	}
	rdb := redis.NewClient(&redis.Options{Addr: j.Addr, ContextTimeoutEnabled: true})
	defer rdb.Close()
	now := func() time.Time { return j.Now }
	records := metering.NewRecordStore(metering.RecordStoreConfig{
		Redis: rdb, Store: metering.NewStore(metering.StoreConfig{Redis: rdb}), Now: now,
	})
	prices := billing.NewStore(rdb, map[string]billing.Prices{"standard": {Currency: "EUR", Meters: []billing.MeterPrices{
		{Meter: "produce_bytes", Unit: "GiB", Price: "0.04", Free: "1"},
		{Meter: "fetch_bytes", Unit: "GiB", Price: "0.02"},
		{Meter: "storage_byte_seconds", Unit: "GiB-Hours", Price: "0.0001"},
	}}})
	x := export.New(export.Config{
		Records: records, Charges: &billing.Charger{Records: records, Books: prices, Finals: prices}, Retention: records.Retention(), Now: now,
	})
	from, err := metering.ParseHour(first)
	if err != nil {
		return err
	}
	spec, err := x.Plan(context.Background(), export.Spec{Format: j.Format, From: from, To: from + metering.Hour(24*j.Days)})
	if err != nil {
		return err
	}
	var r result
	start := time.Now()
	for _, f := range spec.Files() {
		made, err := x.Write(context.Background(), spec, f, io.Discard, 0)
		if err != nil {
			return err
		}
		r.Rows, r.Bytes = r.Rows+made.Rows, r.Bytes+made.Bytes
	}
	r.Seconds = time.Since(start).Seconds()
	if r.MaxRSS, err = maxRSS(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// maxRSS is the most memory that this process has had. The kernel's count of a child's,
// which its parent gets, has that of the parent before exec in it.
func maxRSS() (mib float64, err error) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	_, err = fmt.Sscan(rest, &mib)
	return mib / 1024, err
}

// record is what an instance used in an hour, all meters of some size.
func record(n int, h metering.Hour, number int64, prev [32]byte) metering.Record {
	r := metering.Record{
		Line: metering.Line{
			Hour: h, Instance: tenancy.InstanceID(fmt.Sprintf("i-%08d", n)), Tenant: tenancy.TenantID(fmt.Sprintf("t-%06d", n / *perTenant)),
			Plan: "standard", Pool: "eu1",
		},
		Complete: true, Gateways: 3, Sealed: h.End().Add(metering.SealAfter), Number: number, Prev: prev,
	}
	for m := range r.Values {
		r.Values[m] = int64(n+1) * int64(h%24+1) * int64(m*m*m+1) * 997
	}
	return r
}

// fill puts a chain for each instance into Redis, as the sealer does, but many at once.
func fill(t *testing.T, rdb *redis.Client, days int) {
	t.Helper()
	from, err := metering.ParseHour(first)
	if err != nil {
		t.Fatal(err)
	}
	ctx, p := t.Context(), rdb.Pipeline()
	for n := range *instances {
		var prev [32]byte
		id := fmt.Sprintf("i-%08d", n)
		for d := range days {
			day := from + metering.Hour(24*d)
			fields := make([]any, 0, 48)
			for h := range metering.Hour(24) {
				r := record(n, day+h, int64(24*d)+int64(h)+1, prev)
				fields = append(fields, r.Number, r.Encode())
				prev = r.Hash()
			}
			p.HSet(ctx, "weir:{"+id+"}:records:"+day.Begin().Format(time.DateOnly), fields...)
		}
		p.ZAdd(ctx, "weir:{weir}:records:2026-11", redis.Z{Member: fmt.Sprintf("t-%06d %s", n / *perTenant, id)})
		if n%500 == 499 || n == *instances-1 {
			if _, err := p.Exec(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := rdb.HSet(ctx, "weir:{weir}:seal", "hour", int64(from)+int64(24*days)-1, "since", 1).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestExport(t *testing.T) {
	days := *most
	server := parts.StartRedis(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), ReadTimeout: time.Minute})
	defer rdb.Close()
	start := time.Now()
	fill(t, rdb, days)
	fmt.Printf("%d instances x %d hours in Redis after %s\n", *instances, 24*days, time.Since(start).Round(time.Second))
	fmt.Printf("%-9s %4s %10s %12s %9s %10s %12s\n", "FORMAT", "DAYS", "ROWS", "BYTES", "SECONDS", "ROWS/S", "MAX RSS MiB")
	at, err := metering.ParseHour(first)
	if err != nil {
		t.Fatal(err)
	}
	now := (at + metering.Hour(24*days) + 1).Begin()
	for name := range strings.SplitSeq(*formats, ",") {
		format := export.Format(name)
		rss := make([]float64, days+1)
		for d := 1; d <= days; d++ {
			r := measure(t, job{Addr: server.Addr(), Format: format, Days: d, Now: now})
			rss[d] = r.MaxRSS
			fmt.Printf("%-9s %4d %10d %12d %9.1f %10.0f %12.0f\n", format, d, r.Rows, r.Bytes, r.Seconds, float64(r.Rows)/r.Seconds, r.MaxRSS)
			if want := int64(*instances) * 24 * int64(d); format != export.FOCUS && r.Rows != want {
				t.Errorf("%s of %d days has %d rows, want %d", format, d, r.Rows, want)
			}
		}
		if rss[days] > rss[1]*1.25+16 {
			t.Errorf("%s: memory grows with the period: %.0f MiB for a day, %.0f for %d", format, rss[1], rss[days], days)
		}
	}
}

// measure exports in a process of its own.
func measure(t *testing.T, j job) (r result) {
	t.Helper()
	role, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+string(role))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return r
}
