package proxy

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestUnreachableBroker: what its coordinator can not be asked is answered so
// that the client looks for another one, and the connection stays; anything
// else closes it.
func TestUnreachableBroker(t *testing.T) {
	r := newRig(t)
	if err := r.kafka.RemoveNode(2); err != nil {
		t.Fatal(err)
	}
	c := r.dial(3, "")
	if err := login(c, "u@i-a"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		resp, err := send(c, &kmsg.HeartbeatRequest{Group: "g"}, 4)
		if err != nil {
			t.Fatal(err)
		}
		if code := resp.(*kmsg.HeartbeatResponse).ErrorCode; code != kerr.NotCoordinator.Code {
			t.Errorf("heartbeat: code %d, want NOT_COORDINATOR", code)
		}
	}
	for _, req := range []kmsg.Request{kmsg.NewPtrListGroupsRequest(), kmsg.NewPtrFetchRequest(), kmsg.NewPtrProduceRequest()} {
		c := r.dial(3, "")
		if err := login(c, "u@i-a"); err != nil {
			t.Fatal(err)
		}
		if _, err := send(c, req, 4); err == nil {
			t.Errorf("%s to a broker that is not there was answered", kmsg.NameForKey(req.Key()))
		}
	}
	r.logs(reasonUnreachable)
}
