package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
)

func TestExplain(t *testing.T) {
	const text, fix = "orders does not allow 10.9.4.4", "allow the address, or connect from one of the instance's networks"
	for name, c := range map[string]struct{ in, want api.Refusal }{
		"address": {
			api.Refusal{Reason: "network-refused", Instance: "orders", Address: "10.9.4.4"},
			api.Refusal{Text: text, Fix: fix, Try: "weir network allow orders 10.9.4.4"},
		},
		"private endpoint": {
			api.Refusal{Reason: "network-refused", Instance: "orders", Address: "10.9.4.4", Cloud: "aws", EndpointID: "vpce-0a1b"},
			api.Refusal{Text: text, Fix: fix, Try: "weir network allow orders --endpoint vpce-0a1b --cloud aws"},
		},
		"of no instance": {
			api.Refusal{Reason: "network-refused", Address: "10.9.4.4"},
			api.Refusal{Text: "INSTANCE does not allow 10.9.4.4", Fix: fix},
		},
		"of a newer gateway": {api.Refusal{Reason: "new"}, api.Refusal{}},
	} {
		want := c.in
		want.Text, want.Fix, want.Try = c.want.Text, c.want.Fix, c.want.Try
		if diff := cmp.Diff(want, explain(c.in)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
