package quota

import (
	"context"
	"slices"
	"time"

	"weir/tenancy"
)

const (
	// placeTimeout is how long a connection waits for a place.
	placeTimeout = 500 * time.Millisecond
	// placesLapse is after how long without a new connection places that are not
	// taken are handed back.
	placesLapse = time.Second
	// placesEvery is how often a gateway repeats which places it has: what Redis
	// knows of them ends a while later (placesTTL).
	placesEvery = 10 * time.Minute
)

// connections are those of an account. Its mutex guards them.
type connections struct {
	connecting int   // calls of Connect
	used       int64 // places that are taken
	granted    int64 // places that this gateway has
	others     int64 // and other gateways, by the newest answer
	waiters    []*placeWaiter
	told       int64     // used, as was asked with
	wantedAt   time.Time // the newest time that somebody wanted one
	listed     bool      // in the list of the rounds
}

// placeWaiter is a connection that waits for a place.
type placeWaiter struct {
	planned bool // the round that is under way asks for it
	answer  chan error
}

func (c *connections) unused() bool {
	return c.connecting == 0 && c.used == 0 && c.granted == 0 && !c.listed
}

// most is how many connections there may be; bounded is false if that is not limited.
func (a *account) most() (n int64, bounded bool) {
	l := a.limits[tenancy.LimitConnections]
	return int64(l.Value), l.Source != "" && l.Source != tenancy.SourceNone
}

// connect takes a place. connecting was counted by the caller.
func (a *account) connect(ctx context.Context) error {
	a.mu.Lock()
	defer func() {
		a.connecting--
		a.mu.Unlock()
	}()
	most, bounded := a.most()
	switch {
	case !bounded:
		a.used++
		return nil
	case a.limiter.cfg.Lender == nil || a.limiter.frozen.Load():
		return a.takeAloneLocked(most)
	case a.used < min(a.granted, most) && len(a.waiters) == 0:
		a.used++
		a.wantedAt = time.Now()
		a.unsettledLocked()
		return nil
	case a.used >= most:
		return ErrConnections
	}
	w := &placeWaiter{answer: make(chan error, 1)}
	a.waiters = append(a.waiters, w)
	a.unsettledLocked()
	a.mu.Unlock()
	timer := time.NewTimer(placeTimeout)
	defer timer.Stop()
	var err error
	select {
	case err = <-w.answer:
		a.mu.Lock()
		return err
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	a.mu.Lock()
	i := slices.Index(a.waiters, w)
	if i < 0 { // it was answered at this very moment
		return <-w.answer
	}
	a.waiters = slices.Delete(a.waiters, i, i+1)
	if err == nil {
		err = a.takeAloneLocked(most)
	}
	return err
}

// takeAloneLocked takes a place by what is known here: nobody else is there to ask.
func (a *account) takeAloneLocked(most int64) error {
	if a.used+a.others >= most {
		return ErrConnections
	}
	a.used++
	a.unsettledLocked()
	return nil
}

func (a *account) disconnect() {
	a.mu.Lock()
	a.used--
	if _, bounded := a.most(); bounded {
		a.unsettledLocked()
	}
	unused := a.unused()
	a.mu.Unlock()
	if unused {
		a.limiter.forget(a)
	}
}

// limitChangedLocked: there may be places now for those who are told to wait, or what
// nobody counted has to be counted.
func (a *account) limitChangedLocked() {
	if _, bounded := a.most(); bounded && a.used > 0 {
		a.unsettledLocked()
	}
}

// unsettledLocked puts the account on the list of those whose places are not what
// they should be.
func (a *account) unsettledLocked() {
	l := a.limiter
	if a.listed || l.cfg.Lender == nil {
		return
	}
	a.listed = true
	l.hurrying.Lock()
	l.placing = append(l.placing, a)
	l.hurrying.Unlock()
	l.wakeRun()
}

// planPlaces asks for places where they are wanted, and hands back those that are not.
func (r *rounds) planPlaces(now time.Time, ask func(*account) *InstanceAsk) {
	l := r.limiter
	if now.Sub(r.checked) >= placesEvery {
		r.checked = now
		l.each(func(a *account) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if _, bounded := a.most(); bounded && a.used > 0 {
				a.told = -1
				a.unsettledLocked()
			}
		})
	}
	l.hurrying.Lock()
	r.placing = append(r.placing, l.placing...)
	l.placing = nil
	l.hurrying.Unlock()
	r.placing = slices.DeleteFunc(r.placing, func(a *account) bool {
		p, settled := a.placeAsk(now)
		if p != nil {
			p.Alive, p.stale = r.alive, now.Sub(r.answered) > 2*beatEvery
			ask(a).Places = p
		}
		if settled {
			l.forget(a)
		}
		return settled
	})
}

// placeAsk is what to ask for now; nil if nothing. settled: there is no more to do.
func (a *account) placeAsk(now time.Time) (p *PlaceAsk, settled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	most, bounded := a.most()
	if !bounded {
		a.granted, a.others, a.listed = 0, 0, false // what Redis knows ends by itself
		return nil, true
	}
	for _, w := range a.waiters {
		w.planned = true
	}
	wanted := int64(len(a.waiters))
	if wanted > 0 {
		a.wantedAt = now
	}
	idle := now.Sub(a.wantedAt) >= placesLapse
	switch {
	case wanted > 0 || a.told < 0 || a.used > a.granted: // more than Redis knows of
	case idle && a.used < a.granted: // fewer
	default:
		a.listed = a.used < a.granted
		return nil, !a.listed
	}
	a.told = a.used
	return &PlaceAsk{Limit: most, Used: a.used, Wanted: wanted}, false
}

// placed puts an answer to use.
func (a *account) placed(ask PlaceAsk, got Placed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.granted, a.others = got.Granted, got.Others
	a.waiters = slices.DeleteFunc(a.waiters, func(w *placeWaiter) bool {
		switch {
		case a.used < a.granted:
			a.used++
			w.answer <- nil
		case w.planned && !ask.stale:
			w.answer <- ErrConnections
		default:
			return false // it came later: the next round asks for it
		}
		return true
	})
}

// placesFailed decides without an answer.
func (a *account) placesFailed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = -1
	most, _ := a.most()
	for _, w := range a.waiters {
		w.answer <- a.takeAloneLocked(most)
	}
	a.waiters = nil
}

// leavePlaces hands back all places.
func (r *rounds) leavePlaces(round *Round, asks map[*account]*InstanceAsk) {
	r.limiter.each(func(a *account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.granted == 0 {
			return
		}
		in := asks[a]
		if in == nil {
			in = &InstanceAsk{Instance: a.id, account: a}
			round.Asks = append(round.Asks, in)
		}
		most, _ := a.most()
		in.Places = &PlaceAsk{Limit: most}
	})
}
