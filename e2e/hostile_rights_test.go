package e2e

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/proxy/rewrite"
	"weir/proxy/wire"
)

func coordinatorKeys(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, -1)
	id := strings.NewReplacer("+", "-").Replace(fmt.Sprintf("%x", s.prize.id))
	for _, test := range []struct {
		kind int8
		key  string
		want int16
	}{
		{2, canaryGroup + "x:" + id + ":0", clusterDenied},
		{2, "g:" + id + ":0", clusterDenied},
		{2, "", clusterDenied},
		{0, "", invalidGroupID},
		{1, "", invalidRequest},
		{3, "x", invalidRequest},
		{-1, "x", invalidRequest},
		{127, "x", invalidRequest},
	} {
		for v := int16(1); v <= 6; v++ {
			find := kmsg.NewPtrFindCoordinatorRequest()
			find.CoordinatorType, find.CoordinatorKey, find.CoordinatorKeys = test.kind, test.key, []string{test.key}
			got := must[*kmsg.FindCoordinatorResponse](t, c, find, v)
			code := got.ErrorCode
			if v >= 4 {
				code = got.Coordinators[0].ErrorCode
			}
			if code != test.want {
				t.Errorf("FindCoordinator v%d type %d %q: %d, want %d", v, test.kind, test.key, code, test.want)
			}
		}
	}
}

func patterns(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, s.prize.home)
	for i, pattern := range []string{
		".*", "x)|(.*", "x|.*", "(?:x)|.*", "^.*", `\A.*`, "(?m)^.*", `.*\z`, `(?s).*`, "(?i)I-VICTIM.*", "|.*", ".*|", `\Qx\E|.*`, `\Qx)|(.*`,
		`[^x]*`, `[\x00-\x{10FFFF}]*`, "(?U).*", `(?P<a>.*)`, "treasure.*", `.*treasure.*`, "a*^.*", "(^a)+.*", `\b.*`, `\B.*`, "x)(.*", `\`, "(", strings.Repeat("(", 2000),
		strings.Repeat("(?:a|", 1500) + strings.Repeat(")", 1500), "(((((a{10}){10}){10}){10}){10}){10}", `\pL{1000}`, `i-victim\..*`, "",
	} {
		beat := heartbeat(fmt.Sprintf("gang-pattern-%d", i))
		beat.SubscribedTopicNames, beat.SubscribedTopicRegex = nil, &pattern
		for round := range 4 {
			got := must[*kmsg.ConsumerGroupHeartbeatResponse](t, c, beat, 1)
			if got.ErrorCode != 0 {
				break // some are refused, and the broker refuses what is no subscription
			}
			if a := got.Assignment; a != nil {
				for _, row := range a.Topics {
					if row.TopicID == s.prize.id {
						t.Fatalf("pattern %.40q is assigned the victim's topic in round %d", pattern, round)
					}
				}
			}
			beat.MemberEpoch, beat.Topics = got.MemberEpoch, nil
			if got.MemberID != nil {
				beat.MemberID = *got.MemberID
			}
		}
		leave := heartbeat(beat.Group)
		leave.MemberEpoch, leave.SubscribedTopicNames, leave.MemberID = -1, nil, beat.MemberID
		must[*kmsg.ConsumerGroupHeartbeatResponse](t, c, leave, 1)

		list := kmsg.NewPtrListTransactionsRequest()
		list.TransactionalIDPattern = &pattern
		if !c.serves(66, 2) {
			continue
		}
		if got := must[*kmsg.ListTransactionsResponse](t, c, list, 2); len(got.TransactionStates) > 0 {
			t.Errorf("ListTransactions of %.40q: %+v", pattern, got)
		}
	}
	for _, bad := range []string{"(", "x)|(.*", "a*^b", `\`} {
		beat := heartbeat("gang-bad-pattern")
		beat.SubscribedTopicNames, beat.SubscribedTopicRegex = nil, &bad
		if got := must[*kmsg.ConsumerGroupHeartbeatResponse](t, c, beat, 1); got.ErrorCode != badPattern {
			t.Errorf("pattern %q: %+v, want %d", bad, got, badPattern)
		}
	}
}

func replicaIDs(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, s.prize.attackersLeader)
	for _, replica := range []int32{0, 1, 2, 100, math.MaxInt32, -2, -3, math.MinInt32} {
		for v := int16(4); v <= 18; v++ {
			req := fetch(s.prize.attackersID, 0, 0)
			req.Topics[0].Topic = "junk"
			req.ReplicaID, req.ReplicaState.ID = replica, replica
			got := must[*kmsg.FetchResponse](t, c, req, v)
			if len(got.Topics) != 1 || got.Topics[0].Partitions[0].ErrorCode != topicDenied {
				t.Errorf("Fetch v%d as replica %d: %+v", v, replica, got)
			}
		}
		for v := int16(1); v <= 10; v++ {
			offsets := kmsg.NewPtrListOffsetsRequest()
			offsets.ReplicaID = replica
			offsets.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "junk", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1}}}}
			if got := must[*kmsg.ListOffsetsResponse](t, c, offsets, v); got.Topics[0].Partitions[0].ErrorCode != topicDenied {
				t.Errorf("ListOffsets v%d as replica %d: %+v", v, replica, got)
			}
		}
		if replica == -2 {
			continue // the default of OffsetForLeaderEpoch
		}
		for _, v := range []int16{3, 4} {
			epoch := kmsg.NewPtrOffsetForLeaderEpochRequest()
			epoch.ReplicaID = replica
			epoch.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "junk", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{}}}}
			if got := must[*kmsg.OffsetForLeaderEpochResponse](t, c, epoch, v); got.Topics[0].Partitions[0].ErrorCode != topicDenied {
				t.Errorf("OffsetForLeaderEpoch v%d as replica %d: %+v", v, replica, got)
			}
		}
	}
}

// configNames: no config may name a topic, and nobody else's resource can be named.
func configNames(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, -1)
	value := s.victim.id + "." + canaryTopic
	for _, test := range []struct {
		kind      kmsg.ConfigResourceType
		name, key string
		want      int16
	}{
		{kmsg.ConfigResourceTypeGroupConfig, "gang", "errors.deadletterqueue.topic.name", invalidConfig},
		{kmsg.ConfigResourceTypeTopic, "junk", "errors.deadletterqueue.group.enable", invalidConfig},
		{kmsg.ConfigResourceTypeTopic, "junk", "leader.replication.throttled.replicas", invalidConfig},
		{kmsg.ConfigResourceTypeTopic, "junk", "remote.storage.enable", invalidConfig},
		{kmsg.ConfigResourceTypeTopic, "junk", "ERRORS.DEADLETTERQUEUE.GROUP.ENABLE", invalidConfig},
		{kmsg.ConfigResourceTypeBroker, "0", "log.retention.ms", clusterDenied},
		{kmsg.ConfigResourceTypeBroker, "", "sasl.jaas.config", clusterDenied},
		{kmsg.ConfigResourceTypeBrokerLogger, "0", "root", clusterDenied},
		{kmsg.ConfigResourceTypeClientMetrics, "x", "interval.ms", clusterDenied},
		{0, "x", "y", clusterDenied},
		{1, "x", "y", clusterDenied},
		{127, "x", "y", clusterDenied},
		{-1, "x", "y", clusterDenied},
	} {
		for op := range kmsg.IncrementalAlterConfigOp(4) {
			set := kmsg.NewPtrIncrementalAlterConfigsRequest()
			set.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
				ResourceType: test.kind, ResourceName: test.name,
				Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: test.key, Op: op, Value: &value}},
			}}
			if got := must[*kmsg.IncrementalAlterConfigsResponse](t, c, set, 1); got.Resources[0].ErrorCode != test.want {
				t.Errorf("IncrementalAlterConfigs %v %q %s op %d: %+v, want %d", test.kind, test.name, test.key, op, got, test.want)
			}
		}
		replace := kmsg.NewPtrAlterConfigsRequest()
		replace.Resources = []kmsg.AlterConfigsRequestResource{{
			ResourceType: test.kind, ResourceName: test.name,
			Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: test.key, Value: &value}},
		}}
		if got := must[*kmsg.AlterConfigsResponse](t, c, replace, 2); got.Resources[0].ErrorCode == 0 {
			t.Errorf("AlterConfigs %v %q %s: %+v", test.kind, test.name, test.key, got)
		}
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Topics = []kmsg.CreateTopicsRequestTopic{{
			Topic: "with-config", NumPartitions: 1, ReplicationFactor: 1,
			Configs: []kmsg.CreateTopicsRequestTopicConfig{{Name: test.key, Value: &value}},
		}}
		if got := must[*kmsg.CreateTopicsResponse](t, c, create, 7); got.Topics[0].ErrorCode != invalidConfig {
			t.Errorf("CreateTopics with %s: %+v", test.key, got)
		}
	}
	for _, kind := range []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeGroupConfig} {
		for _, name := range append(s.reaching(), canaryTopic, canaryGroup) {
			ask := kmsg.NewPtrDescribeConfigsRequest()
			ask.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name}}
			got := must[*kmsg.DescribeConfigsResponse](t, c, ask, 4)
			if kind == kmsg.ConfigResourceTypeTopic && got.Resources[0].ErrorCode != unknownTopic {
				t.Errorf("DescribeConfigs of topic %s: %+v", name, got.Resources[0].ErrorCode)
			}
		}
	}
}

// lists: whatever lists, lists one's own.
func lists(t *testing.T, s *siege) {
	c := s.login(t, s.attacker, s.prize.leader)
	for v := int16(0); v <= 13; v++ {
		all := kmsg.NewPtrMetadataRequest()
		all.Topics, all.IncludeClusterAuthorizedOperations, all.IncludeTopicAuthorizedOperations = nil, true, true
		got := must[*kmsg.MetadataResponse](t, c, all, v)
		for _, topic := range got.Topics {
			if *topic.Topic != "junk" {
				t.Errorf("Metadata v%d lists %q", v, *topic.Topic)
			}
		}
	}
	for _, node := range []int32{-1, s.prize.group, s.prize.txn} {
		c := s.login(t, s.attacker, node)
		for v := int16(0); v <= 5; v++ {
			for _, group := range must[*kmsg.ListGroupsResponse](t, c, kmsg.NewPtrListGroupsRequest(), v).Groups {
				if !strings.HasPrefix(group.Group, "gang") {
					t.Errorf("ListGroups v%d lists %q", v, group.Group)
				}
			}
		}
		for v := int16(0); v <= 1; v++ {
			list := kmsg.NewPtrListTransactionsRequest()
			list.ProducerIDFilters = []int64{s.prize.producer}
			if got := must[*kmsg.ListTransactionsResponse](t, c, list, v); len(got.TransactionStates) > 0 {
				t.Errorf("ListTransactions v%d of the victim's producer: %+v", v, got)
			}
			list.ProducerIDFilters = nil
			if got := must[*kmsg.ListTransactionsResponse](t, c, list, v); len(got.TransactionStates) > 0 {
				t.Errorf("ListTransactions v%d: %+v", v, got)
			}
		}
	}
	for v := int16(0); v <= 2; v++ {
		for kind := range map[int8]int{1: 0, 2: 0, 3: 0, 0: 0, -1: 0} {
			cluster := kmsg.NewPtrDescribeClusterRequest()
			cluster.EndpointType, cluster.IncludeClusterAuthorizedOperations = kind, true
			must[*kmsg.DescribeClusterResponse](t, c, cluster, v) // searched
		}
	}
	producers := kmsg.NewPtrDescribeProducersRequest()
	producers.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: s.victim.id + "." + canaryTopic, Partitions: []int32{0}}}
	if got := must[*kmsg.DescribeProducersResponse](t, c, producers, 0); got.Topics[0].Partitions[0].ErrorCode == 0 {
		t.Errorf("DescribeProducers: %+v", got)
	}
}

// keysAndVersions: what is not in the table, and every version beside it, closes.
func keysAndVersions(t *testing.T, s *siege) {
	refused := func(key, version int16) {
		t.Helper()
		c := s.login(t, s.attacker, -1)
		defer c.Close()
		c.write(key, version, nil)
		c.closes(t)
	}
	for key := int16(-1); key <= kmsg.MaxKey+2; key++ {
		if key == int16(kmsg.ApiVersions) {
			continue // answered in v0, whatever the version
		}
		row := slices.IndexFunc(rewrite.Table(), func(a rewrite.API) bool { return int16(a.Key) == key })
		if row < 0 {
			for v := int16(0); v <= 2; v++ {
				refused(key, v)
			}
			continue
		}
		api := rewrite.Table()[row]
		refused(key, api.Max+1)
		refused(key, math.MaxInt16)
		refused(key, -1)
		if api.Min > 0 {
			refused(key, api.Min-1)
		}
	}
	for _, key := range []int16{math.MaxInt16, math.MinInt16, 128, 255, 256, 1000} {
		refused(key, 0)
	}
	c := s.login(t, s.attacker, -1)
	for _, v := range []int16{6, math.MaxInt16, -1, math.MinInt16} {
		c.write(int16(kmsg.ApiVersions), v, nil)
		frame, err := c.in.Next(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		resp := kmsg.NewPtrApiVersionsResponse()
		if _, body, err := wire.ParseResponse(frame, 18, 0); err != nil || resp.ReadFrom(body) != nil || resp.ErrorCode != 35 {
			t.Errorf("ApiVersions v%d: %+v, %v", v, resp, err)
		}
	}
}
