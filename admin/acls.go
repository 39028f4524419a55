package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/admin/api"
	"weir/tenancy"
)

// ACLFilter is exported because huma does not fill an embedded struct that is
// not. What is absent selects everything.
type ACLFilter struct {
	ResourceType string `query:"resource_type" enum:"any,topic,group,cluster,transactional-id"`
	ResourceName string `query:"resource_name" maxLength:"512"`
	PatternType  string `query:"pattern_type" enum:"any,match,literal,prefixed" doc:"match selects whatever speaks of a resource of that name: its literal, * and the prefixes of it. any if absent."`
	Principal    string `query:"principal" maxLength:"512"`
	Host         string `query:"host" maxLength:"64"`
	Operation    string `query:"operation" enum:"any,all,read,write,create,delete,alter,describe,cluster-action,describe-configs,alter-configs,idempotent-write"`
	Permission   string `query:"permission" enum:"any,allow,deny"`
}

// filter is the store's; the schema has seen that every word is known.
func (f ACLFilter) filter() tenancy.ACLFilter {
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	out := tenancy.ACLFilter{
		Resource: kmsg.ACLResourceTypeAny, Pattern: kmsg.ACLResourcePatternTypeAny,
		Name: text(f.ResourceName), Principal: text(f.Principal), Host: text(f.Host),
		Operation: kmsg.ACLOperationAny, Permission: kmsg.ACLPermissionTypeAny,
	}
	if v, err := kmsg.ParseACLResourceType(f.ResourceType); err == nil {
		out.Resource = v
	}
	if v, err := kmsg.ParseACLResourcePatternType(f.PatternType); err == nil {
		out.Pattern = v
	}
	if v, err := kmsg.ParseACLOperation(f.Operation); err == nil {
		out.Operation = v
	}
	if v, err := kmsg.ParseACLPermissionType(f.Permission); err == nil {
		out.Permission = v
	}
	return out
}

type listACLsInput struct {
	InstancePath
	ACLFilter
}

type aclsOutput struct{ Body api.ACLs }

// listACLs reads the store, as a client's DescribeAcls does. In one piece: there
// are tenancy.MaxACLs at most.
func (s *server) listACLs(ctx context.Context, in *listACLsInput) (*aclsOutput, error) {
	i, err := s.find(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	all, err := s.cfg.Store.ACLs(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	return &aclsOutput{Body: api.ACLs{Items: viewACLs(in.filter().Select(all))}}, nil
}

type createACLsInput struct {
	InstancePath
	Body api.CreateACLs
}

// Resolve adds what a schema cannot say to the mistakes that it found.
func (in *createACLsInput) Resolve(huma.Context) []error {
	var mistakes []api.FieldError
	for i, a := range in.Body.ACLs {
		acl, known := storedACL(a)
		if err := acl.Check(); known && err != nil {
			why := strings.TrimPrefix(err.Error(), tenancy.ErrACL.Error()+": ")
			mistakes = append(mistakes, api.FieldError{Location: fmt.Sprintf("body.acls[%d]", i), Message: why})
		}
	}
	return details(mistakes)
}

type changedACLsOutput struct {
	Revision string `header:"Weir-Revision"`
	Body     api.ChangedACLs
}

// createACLs answers when the ACLs are in force. It needs none of them itself,
// so that an instance whose ACLs locked everybody out can be repaired.
func (s *server) createACLs(ctx context.Context, in *createACLsInput) (*changedACLsOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	add := make([]tenancy.ACL, len(in.Body.ACLs))
	for n, a := range in.Body.ACLs {
		add[n], _ = storedACL(a)
	}
	slices.SortFunc(add, tenancy.ACL.Compare)
	return s.changeACLs(ctx, i, slices.Compact(add), nil)
}

type deleteACLsInput struct {
	InstancePath
	ACLFilter
}

// deleteACLs removes what the filter selects; of nothing it makes no change.
func (s *server) deleteACLs(ctx context.Context, in *deleteACLsInput) (*changedACLsOutput, error) {
	i, err := s.findLive(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	if in.ACLFilter == (ACLFilter{}) {
		return nil, invalid(api.FieldError{Location: "query", Message: "say what to remove; resource_type=any for everything"})
	}
	all, err := s.cfg.Store.ACLs(ctx, i.ID)
	if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	return s.changeACLs(ctx, i, nil, in.filter().Select(all))
}

func (s *server) changeACLs(ctx context.Context, i tenancy.Instance, add, remove []tenancy.ACL) (*changedACLsOutput, error) {
	out := &changedACLsOutput{Body: api.ChangedACLs{Items: viewACLs(append(add, remove...))}}
	if len(out.Body.Items) == 0 {
		return out, nil
	}
	rev, err := s.cfg.Store.ChangeACLs(ctx, i.ID, add, remove)
	if err = s.written(ctx, err); errors.Is(err, tenancy.ErrFull) {
		return nil, problem(codeACLsFull, "Instance %s may have %d ACLs at most; nothing was changed.", i.Name, tenancy.MaxACLs)
	} else if err != nil {
		return nil, s.changed(ctx, err, i.ID, "")
	}
	out.Revision = strconv.FormatInt(int64(rev), 10)
	out.Body.ReadyOn = s.applied(ctx, rev)
	return out, nil
}

// storedACL is the store's form of what a caller wrote; known is false if a word
// is none that there is, as the schema says too.
func storedACL(a api.ACL) (acl tenancy.ACL, known bool) {
	resource, err1 := kmsg.ParseACLResourceType(a.ResourceType)
	pattern, err2 := kmsg.ParseACLResourcePatternType(a.PatternType)
	operation, err3 := kmsg.ParseACLOperation(a.Operation)
	permission, err4 := kmsg.ParseACLPermissionType(a.Permission)
	return tenancy.ACL{
		Resource: resource, Pattern: pattern, Name: a.ResourceName, Principal: a.Principal, Host: a.Host,
		Operation: operation, Permission: permission,
	}, errors.Join(err1, err2, err3, err4) == nil && resource <= kmsg.ACLResourceTypeTransactionalId && a.ResourceName != "" && a.Principal != ""
}

// viewACLs is the caller's form, never nil.
func viewACLs(acls []tenancy.ACL) []api.ACL {
	out := make([]api.ACL, len(acls))
	for i, a := range acls {
		out[i] = api.ACL{
			ResourceType: word(a.Resource), ResourceName: a.Name, PatternType: word(a.Pattern),
			Principal: a.Principal, Host: a.Host, Operation: word(a.Operation), Permission: word(a.Permission),
		}
	}
	return out
}

// word is Kafka's DESCRIBE_CONFIGS as this interface writes it: describe-configs.
func word(kafka fmt.Stringer) string {
	return strings.ReplaceAll(strings.ToLower(kafka.String()), "_", "-")
}
