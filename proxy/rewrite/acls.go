package rewrite

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// ACLs (29 to 31) are the instance's own and never the pool's: names, principals
// and hosts are the client's and pass as they are. They are read from the store
// and not from the directory, so that who has created one finds it.

const (
	// maxACLFilters is how many filters one request may have: each is held
	// against every ACL.
	maxACLFilters = 1000
	// maxACLMatches bounds how often an ACL is held against a filter: below half a
	// second of work, all in all, for the longest names.
	maxACLMatches = 1 << 20
	// maxACLRows bounds the rows of one answer, which repeats an ACL for each
	// filter that selects it.
	maxACLRows = maxElements
)

// badFilter says why a filter selects nothing that there could be, or "". Kafka
// closes the connection on codes that it does not know (DescribeAclsRequest,
// DeleteAclsRequest: IllegalArgumentException) or answers INVALID_REQUEST
// (AclControlManager.validateFilter); here it is the latter.
func badFilter(f tenancy.ACLFilter) string {
	switch {
	case f.Resource < kmsg.ACLResourceTypeAny || f.Resource > kmsg.ACLResourceTypeTransactionalId:
		return fmt.Sprintf("Resource type %d is not supported.", f.Resource)
	case f.Pattern < kmsg.ACLResourcePatternTypeAny || f.Pattern > kmsg.ACLResourcePatternTypePrefixed:
		return fmt.Sprintf("Pattern type %d is unknown.", f.Pattern)
	case f.Operation < kmsg.ACLOperationAny || f.Operation > opTwoPhaseCommit:
		return fmt.Sprintf("Operation %d is unknown.", f.Operation)
	case f.Permission < kmsg.ACLPermissionTypeAny || f.Permission > kmsg.ACLPermissionTypeAllow:
		return fmt.Sprintf("Permission type %d is unknown.", f.Permission)
	}
	return ""
}

// opTwoPhaseCommit is the last operation that Kafka knows (KIP-939); kmsg does
// not. No ACL of it can be made here.
const opTwoPhaseCommit kmsg.ACLOperation = 15

// changeACLs makes a change and waits until it is in force.
func (x *Exchange) changeACLs(add, remove []tenancy.ACL) (code int16, msg *string) {
	if len(add) == 0 && len(remove) == 0 {
		return 0, nil
	}
	rev, err := x.Store.ChangeACLs(x.Ctx, x.Instance, add, remove)
	switch code := storeCode(err); {
	case errors.Is(err, tenancy.ErrFull):
		return code, new(fmt.Sprintf("There may be %d ACLs at most; nothing was created.", tenancy.MaxACLs))
	case code != 0:
		return code, standardText(code)
	case err == nil:
		x.applied(rev)
	}
	return 0, nil
}
