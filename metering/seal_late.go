package metering

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// sealLate seals corrections of what was counted, or changed, after its hour was
// sealed: when it has had lateWait to come whole. Marks of hours that are not sealed
// yet stay until they are.
func (s *Sealer) sealLate(ctx context.Context) error {
	now := s.cfg.Now()
	marked := map[Late]time.Time{}
	page := make([]Late, 0, sealPage)
	var errs error
	for mark, err := range s.counts.Late(ctx) {
		if err != nil {
			return errors.Join(errs, err)
		}
		seen, ok := s.late[mark]
		if !ok {
			seen = now
		}
		marked[mark] = seen
		if mark.Hour > s.asked.hour || now.Sub(seen) < s.cfg.LateWait {
			continue
		}
		if page = append(page, mark); len(page) == sealPage {
			errs = errors.Join(errs, s.correct(ctx, page))
			page = page[:0]
		}
	}
	s.late = marked
	return errors.Join(errs, s.correct(ctx, page))
}

// correct seals what was marked. A mark that was made anew meanwhile stays.
func (s *Sealer) correct(ctx context.Context, marks []Late) error {
	if len(marks) == 0 {
		return nil
	}
	if held, err := s.hold(ctx); err != nil || !held {
		return err
	}
	fleets := map[Hour]map[string]string{}
	all := make([]*sealing, 0, len(marks))
	var done, tried []Late
	for _, m := range marks {
		if s.cfg.Now().Sub(m.Hour.End()) > s.cfg.Records.retention {
			s.cfg.Log.Error("usage came after its records had expired, and is not billed", "instance", string(m.Instance), "hour", m.Hour.String(),
				"fix", "look at why a gateway was away for so long; its counts are in its spool")
			done = append(done, m)
			continue
		}
		if fleets[m.Hour] == nil {
			fleet, err := s.counts.Fleet(ctx, m.Hour)
			if err != nil {
				return err
			}
			fleets[m.Hour] = fleet
		}
		all, tried = append(all, &sealing{id: m.Instance, hour: m.Hour, late: true}), append(tried, m)
	}
	if err := s.seal(ctx, all, fleets); err != nil {
		return err
	}
	var failure error
	for i, one := range all {
		if one.err != nil {
			failure = fmt.Errorf("correction of hour %s: %w", one.hour, one.err)
			continue
		}
		done = append(done, tried[i])
	}
	return errors.Join(failure, s.counts.LateDone(ctx, done...))
}
