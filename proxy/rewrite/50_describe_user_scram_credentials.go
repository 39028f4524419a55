package rewrite

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/auth"
	"weir/tenancy"
)

// Mechanisms as KIP-554 numbers them (Kafka's admin.ScramMechanism).
const (
	scramSHA256 int8 = 1
	scramSHA512 int8 = 2
)

// scramName is the name of a mechanism; ok is false for a number that is none.
func scramName(mechanism int8) (name string, ok bool) {
	switch mechanism {
	case scramSHA256:
		return auth.ScramSHA256, true
	case scramSHA512:
		return auth.ScramSHA512, true
	}
	return "", false
}

// DescribeUserScramCredentials (50) shows for which mechanisms the instance's
// users have credentials, and with how many iterations; nothing of the keys. No
// names are all users. As Kafka's ScramImage.describe; there is only v0.
func describeUserSCRAMCredentials(x *Exchange, req *kmsg.DescribeUserSCRAMCredentialsRequest) (outcome[*kmsg.DescribeUserSCRAMCredentialsResponse], error) {
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	code := x.cluster(x.needs.Cluster)
	var users map[string]tenancy.User
	if code == 0 {
		var err error
		users, err = x.usersByName()
		code = storeCode(err)
	}
	if code != 0 {
		resp.ErrorCode, resp.ErrorMessage = code, standardText(code)
		return answer(resp), nil
	}
	if len(req.Users) == 0 {
		for _, name := range slices.Sorted(maps.Keys(users)) {
			if row := describedUser(name, users[name]); row.ErrorCode == 0 {
				resp.Results = append(resp.Results, row)
			}
		}
		return answer(resp), nil
	}
	times := make(map[string]int, len(req.Users))
	for _, asked := range req.Users {
		times[asked.Name]++
	}
	for _, asked := range req.Users {
		switch times[asked.Name] {
		case 0: // answered
		case 1:
			resp.Results = append(resp.Results, describedUser(asked.Name, users[asked.Name]))
		default:
			resp.Results = append(resp.Results, describeFailed(asked.Name, kerr.DuplicateResource.Code,
				"Cannot describe SCRAM credentials for the same user twice in a single request: "+asked.Name))
		}
		times[asked.Name] = 0
	}
	return answer(resp), nil
}

func describedUser(user string, u tenancy.User) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	row := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
	row.User = user
	for _, mechanism := range []int8{scramSHA256, scramSHA512} {
		name, _ := scramName(mechanism)
		if i := slices.IndexFunc(u.Credentials, func(c tenancy.Credential) bool { return c.Mechanism == name }); i >= 0 {
			info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
			info.Mechanism, info.Iterations = mechanism, int32(u.Credentials[i].Iterations)
			row.CredentialInfos = append(row.CredentialInfos, info)
		}
	}
	if len(row.CredentialInfos) == 0 {
		return describeFailed(user, kerr.ResourceNotFound.Code, "Attempt to describe a user credential that does not exist: "+user)
	}
	return row
}

func describeFailed(user string, code int16, text string) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	row := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
	row.User, row.ErrorCode, row.ErrorMessage = user, code, &text
	return row
}
