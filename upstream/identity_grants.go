package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// grantBatch is how many ACLs one request makes or removes: Kafka makes one
// record of the metadata log of each, and takes 10,000 of them at once at most.
const grantBatch = 1000

// Standing is what a pool has of principals whose names begin alike.
type Standing struct {
	Users  map[string]bool           // those with a SCRAM-SHA-512 password
	Grants map[string]map[Grant]bool // ALLOW ACLs by user; true: from every host
}

// Identities lists what the pool has of users whose names begin with prefix.
// Needs DESCRIBE on the cluster.
func (p *Pool) Identities(ctx context.Context, prefix string) (Standing, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	found := Standing{Users: make(map[string]bool), Grants: make(map[string]map[Grant]bool)}
	answer, err := p.Request(ctx, kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()) // null: all
	if err != nil {
		return found, err
	}
	users := answer.(*kmsg.DescribeUserSCRAMCredentialsResponse)
	if err := kerr.ErrorForCode(users.ErrorCode); err != nil {
		return found, fmt.Errorf("pool %q: listing users: %w", p.cfg.Name, err)
	}
	for _, u := range users.Results {
		for _, c := range u.CredentialInfos {
			if c.Mechanism == scramMechanism && strings.HasPrefix(u.User, prefix) {
				found.Users[u.User] = true
			}
		}
	}
	answer, err = p.Request(ctx, describePrincipal(""))
	if err != nil {
		return found, err
	}
	all, err := grantsOf(answer.(*kmsg.DescribeACLsResponse))
	if err != nil {
		return found, fmt.Errorf("pool %q: listing acls: %w", p.cfg.Name, err)
	}
	for user, grants := range all {
		if strings.HasPrefix(user, prefix) {
			found.Grants[user] = grants
		}
	}
	return found, nil
}

// Lacks reports whether the user is not as KeepIdentity would have it, as far as
// can be seen without its password.
func (s Standing) Lacks(user string, grants []Grant) bool {
	missing, extra := difference(grants, s.Grants[user])
	return !s.Users[user] || len(missing)+len(extra) > 0
}

// CanKeepIdentities is what keeps the gateway from making identities in the pool:
// nil, or what its operator must do.
func (p *Pool) CanKeepIdentities(ctx context.Context) error {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeClusterAuthorizedOperations = true
	answer, err := p.Request(ctx, req)
	if err != nil {
		return err
	}
	may := answer.(*kmsg.DescribeClusterResponse).ClusterAuthorizedOperations
	for _, op := range []kmsg.ACLOperation{kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe} {
		if may&(1<<op) == 0 {
			return fmt.Errorf("pool %q: identity: instance needs the operation %s on the cluster for the gateway's user: kafka-acls --add --allow-principal User:... --operation %s --cluster",
				p.cfg.Name, op, op)
		}
	}
	answer, err = p.Request(ctx, describePrincipal("weir"))
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(answer.(*kmsg.DescribeACLsResponse).ErrorCode); err != nil {
		return fmt.Errorf("pool %q: identity: instance needs an authorizer on the brokers (authorizer.class.name): %w", p.cfg.Name, err)
	}
	return nil
}

// setGrants makes the ALLOW ACLs of a user those.
func (p *Pool) setGrants(ctx context.Context, user string, want []Grant) (changed bool, err error) {
	answer, err := p.Request(ctx, describePrincipal(user))
	if err != nil {
		return false, err
	}
	has, err := grantsOf(answer.(*kmsg.DescribeACLsResponse))
	if err != nil {
		return false, err
	}
	missing, extra := difference(want, has[user])
	for batch := range slices.Chunk(missing, grantBatch) {
		if err := p.createACLs(ctx, user, batch); err != nil {
			return true, err
		}
	}
	for batch := range slices.Chunk(extra, grantBatch) {
		req := kmsg.NewPtrDeleteACLsRequest()
		for _, g := range batch {
			f := ofPrincipal(user)
			f.ResourceType, f.ResourceName, f.ResourcePatternType = g.Resource, &g.Name, g.pattern()
			f.Operation, f.PermissionType = g.Operation, kmsg.ACLPermissionTypeAllow
			req.Filters = append(req.Filters, f)
		}
		if err := p.deleteACLs(ctx, req); err != nil {
			return true, err
		}
	}
	return len(missing)+len(extra) > 0, nil
}

func (p *Pool) createACLs(ctx context.Context, user string, grants []Grant) error {
	req := kmsg.NewPtrCreateACLsRequest()
	for _, g := range grants {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = g.Resource, g.Name, g.pattern()
		c.Principal, c.Host, c.Operation, c.PermissionType = principal(user), "*", g.Operation, kmsg.ACLPermissionTypeAllow
		req.Creations = append(req.Creations, c)
	}
	answer, err := p.Request(ctx, req)
	if err != nil {
		return err
	}
	for i, r := range answer.(*kmsg.CreateACLsResponse).Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return fmt.Errorf("%s %q: %w", grants[i].Resource, grants[i].Name, err)
		}
	}
	return nil
}

func (p *Pool) deleteACLs(ctx context.Context, req *kmsg.DeleteACLsRequest) error {
	answer, err := p.Request(ctx, req)
	if err != nil {
		return err
	}
	for _, r := range answer.(*kmsg.DeleteACLsResponse).Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return fmt.Errorf("pool %q: removing acls: %w", p.cfg.Name, err)
		}
	}
	return nil
}

// ofPrincipal matches every ACL of a user, of which "" is every one of all.
func ofPrincipal(user string) kmsg.DeleteACLsRequestFilter {
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	f.Operation, f.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	if user != "" {
		name := principal(user)
		f.Principal = &name
	}
	return f
}

func describePrincipal(user string) *kmsg.DescribeACLsRequest {
	f, req := ofPrincipal(user), kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = f.ResourceType, f.ResourcePatternType
	req.Principal, req.Operation, req.PermissionType = f.Principal, f.Operation, f.PermissionType
	return req
}

// grantsOf reads the ALLOW ACLs of an answer, by user.
func grantsOf(resp *kmsg.DescribeACLsResponse) (map[string]map[Grant]bool, error) {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	all := make(map[string]map[Grant]bool)
	for _, r := range resp.Resources {
		for _, a := range r.ACLs {
			user, ok := strings.CutPrefix(a.Principal, "User:")
			if !ok || a.PermissionType != kmsg.ACLPermissionTypeAllow {
				continue
			}
			if all[user] == nil {
				all[user] = make(map[Grant]bool)
			}
			g := Grant{Resource: r.ResourceType, Name: r.ResourceName, Prefixed: r.ResourcePatternType == kmsg.ACLResourcePatternTypePrefixed, Operation: a.Operation}
			all[user][g] = all[user][g] || a.Host == "*"
		}
	}
	return all, nil
}

// difference is what is wanted but not there for every host, and what is there
// but not wanted.
func difference(want []Grant, has map[Grant]bool) (missing, extra []Grant) {
	wanted := make(map[Grant]bool, len(want))
	for _, g := range want {
		if wanted[g] = true; !has[g] {
			missing = append(missing, g)
		}
	}
	for g := range has {
		if !wanted[g] {
			extra = append(extra, g)
		}
	}
	return missing, extra
}
