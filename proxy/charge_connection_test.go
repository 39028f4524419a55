package proxy

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/quota"
	"weir/tenancy"
)

// One connection more than the limit is refused once it has logged in, and let in
// when another has gone.
func TestTooManyConnections(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitConnections: {Value: 1}})
	first := r.loggedIn("a")
	second := r.loggedIn("a")
	closedWithout(t, second)
	r.logs(reasonConnections)
	r.loggedIn("b") // not a's limit
	must[*kmsg.ListGroupsResponse](t, first, kmsg.NewPtrListGroupsRequest(), 4)
	_ = first.Close()
	eventually(t, "there is room again", func() bool {
		c := r.loggedIn("a")
		defer c.Close()
		_, err := send(c, kmsg.NewPtrListGroupsRequest(), 4)
		return err == nil
	})
}

// Connections that come too fast are delayed for a second and then refused, before
// the costly part of the handshake where the host name says the instance.
func TestConnectionAttempts(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitConnectionAttempts: {Value: 0.1}})
	must[*kmsg.ListGroupsResponse](t, r.loggedIn("a"), kmsg.NewPtrListGroupsRequest(), 4) // nothing is left for ten seconds
	begin := time.Now()
	if _, err := r.helloAs(0, "i-a.kafka.localhost"); err == nil || errors.As(err, new(*net.OpError)) && strings.Contains(err.Error(), "remote error") {
		t.Errorf("handshake: %v; want an end without a word", err)
	}
	if took := time.Since(begin); took < attemptHold*9/10 {
		t.Errorf("refused after %v, want a delay of %v first", took, attemptHold)
	}
	r.logs(reasonAttempts)
	// Without a host name the refusal comes after the login.
	c := r.loggedIn("a")
	closedWithout(t, c)
	must[*kmsg.ListGroupsResponse](t, r.loggedIn("b"), kmsg.NewPtrListGroupsRequest(), 4)
	// Both are kept for the tenant: of the first nobody knows who it was.
	all, err := r.srv.cfg.Quota.Throttles(t.Context(), "i-a", time.Now().Add(-time.Hour))
	refused := map[string]int64{}
	for _, one := range all {
		if one.Kind == quota.Refused && one.Limit == tenancy.LimitConnectionAttempts {
			refused[one.User] += one.Count
		}
	}
	if err != nil || refused[""] != 1 || len(refused) != 2 {
		t.Errorf("refused: %v %v", refused, err)
	}
}

// Who only knows an instance's name uses up nothing of what its clients need.
func TestStrangersUseNoAttempts(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitConnectionAttempts: {Value: 0.1}})
	for range 5 {
		_ = r.dial(0, "i-a.kafka.localhost").Close()
	}
	must[*kmsg.ListGroupsResponse](t, r.loggedIn("a"), kmsg.NewPtrListGroupsRequest(), 4)
}
