package rewrite

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a row does at a version is data. Produce and Fetch are compared with kmsg
// at each version instead; for these a scenario at each is not demanded.
func TestEveryVersionHasAScenario(t *testing.T) {
	has := map[int16][]int16{}
	for _, s := range loadScenarios(t) {
		has[s.key] = append(has[s.key], s.versions...)
	}
	for _, api := range Table() {
		if !api.Mapped() || api.Key == kmsg.Produce || api.Key == kmsg.Fetch {
			continue
		}
		for v := api.Min; v <= api.Max; v++ {
			if !slices.Contains(has[int16(api.Key)], v) {
				t.Errorf("%s v%d has no testdata/*.txtar", api.Key.Name(), v)
			}
		}
	}
}
