package quota

import "time"

// warnAfter is after how long without an answer somebody should look at it.
const warnAfter = time.Minute

// state takes note of a round that is over. Only where nobody answered anything is
// Redis away: where it is for some instances alone (a shard of Redis Cluster, a key
// that is broken), the others lease as before.
func (r *rounds) state(now time.Time, round *Round, err error) {
	r.limiter.metrics.calls.Inc()
	if err != nil {
		r.limiter.metrics.errors.Inc()
	}
	r.away(now, err != nil && !round.answered())
	r.alarm(now, err)
}

// away takes note of whether nobody answers.
func (r *rounds) away(now time.Time, is bool) {
	l := r.limiter
	switch {
	case !is:
		if !r.since.IsZero() {
			r.resumed = now
		}
		r.since = time.Time{}
		l.frozen.Store(false)
		l.metrics.mode.Set(0)
		return
	case r.since.IsZero():
		r.since = now
	}
	if now.Sub(r.since) >= lapseAfter {
		l.frozen.Store(true)
		l.metrics.mode.Set(1)
	}
}

// alarm tells of answers that have been missing for long, all or some of them, and
// that they are back.
func (r *rounds) alarm(now time.Time, err error) {
	l := r.limiter
	if err == nil {
		if r.warned {
			l.cfg.Log.Info("quotas are shared over all gateways again", "after", now.Sub(r.troubled))
		}
		r.troubled, r.warned = time.Time{}, false
		return
	}
	if r.troubled.IsZero() {
		r.troubled = now
	}
	if now.Sub(r.troubled) < warnAfter || r.warned {
		return
	}
	r.warned = true
	of := "all instances"
	if r.since.IsZero() {
		of = "some instances"
	}
	l.cfg.Log.Warn("quotas run on local shares: no answer from redis", "of", of, "since", r.troubled.UTC(), "gateways", l.gateways.Load(), "error", err.Error(),
		"fix", "check that this gateway reaches redis: until then an instance may get less than its limits, where its load moves between gateways")
}

// answered reports whether there was an answer to anything in the round.
func (r *Round) answered() bool {
	for _, ask := range r.Asks {
		if ask.Settled {
			return true
		}
	}
	return r.Alive != nil
}
