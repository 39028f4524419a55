package rewrite

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Unreachable answers, in place of a coordinator that could not be dialed, a
// request of which nothing was sent: NOT_COORDINATOR. ok is false for requests
// that no coordinator serves; their connection is closed instead.
//
// Clients look their coordinator up again when they cannot connect to it. They
// can connect to the gateway, however, and some (franz-go) then ask for ever
// where the dead broker was, while the pool has long had another coordinator.
// Leaders need no such answer: clients ask for new metadata after a closed
// connection.
func Unreachable(key, version int16, body []byte) (answer [][]byte, ok bool) {
	if !servedByCoordinator(kmsg.Key(key)) {
		return nil, false // also because Decode is not for Produce and Fetch
	}
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	if err := Decode(req, body); err != nil {
		return nil, false
	}
	resp := refusedForGroup(version, req, kerr.NotCoordinator.Code)
	if resp == nil {
		resp = refusedForTxn(req, kerr.NotCoordinator.Code)
	}
	if resp == nil {
		return nil, false
	}
	resp.SetVersion(version)
	return [][]byte{resp.AppendTo(nil)}, true
}

// servedByCoordinator says whether a coordinator serves a key.
func servedByCoordinator(key kmsg.Key) bool {
	switch key {
	case kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.ConsumerGroupHeartbeat,
		kmsg.StreamsGroupHeartbeat, kmsg.StreamsGroupTopologyDescriptionUpdate,
		kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.OffsetDelete,
		kmsg.ShareGroupHeartbeat, kmsg.DescribeShareGroupOffsets, kmsg.AlterShareGroupOffsets, kmsg.DeleteShareGroupOffsets,
		kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.EndTxn, kmsg.TxnOffsetCommit:
		return true
	}
	return false
}

// refusedForTxn is nil unless a transaction's coordinator serves the request.
func refusedForTxn(req kmsg.Request, code int16) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.InitProducerIDRequest:
		if req.TransactionalID != nil { // any broker serves a producer without one
			return &kmsg.InitProducerIDResponse{ErrorCode: code, ProducerID: -1, ProducerEpoch: -1}
		}
	case *kmsg.AddPartitionsToTxnRequest:
		return addPartitionsAnswer(req, func(string) int16 { return code })
	case *kmsg.AddOffsetsToTxnRequest:
		return &kmsg.AddOffsetsToTxnResponse{ErrorCode: code}
	case *kmsg.EndTxnRequest:
		return &kmsg.EndTxnResponse{ErrorCode: code, ProducerID: -1, ProducerEpoch: -1}
	}
	return nil
}

// refusedForGroup is nil unless a group's coordinator serves the request.
func refusedForGroup(version int16, req kmsg.Request, code int16) kmsg.Response {
	x := &Exchange{Version: version}
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		return joinGroupRefusal(x, req, code)
	case *kmsg.SyncGroupRequest:
		return syncGroupRefusal(code)
	case *kmsg.HeartbeatRequest:
		return &kmsg.HeartbeatResponse{ErrorCode: code}
	case *kmsg.LeaveGroupRequest:
		return &kmsg.LeaveGroupResponse{ErrorCode: code}
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return &kmsg.ConsumerGroupHeartbeatResponse{ErrorCode: code, ErrorMessage: standardText(code)}
	case *kmsg.StreamsGroupHeartbeatRequest:
		return &kmsg.StreamsGroupHeartbeatResponse{ErrorCode: code, ErrorMessage: standardText(code)}
	case *kmsg.StreamsGroupTopologyDescriptionUpdateRequest:
		return &kmsg.StreamsGroupTopologyDescriptionUpdateResponse{ErrorCode: code, ErrorMessage: standardText(code)}
	case *kmsg.OffsetCommitRequest:
		return offsetCommitAnswer(req, code)
	case *kmsg.TxnOffsetCommitRequest:
		return txnOffsetCommitAnswer(req, code)
	case *kmsg.OffsetFetchRequest:
		return offsetFetchFailed(x, req, code)
	case *kmsg.OffsetDeleteRequest:
		return &kmsg.OffsetDeleteResponse{ErrorCode: code}
	}
	return refusedForShareGroup(req, code)
}

// refusedForShareGroup is nil unless a share group's coordinator serves the
// request. Leaders serve ShareFetch and ShareAcknowledge.
func refusedForShareGroup(req kmsg.Request, code int16) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ShareGroupHeartbeatRequest:
		return &kmsg.ShareGroupHeartbeatResponse{ErrorCode: code}
	case *kmsg.AlterShareGroupOffsetsRequest:
		return &kmsg.AlterShareGroupOffsetsResponse{ErrorCode: code, ErrorMessage: standardText(code)}
	case *kmsg.DeleteShareGroupOffsetsRequest:
		return &kmsg.DeleteShareGroupOffsetsResponse{ErrorCode: code, ErrorMessage: standardText(code)}
	case *kmsg.DescribeShareGroupOffsetsRequest:
		resp := kmsg.NewPtrDescribeShareGroupOffsetsResponse()
		for _, group := range req.Groups {
			row := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
			row.GroupID, row.ErrorCode = group.GroupID, code
			resp.Groups = append(resp.Groups, row)
		}
		return resp
	}
	return nil
}
