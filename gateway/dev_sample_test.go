package gateway

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"weir/admin/api"
	"weir/billing"
	"weir/metering"
)

// Sample usage is sealed up to the last hour, whole, intact, and the same each time.
func TestSampleUsage(t *testing.T) {
	begin := billing.MonthOf(time.Now()).Begin()
	d := &dev{started: begin.Add(30*time.Hour + 20*time.Minute), log: discardLog(), o: DevOptions{Out: io.Discard}}
	var hashes [][32]byte
	for range 2 {
		rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		defer rdb.Close()
		d.unsaved = rdb
		if err := d.sample(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		records := metering.NewRecordStore(metering.RecordStoreConfig{
			Redis: rdb, Store: metering.NewStore(metering.StoreConfig{Redis: rdb}), Now: func() time.Time { return d.started },
		})
		chain, err := records.Verify(t.Context(), demoInstance)
		if err != nil || chain.Broken != nil || chain.Records != 30 {
			t.Fatalf("%+v %v, want 30 records", chain, err)
		}
		hashes = append(hashes, chain.Hash)
		for r, err := range records.Records(t.Context(), metering.Query{From: metering.HourOf(begin), To: metering.HourOf(d.started)}) {
			if err != nil || !r.Complete || r.Tenant != devTenant || r.Values[metering.ProduceBytes] == 0 {
				t.Errorf("%+v %v", r, err)
			}
		}
		prices, err := billing.NewStore(rdb, nil).Prices(t.Context())
		if err != nil || prices.Prices(devPlan, billing.MonthOf(begin), time.Time{}) == nil {
			t.Errorf("the plan has no prices: %v", err)
		}
	}
	if hashes[0] != hashes[1] {
		t.Error("it is not the same each time")
	}
}

func TestSampleUsageRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data", "usage"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := DevOptions{DataDir: dir, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Out: io.Discard, Err: io.Discard, SampleUsage: true}
	wantUserError(t, Dev(t.Context(), o, nil), "usage-there", dir)
	o.DataDir, o.Redis = t.TempDir(), "redis://127.0.0.1:1"
	wantUserError(t, Dev(t.Context(), o, nil), "usage", "--sample-usage")
}

// What demo used is what its clients did, however often weir dev was started.
func TestDevProducesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".weir")
	startDev(t, DevOptions{DataDir: dir}).close()
	r := startDev(t, DevOptions{DataDir: dir})
	r.produce("hello", 2)
	produced := ""
	tick := time.NewTicker(200 * time.Millisecond) // a token may ask 20 times a second
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); produced == "" && time.Now().Before(deadline); <-tick.C {
		var u api.Usage
		if err := json.Unmarshal([]byte(r.get("/v1/usage?instance=demo&granularity=month&meters=produce_records,fetch_records")), &u); err != nil {
			t.Fatal(err)
		}
		if len(u.Items) > 0 && u.Items[0].Meters["produce_records"] != "0" {
			produced = u.Items[0].Meters["produce_records"] + " " + u.Items[0].Meters["fetch_records"]
		}
	}
	if produced != "2 0" {
		t.Errorf("records produced and fetched are %s, want 2 0", produced)
	}
}

// Sample usage that was cut off was never there.
func TestHalfASampleIsNotSaved(t *testing.T) {
	for _, halfway := range []bool{true, false} {
		d := &dev{site: &site{abs: t.TempDir()}, log: discardLog()}
		if err := os.Mkdir(d.site.path("data"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := d.openRedis(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.unsaved.Set(t.Context(), "half", 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		d.halfway = halfway
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(d.site.redisFile()); os.IsNotExist(err) != halfway {
			t.Errorf("halfway %t: %v", halfway, err)
		}
	}
}
