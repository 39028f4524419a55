package rewrite

import (
	"cmp"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What no tenant may do, whatever its ACLs say: it is the pool's operator's. The
// keys are advertised and answered, so that tools say what is wrong where they
// would only lose the connection. Shapes are those of getErrorResponse in Kafka's
// request classes; none of these requests leaves the gateway.

// denied lifts a refusal to a rewrite.
func denied[Q kmsg.Request, P kmsg.Response](refuse func(x *Exchange, req Q) P) func(*Exchange, Q) (outcome[P], error) {
	return func(x *Exchange, req Q) (outcome[P], error) { return answer(refuse(x, req)), nil }
}

// noTokens is DELEGATION_TOKEN_AUTH_DISABLED, what a cluster without delegation
// tokens says (KIP-48): a broker's token would log in past the gateway.
const noTokens int16 = 61

// noTime is the time of what did not happen.
const noTime = -1

// denyCreateToken (38). 3: a requester beside the owner (KIP-373). Both are the
// names that the client has given, or its own.
func denyCreateToken(x *Exchange, req *kmsg.CreateDelegationTokenRequest) *kmsg.CreateDelegationTokenResponse {
	resp := kmsg.NewPtrCreateDelegationTokenResponse()
	resp.ErrorCode = noTokens
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = noTime, noTime, noTime
	resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName, _ = strings.Cut(x.Principal, ":")
	resp.PrincipalType, resp.PrincipalName = resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName
	if owner := req.OwnerPrincipalName; owner != nil && *owner != "" {
		resp.PrincipalType, resp.PrincipalName = *cmp.Or(req.OwnerPrincipalType, new(string)), *owner
	}
	return resp
}

// denyRenewToken (39).
func denyRenewToken(*Exchange, *kmsg.RenewDelegationTokenRequest) *kmsg.RenewDelegationTokenResponse {
	resp := kmsg.NewPtrRenewDelegationTokenResponse()
	resp.ErrorCode, resp.ExpiryTimestamp = noTokens, noTime
	return resp
}

// denyExpireToken (40).
func denyExpireToken(*Exchange, *kmsg.ExpireDelegationTokenRequest) *kmsg.ExpireDelegationTokenResponse {
	resp := kmsg.NewPtrExpireDelegationTokenResponse()
	resp.ErrorCode, resp.ExpiryTimestamp = noTokens, noTime
	return resp
}

// denyDescribeTokens (41).
func denyDescribeTokens(*Exchange, *kmsg.DescribeDelegationTokenRequest) *kmsg.DescribeDelegationTokenResponse {
	resp := kmsg.NewPtrDescribeDelegationTokenResponse()
	resp.ErrorCode = noTokens
	return resp
}

// denyElectLeaders (43): which replica leads is the pool's business. 1: top-level
// error; the rows say it too, which is all that v0 has.
func denyElectLeaders(_ *Exchange, req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	resp := kmsg.NewPtrElectLeadersResponse()
	resp.ErrorCode = codeClusterDenied
	for _, t := range req.Topics {
		row := kmsg.NewElectLeadersResponseTopic()
		row.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewElectLeadersResponseTopicPartition()
			part.Partition, part.ErrorCode, part.ErrorMessage = p, codeClusterDenied, standardText(codeClusterDenied)
			row.Partitions = append(row.Partitions, part)
		}
		resp.Topics = append(resp.Topics, row)
	}
	return resp
}

// denyReassignments (45, AlterPartitionReassignments): where replicas are is the
// pool's business. 1: changes of the replication factor may be declined.
func denyReassignments(_ *Exchange, req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	resp.ErrorCode, resp.ErrorMessage = codeClusterDenied, standardText(codeClusterDenied)
	for _, t := range req.Topics {
		row := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		row.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			part.Partition, part.ErrorCode, part.ErrorMessage = p.Partition, codeClusterDenied, standardText(codeClusterDenied)
			row.Partitions = append(row.Partitions, part)
		}
		resp.Topics = append(resp.Topics, row)
	}
	return resp
}

// denyDescribeQuorum (55): the pool's controllers. 2: error message.
func denyDescribeQuorum(*Exchange, *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	resp := kmsg.NewPtrDescribeQuorumResponse()
	resp.ErrorCode, resp.ErrorMessage = codeClusterDenied, standardText(codeClusterDenied)
	return resp
}

// denyUpdateFeatures (57): levels of the whole pool. No rows, as in Kafka, where a
// top-level error speaks for all.
func denyUpdateFeatures(*Exchange, *kmsg.UpdateFeaturesRequest) *kmsg.UpdateFeaturesResponse {
	resp := kmsg.NewPtrUpdateFeaturesResponse()
	resp.ErrorCode, resp.ErrorMessage = codeClusterDenied, standardText(codeClusterDenied)
	return resp
}

// denyUnregisterBroker (64).
func denyUnregisterBroker(*Exchange, *kmsg.UnregisterBrokerRequest) *kmsg.UnregisterBrokerResponse {
	resp := kmsg.NewPtrUnregisterBrokerResponse()
	resp.ErrorCode, resp.ErrorMessage = codeClusterDenied, standardText(codeClusterDenied)
	return resp
}

// denyUnregisterController (94).
func denyUnregisterController(*Exchange, *kmsg.UnregisterControllerRequest) *kmsg.UnregisterControllerResponse {
	resp := kmsg.NewPtrUnregisterControllerResponse()
	resp.ErrorCode, resp.ErrorMessage = codeClusterDenied, standardText(codeClusterDenied)
	return resp
}
