package quota

import "time"

// warnAfter is after how long without an answer somebody should look at it.
const warnAfter = time.Minute

// state takes note of whether there was an answer; some says that there was one for
// some instance. Then Redis is there, and what keeps it from the others is theirs alone.
func (r *rounds) state(now time.Time, err error, some bool) {
	l := r.limiter
	l.metrics.calls.Inc()
	if err != nil {
		l.metrics.errors.Inc()
		if r.since.IsZero() {
			r.since = now
		}
		away := now.Sub(r.since)
		if some {
			l.frozen.Store(false)
			l.metrics.mode.Set(0)
		} else if away >= lapseAfter {
			l.frozen.Store(true)
			l.metrics.mode.Set(1)
		}
		if away >= warnAfter && !r.warned {
			r.warned = true
			l.cfg.Log.Warn("quotas run on local shares: no answer from redis", "since", r.since.UTC(), "gateways", l.gateways.Load(), "error", err.Error(),
				"fix", "check that this gateway reaches redis: until then an instance may get less than its limits, where its load moves between gateways")
		}
		return
	}
	if r.warned {
		l.cfg.Log.Info("quotas are shared over all gateways again", "after", now.Sub(r.since))
	}
	if !r.since.IsZero() {
		r.resumed = now
	}
	r.since, r.warned = time.Time{}, false
	l.frozen.Store(false)
	l.metrics.mode.Set(0)
}
