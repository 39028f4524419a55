package metering

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"time"
)

// Why all counts are pushed again.
const (
	healStart     = "start"
	healLost      = "lost"
	healMaster    = "master"
	healReconnect = "reconnect"
	healHourly    = "hourly"
)

const (
	// healSpan is how far back counts are pushed again.
	healSpan = 48 * time.Hour
	// reconnectEvery bounds how often a Redis that comes and goes is healed for that
	// alone: what it lost shows by other signs too.
	reconnectEvery = time.Minute
	// hourlyFrom and hourlyFor: within these of each hour, so that what an idle Redis
	// has lost is back before the hour is sealed. Gateways take turns.
	hourlyFrom = 3 * time.Minute
	hourlyFor  = 8 * time.Minute
)

// wantHeal asks for everything to be pushed again; the first reason counts.
func (p *Pusher) wantHeal(reason string) {
	if reason == healReconnect && p.cfg.Now().Sub(p.healed) < reconnectEvery {
		return
	}
	if p.want == "" {
		p.want = reason
	}
}

// lookAtMasters looks whether all masters of Redis are the ones that were there before.
func (p *Pusher) lookAtMasters(ctx context.Context) {
	p.seeMasters(p.cfg.Store.runIDs(ctx))
	if turn := hourlyTurn(p.cfg.Gateway, p.cfg.Now()); p.healed.Before(turn) && !p.cfg.Now().Before(turn) {
		p.wantHeal(healHourly)
	}
}

// seeMasters looks whether one is new. One that was a master before, and another was
// since, is: it has what that one gave it, which may not be all.
func (p *Pusher) seeMasters(ids []string, all bool) {
	known := len(p.ids) > 0
	now := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !p.ids[id] && known {
			p.wantHeal(healMaster)
		}
		now[id] = true
	}
	if !all { // who does not answer now may be the same when it does
		maps.Copy(now, p.ids)
	}
	p.ids = now
}

// hourlyTurn is when a gateway pushes everything in the hour that is.
func hourlyTurn(gateway string, now time.Time) time.Time {
	h := fnv.New32a()
	_, _ = h.Write([]byte(gateway))
	return HourOf(now).Begin().Add(hourlyFrom + time.Duration(h.Sum32()%uint32(hourlyFor/time.Second))*time.Second)
}

// heal pushes everything of the last 48 hours, if that is wanted. What changes
// meanwhile is not kept waiting.
func (p *Pusher) heal(ctx context.Context) error {
	if p.want == "" {
		return nil
	}
	reason, began := p.want, p.cfg.Now()
	p.cfg.Store.Forget()
	p.cfg.Store.remark(reason == healLost || reason == healMaster)
	for h := range p.told {
		p.told[h] = false
	}
	p.want = "" // what asks for it from here on means: once more
	n, err := p.pushAll(ctx, HourOf(began.Add(-healSpan)))
	if err == nil {
		err = p.push(ctx)
	}
	for _, heal := range p.cfg.Healers {
		if err == nil {
			err = heal(ctx)
		}
	}
	if err != nil {
		p.want = reason
		return fmt.Errorf("pushing all usage again (%s): %w", reason, err)
	}
	p.healed = began
	p.metrics.heals.WithLabelValues(reason).Inc()
	log := p.cfg.Log.Debug
	if reason == healLost || reason == healMaster {
		log = p.cfg.Log.Warn
	}
	log("usage of the last 48 hours was pushed to Redis again", "reason", reason, "counts", n, "took", p.cfg.Now().Sub(began).Round(time.Millisecond))
	return nil
}

// pushAll pushes every count from an hour on.
func (p *Pusher) pushAll(ctx context.Context, since Hour) (n int, err error) {
	some := make([]Count, 0, pushedAtOnce)
	flush := func() error {
		done, lost, err := p.cfg.Store.Push(ctx, some)
		n += len(done)
		some = some[:0]
		if lost {
			p.wantHeal(healLost) // and that while it was healed
		}
		if err == nil && p.cfg.Now().Sub(p.fresh) >= pushEvery {
			err = p.push(ctx)
		}
		return err
	}
	for c, e := range p.cfg.Book.All(since) {
		if e != nil {
			// A damaged spool keeps nobody from what can be read.
			p.cfg.Log.Error("usage: some counts cannot be read and are not pushed again", "error", e,
				"fix", "see what metering.dir has set aside as *.damaged")
			continue
		}
		if some = append(some, c); len(some) == cap(some) {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}
