//go:build real

package e2e

import (
	"context"
	"maps"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// theft does one thing with names under a prefix, and returns what Kafka says.
type theft func(ctx context.Context, cl *kgo.Client, prefix string) error

// asked sends a request and reads the codes of its answer.
func asked[R kmsg.Response](ctx context.Context, cl *kgo.Client, req kmsg.Request, codes func(R) []int16) error {
	answer, err := cl.Request(ctx, req)
	if err != nil {
		return err
	}
	for _, code := range codes(answer.(R)) {
		if err := kerr.ErrorForCode(code); err != nil {
			return err
		}
	}
	return nil
}

// thefts are everything that a client's connection carries, and what it must not.
func thefts() map[string]theft {
	all := map[string]theft{}
	for _, some := range []map[string]theft{topicReads(), topicWrites(), groupThefts(), txnThefts(), clusterThefts()} {
		maps.Copy(all, some)
	}
	return all
}

// topicReads are thefts that only look at topics.
func topicReads() map[string]theft {
	return map[string]theft{
		"fetch":              fetchAs(-1),
		"fetch as a replica": fetchAs(2),
		"list offsets": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrListOffsetsRequest()
			topic := kmsg.NewListOffsetsRequestTopic()
			topic.Topic = theTopic(prefix)
			topic.Partitions = append(topic.Partitions, kmsg.NewListOffsetsRequestTopicPartition())
			req.Topics = append(req.Topics, topic)
			return direct(ctx, cl, req, func(r *kmsg.ListOffsetsResponse) []int16 { return []int16{r.Topics[0].Partitions[0].ErrorCode} })
		},
		"describe configs": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrDescribeConfigsRequest()
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, theTopic(prefix)
			req.Resources = append(req.Resources, r)
			return asked(ctx, cl, req, func(r *kmsg.DescribeConfigsResponse) []int16 { return []int16{r.Resources[0].ErrorCode} })
		},
		"describe producers": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrDescribeProducersRequest()
			t := kmsg.NewDescribeProducersRequestTopic()
			t.Topic, t.Partitions = theTopic(prefix), []int32{0}
			req.Topics = append(req.Topics, t)
			return direct(ctx, cl, req, func(r *kmsg.DescribeProducersResponse) []int16 { return []int16{r.Topics[0].Partitions[0].ErrorCode} })
		},
	}
}

// topicWrites are thefts that would change topics.
func topicWrites() map[string]theft {
	return map[string]theft{
		"produce": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			return cl.ProduceSync(ctx, &kgo.Record{Topic: theTopic(prefix), Value: []byte("x")}).FirstErr()
		},
		"alter configs": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			r := kmsg.NewIncrementalAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, theTopic(prefix)
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Value = "retention.ms", new("1")
			r.Configs = append(r.Configs, c)
			req.Resources = append(req.Resources, r)
			return asked(ctx, cl, req, func(r *kmsg.IncrementalAlterConfigsResponse) []int16 { return []int16{r.Resources[0].ErrorCode} })
		},
		"create topics": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrCreateTopicsRequest()
			t := kmsg.NewCreateTopicsRequestTopic()
			t.Topic, t.NumPartitions, t.ReplicationFactor = prefix+"planted", 1, -1
			req.Topics, req.ValidateOnly = append(req.Topics, t), true
			return asked(ctx, cl, req, func(r *kmsg.CreateTopicsResponse) []int16 { return []int16{r.Topics[0].ErrorCode} })
		},
		"create partitions": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrCreatePartitionsRequest()
			t := kmsg.NewCreatePartitionsRequestTopic()
			t.Topic, t.Count = theTopic(prefix), 9
			req.Topics = append(req.Topics, t)
			return asked(ctx, cl, req, func(r *kmsg.CreatePartitionsResponse) []int16 { return []int16{r.Topics[0].ErrorCode} })
		},
		"delete topics": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req, name := kmsg.NewPtrDeleteTopicsRequest(), theTopic(prefix)
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.Topic = &name
			req.Topics, req.TopicNames = append(req.Topics, t), []string{name}
			return asked(ctx, cl, req, func(r *kmsg.DeleteTopicsResponse) []int16 { return []int16{r.Topics[0].ErrorCode} })
		},
		"delete records": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrDeleteRecordsRequest()
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic = theTopic(prefix)
			p := kmsg.NewDeleteRecordsRequestTopicPartition()
			p.Offset = -1
			t.Partitions = append(t.Partitions, p)
			req.Topics = append(req.Topics, t)
			return direct(ctx, cl, req, func(r *kmsg.DeleteRecordsResponse) []int16 { return []int16{r.Topics[0].Partitions[0].ErrorCode} })
		},
	}
}

// fetchAs fetches from the beginning of a topic, as a consumer (-1) or a broker.
func fetchAs(replica int32) theft {
	return func(ctx context.Context, cl *kgo.Client, prefix string) error {
		req := kmsg.NewPtrFetchRequest()
		req.ReplicaID, req.MaxWaitMillis, req.MaxBytes = replica, 100, 1<<20
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic = theTopic(prefix)
		part := kmsg.NewFetchRequestTopicPartition()
		part.PartitionMaxBytes = 1 << 20
		topic.Partitions = append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		return direct(ctx, cl, req, fetchCodes)
	}
}

func fetchCodes(r *kmsg.FetchResponse) []int16 {
	codes := []int16{r.ErrorCode}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			codes = append(codes, p.ErrorCode)
		}
	}
	return codes
}

// direct asks each broker in turn, past the client's knowledge of leaders, and
// returns the first refusal, else the last answer.
func direct[R kmsg.Response](ctx context.Context, cl *kgo.Client, req kmsg.Request, codes func(R) []int16) (err error) {
	for _, b := range cl.SeedBrokers() {
		answer, askErr := b.Request(ctx, req)
		if askErr != nil {
			return askErr
		}
		err = nil
		for _, code := range codes(answer.(R)) {
			if err == nil {
				err = kerr.ErrorForCode(code)
			}
		}
		if err == nil || refusal(err) {
			return err
		}
	}
	return err
}

func theTopic(prefix string) string {
	if prefix == "i-thief." {
		return prefix + "own"
	}
	return prefix + canaryTopic
}

func groupThefts() map[string]theft {
	return map[string]theft{
		"find coordinator of a group": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKeys, req.CoordinatorKey = []string{prefix + canaryGroup}, prefix+canaryGroup
			return asked(ctx, cl, req, func(r *kmsg.FindCoordinatorResponse) []int16 {
				return []int16{r.ErrorCode, r.Coordinators[0].ErrorCode}
			})
		},
		"join": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrJoinGroupRequest()
			req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = prefix+canaryGroup, 10_000, 10_000, "consumer"
			p := kmsg.NewJoinGroupRequestProtocol()
			p.Name = "range"
			req.Protocols = append(req.Protocols, p)
			return direct(ctx, cl, req, func(r *kmsg.JoinGroupResponse) []int16 { return []int16{r.ErrorCode} })
		},
		"consumer heartbeat": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			req.Group, req.MemberID, req.RebalanceTimeoutMillis, req.SubscribedTopicNames = prefix+canaryGroup, "m", 10_000, []string{theTopic(prefix)}
			req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			return direct(ctx, cl, req, func(r *kmsg.ConsumerGroupHeartbeatResponse) []int16 { return []int16{r.ErrorCode} })
		},
		"commit": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Group = prefix + canaryGroup
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = theTopic(prefix)
			t.Partitions = append(t.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
			req.Topics = append(req.Topics, t)
			return direct(ctx, cl, req, func(r *kmsg.OffsetCommitResponse) []int16 { return []int16{r.Topics[0].Partitions[0].ErrorCode} })
		},
		"fetch offsets": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrOffsetFetchRequest()
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = prefix + canaryGroup
			req.Groups = append(req.Groups, g)
			return direct(ctx, cl, req, func(r *kmsg.OffsetFetchResponse) []int16 { return []int16{r.Groups[0].ErrorCode} })
		},
		"describe a group": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Groups = []string{prefix + canaryGroup}
			return direct(ctx, cl, req, func(r *kmsg.DescribeGroupsResponse) []int16 { return []int16{r.Groups[0].ErrorCode} })
		},
		"delete a group": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = []string{prefix + canaryGroup}
			return direct(ctx, cl, req, func(r *kmsg.DeleteGroupsResponse) []int16 { return []int16{r.Groups[0].ErrorCode} })
		},
	}
}

func txnThefts() map[string]theft {
	return map[string]theft{
		"find coordinator of a transactional id": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKeys, req.CoordinatorKey = 1, []string{prefix + canaryTxn}, prefix+canaryTxn
			return asked(ctx, cl, req, func(r *kmsg.FindCoordinatorResponse) []int16 {
				return []int16{r.ErrorCode, r.Coordinators[0].ErrorCode}
			})
		},
		"init producer of a transactional id": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req, name := kmsg.NewPtrInitProducerIDRequest(), prefix+canaryTxn
			req.TransactionalID, req.TransactionTimeoutMillis = &name, 10_000
			return direct(ctx, cl, req, func(r *kmsg.InitProducerIDResponse) []int16 { return []int16{r.ErrorCode} })
		},
		"end a transaction": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrEndTxnRequest()
			req.TransactionalID = prefix + canaryTxn
			return direct(ctx, cl, req, func(r *kmsg.EndTxnResponse) []int16 { return []int16{r.ErrorCode} })
		},
		"describe a transaction": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrDescribeTransactionsRequest()
			req.TransactionalIDs = []string{prefix + canaryTxn}
			return direct(ctx, cl, req, func(r *kmsg.DescribeTransactionsResponse) []int16 { return []int16{r.TransactionStates[0].ErrorCode} })
		},
	}
}

func clusterThefts() map[string]theft {
	return map[string]theft{
		"describe a user": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
			u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
			u.Name = "weir-" + prefix[:len(prefix)-1] // of all users at once, 4.3.1 never answers whom it refuses
			req.Users = append(req.Users, u)
			return asked(ctx, cl, req, func(r *kmsg.DescribeUserSCRAMCredentialsResponse) []int16 { return []int16{r.ErrorCode} })
		},
		"another's password": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
			u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
			u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = "weir-"+prefix[:len(prefix)-1], 2, 4096, []byte("0123456789abcdef"), make([]byte, 64)
			req.Upsertions = append(req.Upsertions, u)
			return asked(ctx, cl, req, func(r *kmsg.AlterUserSCRAMCredentialsResponse) []int16 { return []int16{r.Results[0].ErrorCode} })
		},
		"list acls": func(ctx context.Context, cl *kgo.Client, _ string) error {
			req := kmsg.NewPtrDescribeACLsRequest()
			req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
			req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
			return asked(ctx, cl, req, func(r *kmsg.DescribeACLsResponse) []int16 { return []int16{r.ErrorCode} })
		},
		"an acl for oneself": func(ctx context.Context, cl *kgo.Client, prefix string) error {
			req := kmsg.NewPtrCreateACLsRequest()
			c := kmsg.NewCreateACLsRequestCreation()
			c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, prefix, kmsg.ACLResourcePatternTypePrefixed
			c.Principal, c.Host, c.Operation, c.PermissionType = "User:weir-i-thief", "*", kmsg.ACLOperationAll, kmsg.ACLPermissionTypeAllow
			req.Creations = append(req.Creations, c)
			return asked(ctx, cl, req, func(r *kmsg.CreateACLsResponse) []int16 { return []int16{r.Results[0].ErrorCode} })
		},
		"describe log dirs": func(ctx context.Context, cl *kgo.Client, _ string) error {
			return direct(ctx, cl, kmsg.NewPtrDescribeLogDirsRequest(), func(r *kmsg.DescribeLogDirsResponse) []int16 { return []int16{r.ErrorCode} })
		},
		"list reassignments": func(ctx context.Context, cl *kgo.Client, _ string) error {
			return asked(ctx, cl, kmsg.NewPtrListPartitionReassignmentsRequest(), func(r *kmsg.ListPartitionReassignmentsResponse) []int16 { return []int16{r.ErrorCode} })
		},
		"broker configs": func(ctx context.Context, cl *kgo.Client, _ string) error {
			req := kmsg.NewPtrDescribeConfigsRequest()
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
			req.Resources = append(req.Resources, r)
			return asked(ctx, cl, req, func(r *kmsg.DescribeConfigsResponse) []int16 { return []int16{r.Resources[0].ErrorCode} })
		},
	}
}
