package proxy

import "weir/quota"

// Bounded says whether the instance's topic mutations are limited: a pending request
// is what its rewrite charges them to (rewrite.Mutations).
func (p *pending) Bounded() bool {
	_, bounded := p.scope.AtOnce(quota.TopicMutations)
	return bounded
}

// Spend charges n partitions that are created or deleted; strict: only while
// something is left. Else only while clients can be told to wait for what is owed: for
// who does not wait, or connects anew, there would be no limit.
func (p *pending) Spend(n int, strict bool) bool {
	if d := p.scope.Spend(quota.TopicMutations, 0); d.Throttle >= quota.MaxThrottle || strict && d.Throttle > 0 {
		p.decision = p.decision.Max(d)
		return false
	}
	p.decision = p.decision.Max(p.scope.Spend(quota.TopicMutations, int64(n)))
	return true
}
