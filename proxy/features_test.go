package proxy

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A feature without its keys would lead clients to requests that are refused:
// kfake says streams.version 1 and has no streams groups.
func TestFeaturesNeedTheirKeys(t *testing.T) {
	r := newRig(t)
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1.0"
	raw, err := send(r.dial(0, ""), req, 4)
	if err != nil {
		t.Fatal(err)
	}
	resp, _ := raw.(*kmsg.ApiVersionsResponse)
	var names []string
	for _, f := range resp.FinalizedFeatures {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if want := []string{"group.version", "share.version", "transaction.version"}; !slices.Equal(names, want) {
		t.Errorf("finalized %q, want %q", names, want)
	}
	for _, f := range resp.SupportedFeatures {
		if f.Name == "streams.version" {
			t.Errorf("supported: %+v", f)
		}
	}
	for _, k := range resp.ApiKeys {
		if k.ApiKey == int16(kmsg.StreamsGroupHeartbeat) {
			t.Errorf("advertised: %+v", k)
		}
	}
}
