package rewrite

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// AlterUserScramCredentials (51, KIP-554) makes, changes and removes users by
// their SCRAM credentials; one whose last credential goes is removed with it. The
// password arrives salted and is turned into keys here. What is refused, and for
// what, is Kafka's ScramControlManager, and beyond it: names that no user may
// have and salts that no client could use (UNACCEPTABLE_CREDENTIAL), more users
// than an instance may have (POLICY_VIOLATION). Each user is written for itself.
// There is only v0.
func alterUserSCRAMCredentials(x *Exchange, req *kmsg.AlterUserSCRAMCredentialsRequest) (outcome[*kmsg.AlterUserSCRAMCredentialsResponse], error) {
	code := x.cluster(x.needs.Cluster)
	var users map[string]tenancy.User
	if code == 0 {
		var err error
		users, err = x.usersByName()
		code = storeCode(err)
	}
	changes := planSCRAM(req, users, code)
	var last tenancy.Revision
	for i := range changes {
		if c := &changes[i]; c.code == 0 {
			last = max(last, x.alterUser(c, users))
		}
	}
	if last > 0 {
		x.applied(last)
	}
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	for _, c := range changes {
		row := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		row.User, row.ErrorCode = c.user, c.code
		if c.code != 0 {
			row.ErrorMessage = &c.text
		}
		resp.Results = append(resp.Results, row)
	}
	return answer(resp), nil
}
