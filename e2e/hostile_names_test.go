package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// illegal are names that no topic may have, though some would be legal behind a prefix.
func illegal() []string {
	return []string{
		"", ".", "..", strings.Repeat("x", 249), strings.Repeat("x", 250), strings.Repeat("x", 32767), "größe", "a/b", "../x",
		"..%2f", "a b", "a\x00b", "a\nb", "*", "junk\u200b", "\xff\xfe", "a,b", "a:b",
	}
}

func illegalNames(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, s.prize.attackersLeader)
	for _, name := range illegal() {
		short := fmt.Sprintf("%.20q", name)
		for _, v := range []int16{0, 1, 4, 9, 12, 13} {
			meta := kmsg.NewPtrMetadataRequest()
			meta.AllowAutoTopicCreation = true
			meta.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
			if got := must[*kmsg.MetadataResponse](t, c, meta, v); len(got.Topics) != 1 || got.Topics[0].ErrorCode != invalidTopic {
				t.Errorf("Metadata v%d of %s: %+v", v, short, got.Topics)
			}
		}
		for _, v := range []int16{2, 5, 7} {
			create := kmsg.NewPtrCreateTopicsRequest()
			create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: name, NumPartitions: 1, ReplicationFactor: 1}}
			if got := must[*kmsg.CreateTopicsResponse](t, c, create, v); got.Topics[0].ErrorCode != invalidTopic {
				t.Errorf("CreateTopics v%d of %s: %+v", v, short, got)
			}
		}
		for _, v := range []int16{3, 8, 9, 12} {
			got := must[*kmsg.ProduceResponse](t, c, produce(name, [16]byte{}, batch(-1, -1, 0)), v)
			if got.Topics[0].Partitions[0].ErrorCode != unknownTopic {
				t.Errorf("Produce v%d to %s: %+v", v, short, got)
			}
		}
		for _, v := range []int16{4, 7, 11, 12} {
			req := fetch([16]byte{1}, 0, 0)
			req.Topics[0].Topic = name
			if got := must[*kmsg.FetchResponse](t, c, req, v); got.Topics[0].Partitions[0].ErrorCode != unknownTopic {
				t.Errorf("Fetch v%d of %s: %+v", v, short, got)
			}
		}
		offsets := kmsg.NewPtrListOffsetsRequest()
		offsets.ReplicaID = -1
		offsets.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1}}}}
		if got := must[*kmsg.ListOffsetsResponse](t, c, offsets, 7); got.Topics[0].Partitions[0].ErrorCode != unknownTopic {
			t.Errorf("ListOffsets of %s: %+v", short, got)
		}
		for _, v := range []int16{1, 4} {
			remove := kmsg.NewPtrDeleteTopicsRequest()
			remove.TopicNames = []string{name}
			if got := must[*kmsg.DeleteTopicsResponse](t, c, remove, v); got.Topics[0].ErrorCode != unknownTopic {
				t.Errorf("DeleteTopics v%d of %s: %+v", v, short, got)
			}
		}
		beat := heartbeat("gang-848")
		beat.SubscribedTopicNames = []string{name}
		if got := must[*kmsg.ConsumerGroupHeartbeatResponse](t, c, beat, 1); got.ErrorCode == 0 {
			t.Errorf("ConsumerGroupHeartbeat with %s: %+v", short, got)
		}
		add := kmsg.NewPtrAddPartitionsToTxnRequest()
		add.TransactionalID = "heist"
		add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: name, Partitions: []int32{0}}}
		if got := must[*kmsg.AddPartitionsToTxnResponse](t, c, add, 3); got.Topics[0].Partitions[0].ErrorCode == 0 {
			t.Errorf("AddPartitionsToTxn of %s: %+v", short, got)
		}
	}
	for _, group := range []string{""} {
		commit := kmsg.NewPtrOffsetCommitRequest()
		commit.Group = group
		commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "junk", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}
		if got := must[*kmsg.OffsetCommitResponse](t, c, commit, 8); got.Topics[0].Partitions[0].ErrorCode != invalidGroupID {
			t.Errorf("OffsetCommit of group %q: %+v", group, got)
		}
	}
	begin := kmsg.NewPtrInitProducerIDRequest()
	begin.TransactionalID, begin.TransactionTimeoutMillis = new(""), 1000
	if got := must[*kmsg.InitProducerIDResponse](t, c, begin, 4); got.ErrorCode != invalidRequest {
		t.Errorf("InitProducerId of \"\": %+v", got)
	}
}

// reaching are names that would be the victim's topic if the prefix were not
// put before whatever a client says.
func (s *siege) reaching() []string {
	return []string{
		s.victim.id + "." + canaryTopic, "." + canaryTopic, ".." + s.victim.id + "." + canaryTopic,
		s.attacker.id + "." + s.victim.id + "." + canaryTopic, s.victim.id + "_" + canaryTopic, "-victim." + canaryTopic,
	}
}

func prefixedNames(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, s.prize.leader)
	for _, name := range s.reaching() {
		meta := kmsg.NewPtrMetadataRequest()
		meta.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		for v := int16(0); v <= 13; v++ {
			if got := must[*kmsg.MetadataResponse](t, c, meta, v); got.Topics[0].ErrorCode != unknownTopic || len(got.Topics[0].Partitions) > 0 {
				t.Errorf("Metadata v%d of %s: %+v", v, name, got.Topics)
			}
		}
		got := must[*kmsg.ProduceResponse](t, c, produce(name, [16]byte{}, batch(-1, -1, 0)), 9)
		if got.Topics[0].Partitions[0].ErrorCode == 0 {
			t.Errorf("Produce to %s: %+v", name, got)
		}
		req := fetch([16]byte{1}, 0, 0)
		req.Topics[0].Topic = name
		if got := must[*kmsg.FetchResponse](t, c, req, 12); got.Topics[0].Partitions[0].ErrorCode != unknownTopic {
			t.Errorf("Fetch of %s: %+v", name, got)
		}
		for v := int16(1); v <= 6; v++ {
			remove := kmsg.NewPtrDeleteTopicsRequest()
			remove.TopicNames, remove.Topics = []string{name}, []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
			if got := must[*kmsg.DeleteTopicsResponse](t, c, remove, v); got.Topics[0].ErrorCode != unknownTopic {
				t.Errorf("DeleteTopics v%d of %s: %+v", v, name, got)
			}
		}
		detail := kmsg.NewPtrDescribeTopicPartitionsRequest()
		detail.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: name}}
		if got := must[*kmsg.DescribeTopicPartitionsResponse](t, c, detail, 0); got.Topics[0].ErrorCode != unknownTopic {
			t.Errorf("DescribeTopicPartitions of %s: %+v", name, got)
		}
	}
	// A cursor that points into the victim's names, before and behind one's own.
	for _, cursor := range []string{"\x00", canaryTopic, s.victim.id + ".", "~", "zzz"} {
		detail := kmsg.NewPtrDescribeTopicPartitionsRequest()
		detail.ResponsePartitionLimit = 1000
		at := kmsg.NewDescribeTopicPartitionsRequestCursor()
		at.Topic = cursor
		detail.Cursor = &at
		if _, err := c.ask(detail, 0); err != nil {
			c = s.login(t, s.attacker, s.prize.leader)
		}
	}
}

func prefixedGroups(t *testing.T, s *siege) {
	at := s.login(t, s.attacker, s.prize.group)
	for _, group := range []string{s.victim.id + "." + canaryGroup, "." + canaryGroup, "../" + s.victim.id + "." + canaryGroup, canaryGroup} {
		offsets := kmsg.NewPtrOffsetFetchRequest()
		offsets.Group = group
		offsets.Groups = []kmsg.OffsetFetchRequestGroup{{Group: group, MemberEpoch: -1}}
		for _, v := range []int16{7, 8, 9, 10} {
			got := must[*kmsg.OffsetFetchResponse](t, at, offsets, v)
			if len(got.Topics) > 0 || len(got.Groups) > 0 && len(got.Groups[0].Topics) > 0 {
				t.Errorf("OffsetFetch v%d of %s: %+v", v, group, got)
			}
		}
		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Groups = []string{group}
		if got := must[*kmsg.DescribeGroupsResponse](t, at, describe, 5); got.Groups[0].State != "Dead" && got.Groups[0].ErrorCode == 0 {
			t.Errorf("DescribeGroups of %s: %+v", group, got)
		}
		newer := kmsg.NewPtrConsumerGroupDescribeRequest()
		newer.Groups = []string{group}
		if got := must[*kmsg.ConsumerGroupDescribeResponse](t, at, newer, 1); got.Groups[0].ErrorCode == 0 {
			t.Errorf("ConsumerGroupDescribe of %s: %+v", group, got)
		}
		remove := kmsg.NewPtrDeleteGroupsRequest()
		remove.Groups = []string{group}
		if got := must[*kmsg.DeleteGroupsResponse](t, at, remove, 2); got.Groups[0].ErrorCode == 0 {
			t.Errorf("DeleteGroups of %s: %+v", group, got)
		}
		wipe := kmsg.NewPtrOffsetDeleteRequest()
		wipe.Group = group
		wipe.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: canaryTopic + "x", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
		must[*kmsg.OffsetDeleteResponse](t, at, wipe, 0)
	}
	at = s.login(t, s.attacker, s.prize.txn)
	for _, txn := range []string{s.victim.id + "." + canaryTxn, "." + canaryTxn, canaryTxn} {
		describe := kmsg.NewPtrDescribeTransactionsRequest()
		describe.TransactionalIDs = []string{txn}
		if got := must[*kmsg.DescribeTransactionsResponse](t, at, describe, 0); got.TransactionStates[0].ErrorCode == 0 {
			t.Errorf("DescribeTransactions of %s: %+v", txn, got)
		}
	}
}
