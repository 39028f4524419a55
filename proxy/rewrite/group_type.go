package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// maxGroupTypes is how many groups' protocol types a session remembers. A
// client is a member of one group on a connection, rarely of a few; beyond this
// all are forgotten and looked up again.
const maxGroupTypes = 64

// rememberGroupType notes the type with which a member joined a (virtual)
// group, for its SyncGroups up to v4, which do not say it.
func (s *Session) rememberGroupType(group, protocolType string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groupTypes == nil || len(s.groupTypes) >= maxGroupTypes {
		s.groupTypes = map[string]string{}
	}
	s.groupTypes[group] = protocolType
}

// groupType is the protocol type of a group: what the client joined it with on
// this connection, else what its coordinator says. ok is false if nobody knows.
func (x *Exchange) groupType(group string) (protocolType string, ok bool) {
	x.mu.Lock()
	protocolType, ok = x.groupTypes[group]
	x.mu.Unlock()
	if ok {
		return protocolType, true
	}
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{x.Space.Physical(tenancy.KindGroup, group)}
	resp, err := x.Pool.Request(x.Ctx, req)
	if err != nil {
		return "", false
	}
	described, _ := resp.(*kmsg.DescribeGroupsResponse)
	if described == nil || len(described.Groups) != 1 {
		return "", false
	}
	g := described.Groups[0]
	switch {
	case g.ErrorCode == kerr.GroupIDNotFound.Code: // from v6 on; before, state Dead
		return "", true
	case g.ErrorCode != 0:
		return "", false
	}
	x.rememberGroupType(group, g.ProtocolType)
	return g.ProtocolType, true
}
