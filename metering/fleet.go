package metering

import "context"

// tell tells the fleet which hours this gateway, and those that it adopted, serve in,
// and which are final: where all is pushed.
func (p *Pusher) tell(ctx context.Context, served []Served, pushed bool) error {
	say := p.toTell(served, pushed)
	for len(say) > 0 {
		n := min(len(say), pushedAtOnce)
		was, err := p.cfg.Store.SetFleet(ctx, say[:n])
		if err != nil {
			return err
		}
		for i, h := range say[:n] {
			if p.told[h] && was[i] == "" {
				p.wantHeal(healLost)
			}
			p.told[h] = true
			if h.Final {
				p.cfg.Book.Told(h)
				h.Final = false
				delete(p.told, h)
			}
		}
		say = say[n:]
	}
	return nil
}

func (p *Pusher) toTell(served []Served, pushed bool) (say []Served) {
	// Of the hour that is, and the one before, it is said every time: the answer shows
	// whether Redis has lost it, even where nobody uses anything.
	last := HourOf(p.cfg.Now()) - 1
	again := func(h Served) bool { return h.Hour >= last && h.Epoch == p.cfg.Epoch && h.Gateway == p.cfg.Gateway }
	seen := make(map[Served]bool, len(served))
	for _, h := range served {
		seen[h] = true
		if (pushed || !h.Final) && (!p.told[h] || again(h)) {
			say = append(say, h)
		}
	}
	for h, known := range p.told {
		switch {
		case h.Hour.End().Before(p.cfg.Now().Add(-healSpan)):
			delete(p.told, h)
		case h.Final && pushed && !seen[h] && (!known || again(h)):
			say = append(say, h)
		}
	}
	return say
}
