package metering

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/tenancy"
)

const (
	// reconcileMinute is from which minute of an hour on it is compared with the logs.
	reconcileMinute = 20
	// settledAfter is after how long what was appended has been metered, or never will:
	// the longest that an answer takes, the way to Redis, and some.
	settledAfter = 35 * time.Second
	// secondLook is after how long a difference is looked at again before it is told.
	secondLook = 2 * time.Minute
	// baselineHours is how long one baseline is used: for that many hours counts are read.
	baselineHours = 6
)

// LogEnd is how many records a topic of an instance ever had, control records among them.
type LogEnd struct {
	ID      [16]byte
	Name    string
	Records int64
	Known   bool // else Records means nothing
}

// Logs are those of an instance.
type Logs struct {
	Topics []LogEnd
	// Skip says why the instance cannot be compared; "" if it can.
	Skip string
}

// ReconcilerConfig of a Reconciler.
type ReconcilerConfig struct {
	Records *RecordStore
	// Instances are those of the pools, and Logs asks the pools for their topics, now.
	Instances func() []tenancy.InstanceID
	Logs      func(ctx context.Context) (map[tenancy.InstanceID]Logs, error)
	// Holds says whether it is this gateway's turn: one compares for all.
	Holds    func() bool
	Now      func() time.Time // time.Now if nil
	Log      *slog.Logger     // nothing if nil
	Registry prometheus.Registerer
	// Wait waits, or returns ctx's error; in tests.
	Wait func(ctx context.Context, d time.Duration) error
}

// Reconciler compares, each hour, what was metered with what is in the logs.
type Reconciler struct {
	cfg  ReconcilerConfig
	last Hour // in which it was done
	diff prometheus.Gauge
}

// NewReconciler returns one that does nothing until Run.
func NewReconciler(cfg ReconcilerConfig) *Reconciler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Wait == nil {
		cfg.Wait = wait
	}
	r := &Reconciler{cfg: cfg, diff: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "weir_usage_reconcile_difference_records",
		Help: "By how many records what was metered and what is in the logs differ, of all instances together, when this gateway last compared them.",
	})}
	if cfg.Registry != nil {
		cfg.Registry.MustRegister(r.diff)
	}
	return r
}

// Run compares once an hour, while it is this gateway's turn, until ctx ends.
func (r *Reconciler) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		now := r.cfg.Now()
		if hour := HourOf(now); r.cfg.Holds() && hour != r.last && now.Sub(hour.Begin()) >= reconcileMinute*time.Minute {
			if err := r.Compare(ctx); err == nil {
				r.last = hour
			} else if ctx.Err() == nil {
				r.cfg.Log.Warn("usage was not compared with the logs, and is next minute", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Compare compares all instances now, those that differ twice, and tells of those that
// still do. It takes some minutes.
func (r *Reconciler) Compare(ctx context.Context) error {
	results, err := r.look(ctx, r.cfg.Instances())
	if err != nil {
		return err
	}
	var suspects []tenancy.InstanceID
	for id, one := range results {
		if one.result.Difference != 0 {
			suspects = append(suspects, id)
		}
	}
	if len(suspects) > 0 {
		if err := r.cfg.Wait(ctx, secondLook); err != nil {
			return err
		}
		again, err := r.look(ctx, suspects)
		if err != nil {
			return err
		}
		maps.Copy(results, again)
	}
	sum := int64(0)
	for id, one := range results {
		if d := one.result.Difference; d != 0 {
			sum += max(d, -d)
			r.tell(id, one.result)
			one.base = one.here // told once
		}
	}
	r.diff.Set(float64(sum))
	return r.cfg.Records.saveCompared(ctx, results)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look compares some instances.
func (r *Reconciler) look(ctx context.Context, ids []tenancy.InstanceID) (map[tenancy.InstanceID]*compared, error) {
	now := HourOf(r.cfg.Now())
	all, err := r.cfg.Records.baselines(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.base.Hour < now-2*baselineHours { // nobody has compared for long
			one.base = baseline{}
		}
		one.here = baseline{Hour: now, At: r.cfg.Now().Unix()}
	}
	low, err := r.metered(ctx, all, now)
	if err != nil {
		return nil, err
	}
	logs, err := r.cfg.Logs(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.cfg.Wait(ctx, settledAfter); err != nil {
		return nil, err
	}
	high, err := r.metered(ctx, all, HourOf(r.cfg.Now()))
	if err != nil {
		return nil, err
	}
	for id, one := range all {
		l := logs[id]
		if len(l.Topics) == 0 && l.Skip == "" && one.base.Topics == nil {
			delete(all, id) // it has no logs, and had none
			continue
		}
		one.judge(l, low[id], high[id], r.cfg.Now())
	}
	return all, nil
}

// tell raises the alarm.
func (r *Reconciler) tell(id tenancy.InstanceID, c Comparison) {
	fix := "look for a metering.dir that no gateway serves (its counts come when one does), for gateways that were killed in the middle of requests " +
		"(their clients were not told that these were written), for whoever writes to the pool beside the gateways, and for transactions that wrote nothing, or were open for long: their ends take offsets too"
	if c.Difference < 0 {
		fix = "look whether a topic was created and deleted again since then, or requests without acknowledgement (acks=0) were refused by brokers; " +
			"else keep the metering.dir of all gateways and report it: somebody may pay for too much"
	}
	r.cfg.Log.Error("what was metered and what is in the logs differ", "instance", string(id), "difference_records", c.Difference,
		"metered_records_least", c.MeteredLeast, "metered_records_most", c.MeteredMost, "appended_records", c.Appended, "since", c.Since, "fix", fix)
}
