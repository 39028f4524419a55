package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"weir/billing"
	"weir/metering"
)

const (
	// sampleMonths is how many whole months there is sample usage of, before this one.
	sampleMonths = 2
	// sampleGateway is who is said to have counted it.
	sampleGateway = "sample"
	// fleetAtOnce is how many of its hours are written in one round trip.
	fleetAtOnce = 250
	// sampleSeed makes it the same each time.
	sampleSeed = 20261101
)

// checkSample refuses sample usage where it would mix with real usage: none of it could
// be taken out again.
func (d *dev) checkSample() error {
	if !d.o.SampleUsage {
		return nil
	}
	if d.o.Redis != "" {
		return userError("usage", nil, []string{d.o.Command + " dev --sample-usage      with a Redis of its own inside"},
			"--sample-usage is not for a Redis that others may use")
	}
	_, err := os.Stat(d.site.usageDir())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return userError("usage-there", nil, []string{
		d.o.Command + " dev --data-dir sample/" + defaultDataDir + " --sample-usage      another folder",
		d.o.Command + " dev --fresh --sample-usage      starts over, with everything in " + d.site.dir + "/data gone",
	}, "%s has usage already, which --sample-usage does not mix with", d.site.dir)
}

// sample counts what demo is said to have used, hour by hour from some months ago, and
// seals it by the same stores and sealer as any other usage, at a clock of its own. The
// plan dev has prices from then on. Its writes are saved together by the first one of
// somebody else, or at the end of the process: cut off before (halfway), it was never there.
func (d *dev) sample(ctx context.Context, months int) error {
	now := d.started.UTC()
	month := billing.MonthOf(now) - billing.Month(months)
	first, last := metering.HourOf(month.Begin()), metering.HourOf(now.Add(-metering.SealAfter))-1
	at := first.Begin()
	clock := func() time.Time { return at }
	if err := billing.NewStore(d.unsaved, nil).SetPrices(ctx, devPlan, month, *devPrices("5.00"), at); err != nil {
		return fmt.Errorf("prices of sample usage: %w", err)
	}
	store := metering.NewStore(metering.StoreConfig{Redis: d.unsaved, Now: clock})
	if err := countSample(ctx, store, first, last); err != nil {
		return fmt.Errorf("sample usage: %w", err)
	}
	records := metering.NewRecordStore(metering.RecordStoreConfig{Redis: d.unsaved, Store: store, Now: clock})
	sealer := metering.NewSealer(metering.SealerConfig{
		Records: records, Store: store, Gateway: devGateway, Now: clock, Log: d.log,
		HealWait: time.Nanosecond, Settle: time.Nanosecond, LateWait: time.Nanosecond,
	})
	// The first rounds find out, by a clock that goes on, that nothing was ever sealed.
	for range 3 {
		sealer.Round(ctx)
		at = at.Add(time.Second)
	}
	at = now
	sealer.Round(ctx)
	if h, ok, err := records.SealedThrough(ctx); err != nil || !ok || h < last {
		return errors.Join(fmt.Errorf("sample usage is sealed up to %s only", h), err, ctx.Err())
	}
	return nil
}

// countSample brings the counts of all hours to the store, as a gateway that has ended.
func countSample(ctx context.Context, store *metering.Store, first, last metering.Hour) error {
	source := metering.Source{Gateway: sampleGateway, Epoch: first.Begin().UnixMicro(), Part: 1}
	var counts []metering.Count
	var served []metering.Served
	for h := first; h <= last; h++ {
		counts = append(counts, metering.Count{
			Line:   metering.Line{Hour: h, Instance: demoInstance, Tenant: devTenant, Plan: devPlan, Pool: devPool},
			Source: source, Seq: 1, Final: true, Values: sampleHour(h),
		})
		served = append(served, metering.Served{Hour: h, Gateway: source.Gateway, Epoch: source.Epoch, Final: true})
	}
	if _, _, err := store.Push(ctx, counts); err != nil {
		return err
	}
	for some := range slices.Chunk(served, fleetAtOnce) {
		if _, err := store.SetFleet(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// sampleHour is what demo is said to have used in an hour: most by day, less at weekends.
func sampleHour(h metering.Hour) (v metering.Values) {
	const partitions, clients, kept = 24, 6, 40 << 30
	r := rand.New(rand.NewPCG(sampleSeed, uint64(h))) // made up, and the same each time
	at := h.Begin()
	busy := 0.15 + 0.85*math.Max(0, math.Sin(float64(at.Hour()-6)/14*math.Pi))
	if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
		busy *= 0.3
	}
	records := int64(400_000 * busy * (0.8 + 0.4*r.Float64()))
	v[metering.ProduceRecords], v[metering.ProduceBytes] = records, records*(600+r.Int64N(200))
	v[metering.FetchRecords], v[metering.FetchBytes] = 2*records, 2*v[metering.ProduceBytes]
	v[metering.Requests] = records/20 + clients*3600/5
	v[metering.RequestBytes] = v[metering.ProduceBytes] + 120*v[metering.Requests]
	v[metering.ResponseBytes] = v[metering.FetchBytes] + 80*v[metering.Requests]
	v[metering.ConnectionSeconds], v[metering.ConnectionAttempts] = clients*3600, r.Int64N(4)
	v[metering.PartitionSeconds] = partitions * 3600
	v[metering.StorageByteSeconds] = int64(float64(kept)*(0.9+0.2*r.Float64())) * 3600
	return v
}
