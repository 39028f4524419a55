package rewrite

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/tenancy"
)

// limitLine reads a "limit:" or "refused:" line of a scenario's head.
func (s *scenario) limitLine(t testing.TB, line string) {
	if refused, ok := strings.CutPrefix(line, "refused:"); ok {
		for name := range strings.FieldsSeq(refused) {
			s.refused = append(s.refused, tenancy.LimitName(name))
		}
	}
	limit, ok := strings.CutPrefix(line, "limit:")
	if !ok {
		return
	}
	s.limited = true
	words := strings.Fields(limit)
	if len(words) == 1 && words[0] == "full" {
		s.full = true
		return
	}
	b := map[string]*int64{
		"topics": &s.bounds.Topics, "partitions": &s.bounds.Partitions, "groups": &s.bounds.Groups,
		"message_bytes": &s.bounds.MessageBytes, "storage_bytes": &s.bounds.StorageBytes,
	}
	n, err := strconv.ParseInt(words[len(words)-1], 10, 64)
	if err != nil || len(words) != 2 || b[words[0]] == nil {
		t.Fatalf("limit %q is not <name> <number> or full", limit)
	}
	*b[words[0]] = n
}

// limit gives the exchange the scenario's limits; what it returns checks what was
// noted, and that no turn is left.
func (s scenario) limit(t *testing.T, x *Exchange) (check func()) {
	if !s.limited {
		return func() {}
	}
	limits := &fakeLimits{bounds: s.bounds, full: s.full}
	x.Limits = limits
	return func() {
		if diff := cmp.Diff(s.refused, limits.refused, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("noted as refused (-want +got):\n%s", diff)
		}
		if limits.inTurn != 0 || x.turns.Load() != 0 {
			t.Errorf("%d turns were not ended", limits.inTurn)
		}
	}
}
