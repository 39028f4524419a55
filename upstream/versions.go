package upstream

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// VersionRange is the versions of one API key, both inclusive.
type VersionRange struct{ Min, Max int16 }

// Feature is a feature that every broker of the pool supports (KIP-584).
type Feature struct {
	Name     string
	Min, Max int16 // supported by every broker
	Level    int16 // finalized; 0 if not
}

// commonVersions is the intersection of what the brokers said; a key that one
// of them lacks, or on which they have no version in common, is absent.
func commonVersions(apis []*kmsg.ApiVersionsResponse) map[int16]VersionRange {
	common := make(map[int16]VersionRange)
	seen := make(map[int16]int) // key → how many brokers know it
	for _, api := range apis {
		for _, k := range api.ApiKeys {
			v, ok := common[k.ApiKey]
			if !ok {
				v = VersionRange{Min: k.MinVersion, Max: k.MaxVersion}
			}
			common[k.ApiKey] = VersionRange{Min: max(v.Min, k.MinVersion), Max: min(v.Max, k.MaxVersion)}
			seen[k.ApiKey]++
		}
	}
	maps.DeleteFunc(common, func(key int16, v VersionRange) bool { return seen[key] != len(apis) || v.Min > v.Max })
	return common
}

// commonFeatures is what every broker supports, with the levels of the newest
// finalized epoch that any of them has heard of (-1 if none said one).
func commonFeatures(apis []*kmsg.ApiVersionsResponse) (features []Feature, epoch int64) {
	epoch = -1
	common := make(map[string]Feature)
	seen := make(map[string]int)
	levels := make(map[string]int16)
	for _, api := range apis {
		for _, s := range api.SupportedFeatures {
			f, ok := common[s.Name]
			if !ok {
				f = Feature{Name: s.Name, Min: s.MinVersion, Max: s.MaxVersion}
			}
			f.Min, f.Max = max(f.Min, s.MinVersion), min(f.Max, s.MaxVersion)
			common[s.Name] = f
			seen[s.Name]++
		}
		if api.FinalizedFeaturesEpoch > epoch {
			epoch = api.FinalizedFeaturesEpoch
			clear(levels)
			for _, f := range api.FinalizedFeatures {
				levels[f.Name] = f.MaxVersionLevel
			}
		}
	}
	for name, f := range common {
		if seen[name] == len(apis) && f.Min <= f.Max {
			f.Level = levels[name]
			features = append(features, f)
		}
	}
	slices.SortFunc(features, func(a, b Feature) int { return cmp.Compare(a.Name, b.Name) })
	return features, epoch
}
