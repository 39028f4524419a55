//go:build bench

package quota_test

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/tenancy"
)

// createTopic makes the topic of the load at the brokers, so that it takes nothing
// of the instance's quotas.
func (r *rig) createTopic(in tenant, pool string) {
	r.t.Helper()
	port := r.brokers.Sink
	if pool == "store" {
		port = r.brokers.Store
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(fmt.Sprintf("127.0.0.1:%d", port)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	name := tenancy.NewNamespace(in.ID).Physical(tenancy.KindTopic, topic)
	resp, err := kadm.NewClient(cl).CreateTopic(r.t.Context(), 1, 1, nil, name)
	if err != nil || resp.Err != nil {
		r.t.Fatalf("create topic %s: %v %v", name, err, resp.Err)
	}
}
