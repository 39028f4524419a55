package metering

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"weir/tenancy"
)

const (
	// failedMost is how many instances of a page may fail before it is not them, but Redis.
	failedMost = 10
	// movedMost is how often a chain is read again because it was appended to meanwhile.
	movedMost = 5
)

// sealing is one instance that is being sealed.
type sealing struct {
	id   tenancy.InstanceID
	hour Hour
	late bool

	head head
	had  []Record // of that hour, before
	more []Record // what is missing
	err  error
	// damaged are counts that cannot be read.
	damaged []error
}

// sealHour seals all instances of an hour, or those that failed before. It returns the
// failures; s.failed has whom they are of, none of anybody if nothing was gone through.
func (s *Sealer) sealHour(ctx context.Context, h Hour) error {
	fleet, err := s.counts.Fleet(ctx, h)
	if err != nil {
		return err
	}
	if again, ok := s.failed[h]; ok {
		delete(s.failed, h)
		return s.sealPage(ctx, h, fleet, again)
	}
	var errs error
	page := make([]tenancy.InstanceID, 0, sealPage)
	for id, err := range s.counts.Instances(ctx, h) {
		if err != nil {
			delete(s.failed, h)
			return err
		}
		if page = append(page, id); len(page) == sealPage {
			errs = errors.Join(errs, s.sealPage(ctx, h, fleet, page))
			page = page[:0]
		}
		if len(s.failed[h]) > failedMost {
			delete(s.failed, h)
			return errs
		}
	}
	return errors.Join(errs, s.sealPage(ctx, h, fleet, page))
}

// sealPage seals some instances of an hour, and notes those that fail.
func (s *Sealer) sealPage(ctx context.Context, h Hour, fleet map[string]string, ids []tenancy.InstanceID) (failure error) {
	if held, err := s.hold(ctx); err != nil || !held {
		s.failed[h] = append(s.failed[h], ids...)
		return errors.Join(err, fmt.Errorf("hour %s: the lease for sealing is another gateway's", h))
	}
	all := make([]*sealing, len(ids))
	for i, id := range ids {
		all[i] = &sealing{id: id, hour: h}
	}
	if err := s.seal(ctx, all, map[Hour]map[string]string{h: fleet}); err != nil {
		s.failed[h] = append(s.failed[h], ids...)
		return err
	}
	for _, one := range all {
		if errors.Is(one.err, errChain) {
			one.err = s.setAside(ctx, one)
		}
		if one.err != nil {
			s.failed[h], failure = append(s.failed[h], one.id), one.err
		}
	}
	return failure
}

// setAside lets everybody else's hour be sealed while one chain is damaged: what is
// missing becomes a correction when it is repaired.
func (s *Sealer) setAside(ctx context.Context, one *sealing) error {
	s.cfg.Log.Error("usage of an instance cannot be sealed", "instance", string(one.id), "hour", one.hour.String(), "error", one.err,
		"fix", "weir usage verify "+string(one.id)+" says where its records are damaged; put them back from a dump or an archive, and the hour is sealed as a correction")
	return s.counts.mark(ctx, []lateHour{{one.hour, one.id}})
}

// seal seals instances, each of an hour; each has its own error. What is returned is
// what held up all of them.
func (s *Sealer) seal(ctx context.Context, all []*sealing, fleets map[Hour]map[string]string) error {
	for range movedMost {
		each(all, func(one *sealing) { one.err = s.read(ctx, one, fleets[one.hour]) })
		if err := s.enlist(ctx, all); err != nil {
			return err
		}
		each(all, func(one *sealing) {
			if one.err == nil {
				one.err = s.cfg.Records.write(ctx, one.head, one.head.link(one.more), one.more)
			}
		})
		var moved []*sealing
		var archived []Record
		for _, one := range all {
			switch {
			case errors.Is(one.err, errMoved):
				moved = append(moved, one)
			case one.err == nil:
				s.tellDamaged(one)
				s.metrics.sealed(one.more)
				archived = append(append(archived, one.had...), one.more...)
			}
		}
		s.cfg.Archive.Append(archived)
		if all = moved; len(all) == 0 {
			break
		}
	}
	s.cfg.Archive.Sync()
	return nil
}

// each calls fn for all at once, but not for more than sealWorkers.
func each[T any](all []*T, fn func(*T)) {
	var g errgroup.Group
	g.SetLimit(sealWorkers)
	for _, one := range all {
		g.Go(func() error { fn(one); return nil })
	}
	_ = g.Wait()
}

// read finds out what is missing. The head is read first: if it is still the head when
// that is appended, no record was missed.
func (s *Sealer) read(ctx context.Context, one *sealing, fleet map[string]string) (err error) {
	if one.head, err = s.cfg.Records.head(ctx, one.id); err != nil {
		return err
	}
	one.had, one.more = nil, nil
	if one.head.number > 0 && one.head.hour >= one.hour {
		day, err := s.cfg.Records.day(ctx, one.id, one.hour, true)
		if err != nil {
			return err
		}
		for _, r := range day {
			if r.Hour == one.hour {
				one.had = append(one.had, r)
			}
		}
	}
	counts, damaged, err := s.counts.Counts(ctx, one.id, one.hour)
	if err != nil {
		return err
	}
	one.damaged = damaged
	one.more = hourOf{
		hour: one.hour, counts: counts, fleet: fleet, sealed: one.had, late: one.late, lacking: len(damaged) > 0, now: s.cfg.Now(),
	}.plan()
	return nil
}

// enlist puts those that will have records into the lists of their months.
func (s *Sealer) enlist(ctx context.Context, all []*sealing) error {
	members := map[string][]string{}
	hours := map[string]Hour{}
	seen := map[string]bool{}
	for _, one := range all {
		for _, r := range one.more {
			m := string(r.Tenant) + " " + string(r.Instance)
			month := r.Hour.month()
			if !seen[month+" "+m] {
				seen[month+" "+m], hours[month] = true, r.Hour
				members[month] = append(members[month], m)
			}
		}
	}
	for month, some := range members {
		if err := s.cfg.Records.list(ctx, hours[month], some); err != nil {
			return err
		}
	}
	return nil
}
