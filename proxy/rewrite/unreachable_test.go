package rewrite

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestUnreachable: what a coordinator serves is answered NOT_COORDINATOR in
// every version, with an answer that a client can read; nothing else is.
func TestUnreachable(t *testing.T) {
	txn := "t"
	requests := []kmsg.Request{
		&kmsg.JoinGroupRequest{Group: "g"}, &kmsg.SyncGroupRequest{Group: "g"},
		&kmsg.HeartbeatRequest{Group: "g"}, &kmsg.LeaveGroupRequest{Group: "g"},
		&kmsg.ConsumerGroupHeartbeatRequest{Group: "g"}, &kmsg.OffsetDeleteRequest{Group: "g"},
		&kmsg.StreamsGroupHeartbeatRequest{Group: "g"}, &kmsg.StreamsGroupTopologyDescriptionUpdateRequest{Group: "g"},
		&kmsg.OffsetCommitRequest{Group: "g", Topics: []kmsg.OffsetCommitRequestTopic{{
			Topic: "a", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 3}},
		}}},
		&kmsg.OffsetFetchRequest{
			Group: "g", Groups: []kmsg.OffsetFetchRequestGroup{{Group: "g"}},
			Topics: []kmsg.OffsetFetchRequestTopic{{Topic: "a", Partitions: []int32{3}}},
		},
		&kmsg.InitProducerIDRequest{TransactionalID: &txn},
		&kmsg.AddPartitionsToTxnRequest{TransactionalID: txn, Topics: []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "a", Partitions: []int32{3}}}},
		&kmsg.AddOffsetsToTxnRequest{TransactionalID: txn, Group: "g"},
		&kmsg.EndTxnRequest{TransactionalID: txn},
		&kmsg.TxnOffsetCommitRequest{TransactionalID: txn, Group: "g", Topics: []kmsg.TxnOffsetCommitRequestTopic{{
			Topic: "a", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: 3}},
		}}},
		&kmsg.ShareGroupHeartbeatRequest{GroupID: "g"},
		&kmsg.DescribeShareGroupOffsetsRequest{Groups: []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: "g"}}},
		&kmsg.AlterShareGroupOffsetsRequest{GroupID: "g"}, &kmsg.DeleteShareGroupOffsetsRequest{GroupID: "g"},
	}
	for _, req := range requests {
		eachVersion(t, req, func(t *testing.T, version int16) {
			answer, ok := Unreachable(req.Key(), version, req.AppendTo(nil))
			if !ok {
				t.Fatal("closed, want an answer")
			}
			resp := req.ResponseKind()
			resp.SetVersion(version)
			if err := Decode(resp, bytes.Join(answer, nil)); err != nil {
				t.Fatal(err)
			}
			if codes := codesOf(resp); len(codes) != 1 || codes[0] != kerr.NotCoordinator.Code {
				t.Errorf("codes %v in %+v", codes, resp)
			}
		})
	}
	answered := map[kmsg.Key]bool{}
	for _, req := range requests {
		answered[kmsg.Key(req.Key())] = true
	}
	others := []kmsg.Request{&kmsg.InitProducerIDRequest{}} // any broker serves it without an id
	for _, api := range Table() {
		if !answered[api.Key] {
			others = append(others, kmsg.RequestForKey(int16(api.Key)))
		}
	}
	for _, req := range others {
		eachVersion(t, req, func(t *testing.T, version int16) {
			if answer, ok := Unreachable(req.Key(), version, req.AppendTo(nil)); ok {
				t.Errorf("answered %x, want the connection closed", answer)
			}
		})
	}
}

func eachVersion(t *testing.T, req kmsg.Request, check func(*testing.T, int16)) {
	api, _ := Lookup(req.Key(), 0)
	for version := api.Min; version <= api.Max; version++ {
		t.Run(kmsg.NameForKey(req.Key())+"/v"+strconv.Itoa(int(version)), func(t *testing.T) {
			req.SetVersion(version)
			check(t, version)
		})
	}
}

// codesOf lists the error codes of an answer about one thing, wherever its
// version has them.
func codesOf(resp kmsg.Response) (codes []int16) {
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.SyncGroupResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.HeartbeatResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.LeaveGroupResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.ConsumerGroupHeartbeatResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.StreamsGroupHeartbeatResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.StreamsGroupTopologyDescriptionUpdateResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.OffsetDeleteResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.ShareGroupHeartbeatResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.AlterShareGroupOffsetsResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.DeleteShareGroupOffsetsResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.DescribeShareGroupOffsetsResponse:
		codes = append(codes, resp.Groups[0].ErrorCode)
	case *kmsg.InitProducerIDResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.AddOffsetsToTxnResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.EndTxnResponse:
		return []int16{resp.ErrorCode}
	case *kmsg.AddPartitionsToTxnResponse:
		codes = append(codes, resp.Topics[0].Partitions[0].ErrorCode)
	case *kmsg.OffsetCommitResponse:
		codes = append(codes, resp.Topics[0].Partitions[0].ErrorCode)
	case *kmsg.TxnOffsetCommitResponse:
		codes = append(codes, resp.Topics[0].Partitions[0].ErrorCode)
	case *kmsg.OffsetFetchResponse:
		switch {
		case resp.Version >= 8:
			codes = append(codes, resp.Groups[0].ErrorCode)
		case resp.Version >= 2:
			codes = append(codes, resp.ErrorCode)
		default:
			codes = append(codes, resp.Topics[0].Partitions[0].ErrorCode)
		}
	}
	return codes
}
