package upstream

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"pgregory.net/rapid"
)

func api(keys ...kmsg.ApiVersionsResponseApiKey) *kmsg.ApiVersionsResponse {
	return &kmsg.ApiVersionsResponse{ApiKeys: keys, FinalizedFeaturesEpoch: -1}
}

func key(k, minV, maxV int16) kmsg.ApiVersionsResponseApiKey {
	return kmsg.ApiVersionsResponseApiKey{ApiKey: k, MinVersion: minV, MaxVersion: maxV}
}

func TestCommonVersions(t *testing.T) {
	tests := map[string]struct {
		apis []*kmsg.ApiVersionsResponse
		want map[int16]VersionRange
	}{
		"no broker":       {nil, map[int16]VersionRange{}},
		"one":             {[]*kmsg.ApiVersionsResponse{api(key(0, 3, 13), key(1, 4, 18))}, map[int16]VersionRange{0: {3, 13}, 1: {4, 18}}},
		"narrower wins":   {[]*kmsg.ApiVersionsResponse{api(key(0, 0, 9)), api(key(0, 3, 13))}, map[int16]VersionRange{0: {3, 9}}},
		"one lacks a key": {[]*kmsg.ApiVersionsResponse{api(key(0, 3, 13), key(75, 0, 0)), api(key(0, 3, 13))}, map[int16]VersionRange{0: {3, 13}}},
		"disjoint":        {[]*kmsg.ApiVersionsResponse{api(key(0, 0, 2)), api(key(0, 3, 13))}, map[int16]VersionRange{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, commonVersions(tt.apis)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A version is common if and only if every broker speaks it, whatever the order.
func TestCommonVersionsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "brokers")
		apis := make([]*kmsg.ApiVersionsResponse, n)
		for i := range apis {
			apis[i] = api()
			for k := range int16(4) {
				if rapid.Bool().Draw(t, "knows") {
					lo := rapid.Int16Range(0, 5).Draw(t, "min")
					apis[i].ApiKeys = append(apis[i].ApiKeys, key(k, lo, lo+rapid.Int16Range(0, 5).Draw(t, "width")))
				}
			}
		}
		common := commonVersions(apis)
		for k := range int16(4) {
			for v := range int16(12) {
				all := !slices.ContainsFunc(apis, func(a *kmsg.ApiVersionsResponse) bool {
					r, ok := rangeOf(a, k)
					return !ok || v < r.Min || v > r.Max
				})
				r, ok := common[k]
				if got := ok && r.Min <= v && v <= r.Max; got != all {
					t.Fatalf("key %d version %d: common %v, spoken by all %v", k, v, got, all)
				}
			}
		}
	})
}

func TestCommonFeatures(t *testing.T) {
	type (
		supported = kmsg.ApiVersionsResponseSupportedFeature
		finalized = kmsg.ApiVersionsResponseFinalizedFeature
	)
	newer := &kmsg.ApiVersionsResponse{
		SupportedFeatures:      []supported{{Name: "t", MinVersion: 0, MaxVersion: 3}, {Name: "g", MaxVersion: 1}, {Name: "only-here", MaxVersion: 1}},
		FinalizedFeatures:      []finalized{{Name: "t", MinVersionLevel: 2, MaxVersionLevel: 2}},
		FinalizedFeaturesEpoch: 9,
	}
	older := &kmsg.ApiVersionsResponse{
		SupportedFeatures:      []supported{{Name: "t", MinVersion: 1, MaxVersion: 2}, {Name: "g", MaxVersion: 1}},
		FinalizedFeatures:      []finalized{{Name: "t", MinVersionLevel: 1, MaxVersionLevel: 1}, {Name: "g", MinVersionLevel: 1, MaxVersionLevel: 1}},
		FinalizedFeaturesEpoch: 8,
	}
	want := []Feature{{Name: "g", Max: 1}, {Name: "t", Min: 1, Max: 2, Level: 2}}
	for _, apis := range [][]*kmsg.ApiVersionsResponse{{newer, older}, {older, newer}} {
		got, epoch := commonFeatures(apis)
		if diff := cmp.Diff(want, got); diff != "" || epoch != 9 {
			t.Errorf("epoch %d (-want +got):\n%s", epoch, diff)
		}
	}
	if got, epoch := commonFeatures([]*kmsg.ApiVersionsResponse{api()}); len(got) != 0 || epoch != -1 {
		t.Errorf("without features: %v epoch %d", got, epoch)
	}
}

// The pool speaks what the oldest broker does, and asks old brokers in their own versions.
func TestOldBroker(t *testing.T) {
	for _, release := range []string{"v1.1", "v2.3", "v3.0"} {
		t.Run(release, func(t *testing.T) {
			limit := kversion.FromString(release)
			c := kafka(t, kfake.NumBrokers(2), kfake.MaxVersions(limit))
			p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
			want, _ := limit.LookupMaxKeyVersion(int16(kmsg.Metadata))
			if v, ok := p.Versions(int16(kmsg.Metadata)); !ok || v.Max != want {
				t.Errorf("Metadata %v %v, want up to v%d", v, ok, want)
			}
			if _, ok := p.Versions(int16(kmsg.DescribeTopicPartitions)); ok {
				t.Error("knows DescribeTopicPartitions")
			}
		})
	}
}

// One broker of the pool is older than the others.
func TestMixedBrokers(t *testing.T) {
	c := kafka(t, kfake.NumBrokers(2))
	c.ControlKey(int16(kmsg.ApiVersions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if c.CurrentNode() != 1 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
		resp.FinalizedFeaturesEpoch = -1
		resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{key(3, 0, 9), key(18, 0, 4)}
		return resp, nil, true
	})
	p := runPool(t, Config{Bootstrap: c.ListenAddrs()})
	if v, ok := p.Versions(3); !ok || v != (VersionRange{0, 9}) {
		t.Errorf("Metadata %v %v, want v0 to v9", v, ok)
	}
	if _, ok := p.Versions(0); ok {
		t.Error("a key that one broker lacks has versions")
	}
	if features, _ := p.Features(); len(features) > 0 {
		t.Errorf("features %v, want none", features)
	}
}
