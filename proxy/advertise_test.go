package proxy

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestStrangersCannotProbeForInstances: who has proved nothing gets the same
// answer to a guessed cluster id, whether the instance exists or not.
func TestStrangersCannotProbeForInstances(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		what, host, cluster string
		want                int16
	}{
		{"a guess about an instance", "b1-i-a.kafka.localhost", "guess", kerr.RebootstrapRequired.Code},
		{"a guess about none", "b1-i-none.kafka.localhost", "guess", kerr.RebootstrapRequired.Code},
		{"its own client", "b1-i-a.kafka.localhost", "aaaaaaaaaaaaaaaaaaaaaa", 0},
	} {
		t.Run(tc.what, func(t *testing.T) {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1.0"
			req.ClusterID, req.NodeID = &tc.cluster, 1
			resp, err := send(r.dial(0, tc.host), req, 5)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.(*kmsg.ApiVersionsResponse).ErrorCode; got != tc.want {
				t.Errorf("error code %d, want %d", got, tc.want)
			}
		})
	}
}
