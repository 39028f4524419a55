package rewrite

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// ListGroups (16) lists the groups that one broker coordinates; clients ask
// every broker. 3: flexible; 4: states (KIP-518); 5: types (KIP-848). The
// broker lists those of the whole pool: all but this instance's are dropped. As in
// Kafka, who may describe the cluster sees all of them, others those that they
// may describe.
func listGroups(x *Exchange, _ *kmsg.ListGroupsRequest) (outcome[*kmsg.ListGroupsResponse], error) {
	return forward(func(resp *kmsg.ListGroupsResponse) error {
		resp.Groups = own(x, tenancy.KindGroup, resp.Groups, func(g *kmsg.ListGroupsResponseGroup) *string { return &g.Group })
		if x.cluster(opDescribe) != 0 {
			resp.Groups = slices.DeleteFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool {
				return !x.may(kmsg.ACLResourceTypeGroup, g.Group).Has(x.needs.Group)
			})
		}
		return nil
	}), nil
}
