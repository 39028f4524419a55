package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/admin/api"
	"weir/tenancy"
)

// Use is how much of a limit is used, in its units.
type Use struct {
	Used    float64  // now, over all gateways
	Peak24h *float64 // the most of 24 hours; nil if nobody knows
}

// Usage knows what instances use. A name that is absent is not known. Of rates and
// connections it only counts what is bounded.
type Usage interface {
	Usage(ctx context.Context, in tenancy.Instance) (map[tenancy.LimitName]Use, error)
}

// usage is what an instance uses that is bounded so far, nil if nobody knows: that is
// no reason not to answer.
func (s *server) usage(ctx context.Context, in tenancy.Instance, was bounds) map[tenancy.LimitName]Use {
	if s.cfg.Usage == nil {
		return nil
	}
	all, err := s.cfg.Usage.Usage(ctx, in)
	if err != nil {
		s.cfg.Log.Warn("admin does not know what an instance uses", "request", callerOf(ctx).id, "instance", string(in.ID), "err", err)
	}
	maps.DeleteFunc(all, func(name tenancy.LimitName, _ Use) bool {
		k, _ := tenancy.KindOf(name)
		return (k.Rate || name == tenancy.LimitConnections) && was[name].Limit == nil
	})
	return all
}

// bounds are limits by name with where each comes from. Every name is there.
type bounds map[tenancy.LimitName]api.Bound

// boundsOf are an instance's.
func boundsOf(plan, own tenancy.Limits, r tenancy.Restraint) bounds {
	all := make(bounds)
	for name, l := range tenancy.Effective(plan, own, r) {
		all[name] = bound(name, l.Limit, string(l.Source))
	}
	return all
}

// planBounds are a plan's: what was set counts in place of what the file says.
func planBounds(file, set tenancy.Limits) bounds {
	all := make(bounds)
	for _, name := range tenancy.LimitNames() {
		all[name] = api.Bound{Source: string(tenancy.SourceNone)}
		if l, ok := set[name]; ok {
			all[name] = bound(name, l, "override")
		} else if l, ok := file[name]; ok {
			all[name] = bound(name, l, "file")
		}
	}
	return all
}

func bound(name tenancy.LimitName, l tenancy.Limit, source string) api.Bound {
	b := api.Bound{Source: source}
	if source == string(tenancy.SourceNone) {
		return b
	}
	b.Limit = &l.Value
	if k, _ := tenancy.KindOf(name); k.Rate {
		burst := max(l.Burst, l.Value/4) // operations.md D.4
		b.Burst = &burst
	}
	return b
}

func sameBound(a, b api.Bound) bool {
	same := func(x, y *float64) bool { return x == nil && y == nil || x != nil && y != nil && *x == *y }
	return a.Source == b.Source && same(a.Limit, b.Limit) && same(a.Burst, b.Burst)
}

// changes are the limits that become others, in the order of LimitNames. held are those
// in force then, where a budget holds them lower.
func changes(was, will, held bounds, used map[tenancy.LimitName]Use) []api.LimitChange {
	all := []api.LimitChange{}
	for _, name := range tenancy.LimitNames() {
		if sameBound(was[name], will[name]) {
			continue
		}
		k, _ := tenancy.KindOf(name)
		c := api.LimitChange{Limit: string(name), Old: was[name], New: will[name], Unit: k.Unit}
		counts := c.New
		if h := held[name]; h.Source == string(tenancy.SourceBudget) {
			c.InForce, counts = &h, h
		}
		if u, ok := used[name]; ok {
			c.Used = &u.Used
			if most := counts.Limit; most != nil {
				c.WouldThrottle = k.Rate && u.Used > *most
				c.WouldRefuse = !k.Rate && u.Used >= *most
			}
		}
		all = append(all, c)
	}
	return all
}

// limitMistakes are all that a schema cannot see in limits, each with the allowed range.
func limitMistakes(b api.ChangeLimits) (all []api.FieldError) {
	for _, text := range slices.Sorted(maps.Keys(b.Limits)) {
		name, at := tenancy.LimitName(text), "body.limits."+text
		_, known := tenancy.KindOf(name)
		switch v := b.Limits[text]; {
		case !known:
			all = append(all, api.FieldError{Location: fmt.Sprintf("body.limits.%.80s", text), Message: noLimit(text)})
		case v != nil:
			if err := stored(*v).Check(name); err != nil {
				all = append(all, api.FieldError{Location: at, Message: strings.TrimPrefix(err.Error(), text+" ")})
			}
		}
	}
	return all
}

// noLimit is for a name that no limit has.
func noLimit(name string) string {
	text := "is none of " + joined(tenancy.LimitNames())
	if meant := tenancy.MeantLimit(name); meant != "" {
		text += "; did you mean " + string(meant) + "?"
	}
	return text
}

func joined(names []tenancy.LimitName) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = string(n)
	}
	return strings.Join(all, ", ")
}

func stored(v api.LimitValue) tenancy.Limit { return tenancy.Limit{Value: v.Limit, Burst: v.Burst} }

// split are what a body without mistakes sets and what it removes.
func split(b api.ChangeLimits) (put tenancy.Limits, remove []tenancy.LimitName) {
	put = tenancy.Limits{}
	for _, text := range slices.Sorted(maps.Keys(b.Limits)) {
		if v := b.Limits[text]; v != nil {
			put[tenancy.LimitName(text)] = stored(*v)
		} else {
			remove = append(remove, tenancy.LimitName(text))
		}
	}
	return put, remove
}

// with are limits after a change.
func with(all, put tenancy.Limits, remove []tenancy.LimitName) tenancy.Limits {
	out := tenancy.Limits{}
	maps.Copy(out, all)
	for _, name := range remove {
		delete(out, name)
	}
	maps.Copy(out, put)
	return out
}
