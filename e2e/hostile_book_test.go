package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// canaryUser is a user of the victim, and whom its ACLs and quotas are for.
const canaryUser = "captain-1f0c5a77"

// books: users, ACLs and quotas are an instance's own, though no broker knows them.
func books(t *testing.T, s *siege) {
	v := s.login(t, s.victim, -1)
	hire := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	hire.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{
		Name: canaryUser, Mechanism: 1, Iterations: 4096, Salt: []byte("sixteen bytes !!"), SaltedPassword: []byte(strings.Repeat("p", 32)),
	}}
	if got := must[*kmsg.AlterUserSCRAMCredentialsResponse](t, v, hire, 0); got.Results[0].ErrorCode != 0 {
		t.Fatalf("%+v", got)
	}
	deed := kmsg.NewPtrCreateACLsRequest()
	deed.Creations = []kmsg.CreateACLsRequestCreation{{
		ResourceType: kmsg.ACLResourceTypeTopic, ResourceName: canaryTopic, ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral,
		Principal: "User:" + s.victim.user, Host: "*", Operation: kmsg.ACLOperationAll, PermissionType: kmsg.ACLPermissionTypeAllow,
	}, {
		ResourceType: kmsg.ACLResourceTypeTopic, ResourceName: canaryTopic, ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral,
		Principal: "User:" + bareUser(s.victim), Host: "*", Operation: kmsg.ACLOperationAll, PermissionType: kmsg.ACLPermissionTypeAllow,
	}}
	for _, row := range must[*kmsg.CreateACLsResponse](t, v, deed, 3).Results {
		if row.ErrorCode != 0 {
			t.Fatalf("%+v", row)
		}
	}
	grant := kmsg.NewPtrAlterClientQuotasRequest()
	grant.Entries = []kmsg.AlterClientQuotasRequestEntry{{
		Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: new(canaryUser)}},
		Ops:    []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 123456}},
	}}
	if got := must[*kmsg.AlterClientQuotasResponse](t, v, grant, 1); got.Entries[0].ErrorCode != 0 {
		t.Fatalf("%+v", got)
	}
	s.openSession(t) // a session ends with the rules it was opened by
	s.readBooks(t)
	s.writeBooks(t)

	rights := kmsg.NewPtrDescribeACLsRequest()
	rights.ResourceType, rights.ResourcePatternType, rights.Operation, rights.PermissionType = 1, 1, 1, 1
	if got := must[*kmsg.DescribeACLsResponse](t, v, rights, 3); len(got.Resources) != 1 || len(got.Resources[0].ACLs) != 2 {
		t.Errorf("the victim's ACLs: %+v", got)
	}
	crew := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	crew.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: canaryUser}}
	if got := must[*kmsg.DescribeUserSCRAMCredentialsResponse](t, v, crew, 0); got.Results[0].ErrorCode != 0 {
		t.Errorf("the victim's user: %+v", got)
	}
	quotas := kmsg.NewPtrDescribeClientQuotasRequest()
	if got := must[*kmsg.DescribeClientQuotasResponse](t, v, quotas, 1); len(got.Entries) != 1 || got.Entries[0].Values[0].Value != 123456 {
		t.Errorf("the victim's quotas: %+v", got)
	}
}

// bareUser is a user's name without the instance.
func bareUser(a account) string {
	user, _, _ := strings.Cut(a.user, "@")
	return user
}

// readBooks lists all there is and asks for the victim's by name.
func (s *siege) readBooks(t *testing.T) {
	c := s.login(t, s.attacker, -1)
	users := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	for _, row := range must[*kmsg.DescribeUserSCRAMCredentialsResponse](t, c, users, 0).Results {
		if row.User != bareUser(s.attacker) {
			t.Errorf("the attacker is told of user %q", row.User)
		}
	}
	for _, name := range []string{canaryUser, s.victim.id + "." + canaryUser, canaryUser + "@" + s.victim.id, "../" + canaryUser, s.victim.user} {
		if name == bareUser(s.attacker) {
			continue
		}
		users.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: name}}
		if got := must[*kmsg.DescribeUserSCRAMCredentialsResponse](t, c, users, 0); got.Results[0].ErrorCode != 91 {
			t.Errorf("DescribeUserScramCredentials of %q: %+v", name, got)
		}
	}
	for kind := range kmsg.ACLResourceType(6) {
		for pattern := range kmsg.ACLResourcePatternType(5) {
			for _, name := range []*string{nil, new(canaryTopic), new("*"), new(s.victim.id + "." + canaryTopic)} {
				ask := kmsg.NewPtrDescribeACLsRequest()
				ask.ResourceType, ask.ResourcePatternType, ask.ResourceName, ask.Operation, ask.PermissionType = kind, pattern, name, 1, 1
				if got := must[*kmsg.DescribeACLsResponse](t, c, ask, 3); len(got.Resources) > 0 {
					t.Errorf("DescribeAcls type %d pattern %d: %+v", kind, pattern, got)
				}
			}
		}
	}
	for match := range kmsg.QuotasMatchType(3) {
		for _, entity := range []string{"user", "client-id"} {
			ask := kmsg.NewPtrDescribeClientQuotasRequest()
			ask.Components = []kmsg.DescribeClientQuotasRequestComponent{{EntityType: entity, MatchType: match}}
			if match == 0 {
				ask.Components[0].Match = new(canaryUser)
			}
			if got := must[*kmsg.DescribeClientQuotasResponse](t, c, ask, 1); len(got.Entries) > 0 {
				t.Errorf("DescribeClientQuotas %s match %d: %+v", entity, match, got)
			}
		}
	}
}

// writeBooks tries to change what is the victim's.
func (s *siege) writeBooks(t *testing.T) {
	c := s.login(t, s.attacker, -1)
	fire := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	fire.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: canaryUser, Mechanism: 1}}
	if got := must[*kmsg.AlterUserSCRAMCredentialsResponse](t, c, fire, 0); got.Results[0].ErrorCode != 91 {
		t.Errorf("AlterUserScramCredentials: %+v", got)
	}
	burn := kmsg.NewPtrDeleteACLsRequest()
	burn.Filters = []kmsg.DeleteACLsRequestFilter{{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}}
	for _, row := range must[*kmsg.DeleteACLsResponse](t, c, burn, 3).Results {
		if row.ErrorCode != 0 || len(row.MatchingACLs) > 0 {
			t.Errorf("DeleteAcls of everything: %s", fmt.Sprintf("%+v", row))
		}
	}
	take := kmsg.NewPtrAlterClientQuotasRequest()
	take.Entries = []kmsg.AlterClientQuotasRequestEntry{{
		Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: new(canaryUser)}},
		Ops:    []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Remove: true}},
	}}
	must[*kmsg.AlterClientQuotasResponse](t, c, take, 1)
}
