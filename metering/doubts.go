package metering

import (
	"context"
	"time"

	"weir/tenancy"
)

const (
	// doubtFor is how long others have to say that they counted a doubtful batch: until
	// shortly before its hour can be sealed.
	doubtFor = 12 * time.Minute
	// doubtSeen is the least time that Redis must have had a doubt before it ends.
	doubtSeen = time.Minute
	// A doubt is claimed in every round while Redis has it for no longer, then in one of claimEvery: an
	// answer comes soon, or never.
	doubtYoung = time.Minute
	claimEvery = 10
	// doubtsAtOnce bounds a round.
	doubtsAtOnce = 5000
)

// claim is what tells a doubt from others.
type claim struct {
	id      tenancy.InstanceID
	gateway string
	epoch   int64
	batchKey
}

func (d *Doubt) claim() claim { return claim{d.Instance, d.Gateway, d.Epoch, d.batch()} }

// settle claims this gateway's doubtful batches, ends those that are answered or old, and
// answers others'. Of all gateways that were told that a batch was a duplicate one
// has it claimed, and the rest take theirs back; that one takes its own back when the
// gateway that counted the original says so. So it is counted once, in whatever order
// they ask. every: also of the old ones it asks about each.
func (p *Pusher) settle(ctx context.Context, every bool) error {
	all, err := p.doubtful(ctx, every)
	if err != nil || len(all) == 0 {
		return err
	}
	err = p.cfg.Store.claimDoubts(ctx, all)
	counted := map[tenancy.InstanceID][]batchKey{}
	var settled []any
	for _, d := range all {
		for i, answer := range d.answers {
			p.conclude(d.claims[i], answer)
		}
		for _, b := range d.open {
			if p.cfg.Book.Counted(b.partition, b.offset) {
				counted[d.id] = append(counted[d.id], b)
			}
		}
		if d.cmd.Err() == nil && d.left == 0 {
			settled = append(settled, string(d.id))
		}
	}
	if err != nil {
		return err
	}
	return p.cfg.Store.answerDoubts(ctx, counted, settled)
}

// doubtful gathers this gateway's doubts, whose turn it is, and whose instance any
// gateway has doubts of.
func (p *Pusher) doubtful(ctx context.Context, every bool) (all []*doubtful, err error) {
	by := map[tenancy.InstanceID]*doubtful{}
	of := func(id tenancy.InstanceID) *doubtful {
		d := by[id]
		if d == nil || len(d.claims) >= claimedAtOnce {
			d = &doubtful{id: id}
			by[id] = d
			all = append(all, d)
		}
		return d
	}
	mine := p.cfg.Book.Doubts()
	open := make(map[claim]time.Time, len(mine))
	n := 0
	for _, d := range mine {
		since, claimed := p.claimed[d.claim()]
		if claimed {
			open[d.claim()] = since
		}
		now := p.cfg.Now()
		if n < doubtsAtOnce && (!claimed || now.Sub(since) < doubtYoung || now.Sub(d.At) >= doubtFor || every) {
			of(d.Instance).claims = append(of(d.Instance).claims, d)
			n++
		}
	}
	p.claimed = open // without those that have ended
	ids, err := p.cfg.Store.doubtfulInstances(ctx)
	for _, id := range ids {
		of(tenancy.InstanceID(id))
	}
	return all, err
}

// conclude ends a doubt, if it can be.
func (p *Pusher) conclude(d Doubt, answer doubtAnswer) {
	now := p.cfg.Now()
	switch answer {
	case doubtCounted, doubtTaken:
		p.cfg.Book.TakeBack(d)
	case doubtNew:
		p.claimed[d.claim()] = now
	case doubtOpen:
		since, claimed := p.claimed[d.claim()]
		if !claimed {
			p.claimed[d.claim()], since = now, now
		}
		if now.Sub(d.At) >= doubtFor && now.Sub(since) >= doubtSeen {
			p.cfg.Book.Keep(d)
		}
	}
}
