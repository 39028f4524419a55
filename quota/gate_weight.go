package quota

import "weir/tenancy"

// unboundedWeight is the weight of an instance that has no quota of a dimension, in
// its units a second: for bytes, 1 MiB.
const unboundedWeight = 1 << 20

// Weight is an instance's part in what all share and what is short, beside those of
// the others: its quota of a dimension, in units a second. It reads limits anew:
// for paths on which somebody waits anyway.
func (l *Limiter) Weight(id tenancy.InstanceID, d Dimension) float64 {
	v, plan, ok := l.cfg.Instance(id)
	if !ok {
		return unboundedWeight
	}
	limit := tenancy.EffectiveOf(d.Limit(), plan, v.Limits, v.Instance.Restraint)
	if limit.Source == tenancy.SourceNone {
		return unboundedWeight
	}
	return max(d.perSecond(limit.Value), 1)
}
