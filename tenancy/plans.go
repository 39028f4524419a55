package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// PlanLimits are limits by the plans that have them. What is kept here was set while
// gateways run; it stands, limit by limit, over what their configuration says.
type PlanLimits map[string]Limits

// plansID stands for the plans where the change stream and a directory speak of
// instances. No instance has it: braces and the like are in no id.
const plansID InstanceID = "{plans}"

// planField is the field of one limit of a plan: so that two changes of a plan's
// different limits at the same time do not undo each other. Neither name has a space.
func planField(plan string, name LimitName) string { return plan + " " + string(name) }

// ChangePlan sets limits of a plan and takes others back, so that there the gateways'
// configuration counts again; all or nothing. What neither names stays. Whether there
// is such a plan only the configuration knows.
func (s *Store) ChangePlan(ctx context.Context, plan string, put Limits, remove []LimitName) (Revision, error) {
	if err := oneLine([]error{CheckName("plan name", plan), put.Check()}); err != nil {
		return 0, fmt.Errorf("plan %.80q: %w", plan, err)
	}
	args := []any{newStamp(), streamLen, string(plansID), len(remove)}
	for _, name := range remove {
		args = append(args, planField(plan, name))
	}
	for _, name := range slices.Sorted(maps.Keys(put)) {
		value, err := json.Marshal(put[name])
		if err != nil {
			return 0, fmt.Errorf("limit %s of plan %s: %w", name, plan, err)
		}
		args = append(args, planField(plan, name), value)
	}
	rev, err := s.run(ctx, s.scripts.plans, []string{keyPlans, keyChanges, keyRevision}, args...).Int64()
	if err != nil {
		return 0, fmt.Errorf("changing plan %s: %w", plan, err)
	}
	return Revision(rev), nil
}

// PlanLimits reads what was set of all plans.
func (s *Store) PlanLimits(ctx context.Context) (PlanLimits, error) {
	all, _, err := s.planLimits(ctx)
	return all, err
}

// planLimits also returns the stamp of the last change; "" if there never was one,
// or Redis has lost it.
func (s *Store) planLimits(ctx context.Context) (all PlanLimits, stamp string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	fields, err := s.rdb.HGetAll(ctx, keyPlans).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, "", fmt.Errorf("reading the limits of plans: %w", err)
	}
	stamp = fields[fieldStamp]
	delete(fields, fieldStamp)
	all, err = decodePlans(fields)
	return all, stamp, err
}

// errBrokenPlans is of limits that Redis has, but nobody can read.
var errBrokenPlans = errors.New("limits of plans in redis are broken")

func decodePlans(fields map[string]string) (PlanLimits, error) {
	all := PlanLimits{}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		plan, name, _ := strings.Cut(field, " ")
		var l Limit
		if err := json.Unmarshal([]byte(fields[field]), &l); err != nil {
			return nil, fmt.Errorf("%w: %.80q: %w", errBrokenPlans, field, err)
		}
		if all[plan] == nil {
			all[plan] = Limits{}
		}
		all[plan][LimitName(name)] = l
	}
	return all, nil
}

// Plan is what was set of a plan while gateways run; nil if nothing. Lock-free; not
// to be changed.
func (d *Directory) Plan(name string) Limits {
	if all := d.plans.Load(); all != nil {
		return (*all)[name]
	}
	return nil
}

// WatchPlans calls fn after every change of plans' limits that has come into force,
// the first load included. It must not block. Register before Run.
func (d *Directory) WatchPlans(fn func()) { d.planWatchers = append(d.planWatchers, fn) }

// loadPlans puts what was set of plans in force if it is not known already. As with
// instances, a Redis that has lost it changes nothing, nor does what is broken.
func (f *follower) loadPlans(ctx context.Context) error {
	all, stamp, err := f.s.planLimits(ctx)
	switch {
	case errors.Is(err, errBrokenPlans):
		f.log.Error("keeping the former limits of plans", "err", err)
		return nil
	case err != nil:
		return err
	case stamp == f.plans:
		return nil
	case stamp == "":
		if !f.plansLost {
			f.log.Warn("redis has lost the limits of plans, keeping those of the snapshot: restore its data, or set them again")
		}
		f.plansLost = true
		return nil
	}
	f.plans, f.plansLost = stamp, false
	f.dir.plans.Store(&all)
	for _, fn := range f.dir.planWatchers {
		fn()
	}
	return nil
}
