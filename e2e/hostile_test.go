package e2e

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestHostileTenant is protocol.md 9's hostile client before kfake.
func TestHostileTenant(t *testing.T) {
	newInProcess(t).attack(t, attacks())
}

// Codes that attacks are answered with.
const (
	unknownTopic   = 3
	invalidTopic   = 17
	invalidGroupID = 24
	topicDenied    = 29
	clusterDenied  = 31
	invalidConfig  = 40
	invalidRequest = 42
	groupNotFound  = 69
	noSession      = 70
	noTopicID      = 100
	noTxnID        = 105
	badPattern     = 128
)

// attack is one thing a hostile tenant tries.
type attack struct {
	name string
	run  func(*testing.T, *siege)
}

// attacks are those that hold before any broker. producerIDs is not among them:
// kfake does not hold a producer's id against its transactional id.
func attacks() []attack {
	return []attack{
		{"topic ids", topicIDs},
		{"fetch sessions", fetchSessions},
		{"illegal topic names", illegalNames},
		{"names with the other's prefix", prefixedNames},
		{"groups and transactions with the other's prefix", prefixedGroups},
		{"coordinator keys", coordinatorKeys},
		{"patterns", patterns},
		{"replica ids", replicaIDs},
		{"configs", configNames},
		{"lists", lists},
		{"strangers beside own", strangersBesideOwn},
		{"share groups", shareGroups},
		{"users, ACLs and quotas", books},
		{"everywhere", everywhere},
		{"keys and versions", keysAndVersions},
	}
}

// attack runs a table of attacks and looks at the victim after each.
func (s *siege) attack(t *testing.T, table []attack) {
	for _, a := range table {
		t.Run(a.name, func(t *testing.T) {
			s.t = t
			a.run(t, s)
			s.intact(t)
		})
	}
	t.Logf("%d requests of a hostile tenant in %d attacks, every byte of the answers searched", s.said.Load(), len(table))
}

// ids are those that are not the attacker's: the victim's, one nobody has, the
// metadata log's, and none.
func (s *siege) ids() map[string][16]byte {
	guess := s.prize.id
	guess[15] ^= 1
	return map[string][16]byte{"victim's": s.prize.id, "guess": guess, "metadata log": {15: 1}, "zero": {}}
}

// topicIDs: foreign, guessed and reserved ids are all UNKNOWN_TOPIC_ID, in the
// same bytes but for the id.
func topicIDs(t *testing.T, s *siege) {
	shapes := map[string]map[string][]byte{}
	note := func(ask, whose string, id [16]byte, body []byte) {
		if shapes[ask] == nil {
			shapes[ask] = map[string][]byte{}
		}
		shapes[ask][whose] = bytes.ReplaceAll(body, id[:], []byte("................"))
	}
	for whose, id := range s.ids() {
		c := s.login(t, s.attacker, s.prize.leader)
		say := func(req kmsg.Request, version int16, code func(kmsg.Response) int16) {
			t.Helper()
			req.SetVersion(version)
			body, err := c.bytes(req.Key(), version, req.AppendTo(nil))
			if err != nil {
				t.Fatalf("%s v%d, %s id: %v", kmsg.NameForKey(req.Key()), version, whose, err)
			}
			resp := req.ResponseKind()
			resp.SetVersion(version)
			if err := resp.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			if got := code(resp); got != noTopicID && got != 0 {
				t.Errorf("%s v%d, %s id: code %d, want %d", kmsg.NameForKey(req.Key()), version, whose, got, noTopicID)
			} else if got == 0 {
				t.Errorf("%s v%d, %s id: succeeded: %+v", kmsg.NameForKey(req.Key()), version, whose, resp)
			}
			if m, ok := resp.(*kmsg.MetadataResponse); ok {
				m.ControllerID = 0 // any broker, each time another
				body = m.AppendTo(nil)
			}
			if whose == "victim's" || whose == "guess" {
				note(fmt.Sprintf("%s v%d", kmsg.NameForKey(req.Key()), version), whose, id, body)
			}
		}
		sayAll(c, id, say)
	}
	for ask, bodies := range shapes {
		if !bytes.Equal(bodies["victim's"], bodies["guess"]) {
			t.Errorf("%s tells a foreign id from one that nobody has:\n%q\n%q", ask, bodies["victim's"], bodies["guess"])
		}
	}
	// An own id beside a foreign one: the own one works, the other does not.
	c := s.login(t, s.attacker, s.prize.attackersLeader)
	both := fetch(s.prize.attackersID, 0, 0)
	both.Topics = append(both.Topics, fetch(s.prize.id, 0, 0).Topics...)
	got := must[*kmsg.FetchResponse](t, c, both, 13)
	if len(got.Topics) != 2 || got.SessionID != 0 {
		t.Errorf("own and foreign id: %+v", got)
	}
	for _, row := range got.Topics {
		if code := row.Partitions[0].ErrorCode; (row.TopicID == s.prize.id) != (code == noTopicID) {
			t.Errorf("own and foreign id: %x has code %d", row.TopicID, code)
		}
	}
	// Without an answer there is only the end of the connection.
	silent := produce("", s.prize.id, batch(-1, -1, 0))
	silent.Acks = 0
	silent.SetVersion(13)
	c.write(0, 13, silent.AppendTo(nil))
	c.closes(t)
}

func produce(name string, id [16]byte, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: name, TopicID: id, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	return req
}

func heartbeat(group string) *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis = group, "AAAAAAAAAAAAAAAAAAAAAA", 30_000
	req.SubscribedTopicNames, req.Topics = []string{"junk"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return req
}

// serves reports whether the gateway advertises a key at a version.
func (c *raw) serves(key, version int16) bool {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "raw", "1"
	resp, err := c.ask(req, 3)
	if err != nil {
		c.s.t.Fatal(err)
	}
	return slices.ContainsFunc(resp.(*kmsg.ApiVersionsResponse).ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		return k.ApiKey == key && k.MinVersion <= version && version <= k.MaxVersion
	})
}

// fetchSessions: the victim's session can be neither read, continued nor closed.
func fetchSessions(t *testing.T, s *siege) {
	for delta := int32(-3); delta <= 3; delta++ {
		id := s.prize.session + delta
		if id <= 0 {
			continue
		}
		c := s.login(t, s.attacker, s.prize.leader) // on which nothing has been issued
		for _, epoch := range []int32{1, 2, 3, 100, math.MaxInt32, -2, math.MinInt32} {
			for _, v := range []int16{7, 12, 13, 18} {
				got := must[*kmsg.FetchResponse](t, c, fetch([16]byte{}, id, epoch), v)
				if got.ErrorCode != noSession || len(got.Topics) != 0 || got.SessionID != 0 {
					t.Errorf("session %d (%+d) epoch %d v%d: %+v", id, delta, epoch, v, got)
				}
			}
		}
		forget := fetch([16]byte{}, id, 1)
		forget.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{TopicID: s.prize.id, Partitions: []int32{0}}}
		if got := must[*kmsg.FetchResponse](t, c, forget, 13); got.ErrorCode != noSession {
			t.Errorf("forgetting in session %d: %+v", id, got)
		}
		for _, epoch := range []int32{-1, 0} {
			got := must[*kmsg.FetchResponse](t, c, fetch([16]byte{}, id, epoch), 13)
			if len(got.Topics) != 0 || got.SessionID == s.prize.session {
				t.Errorf("session %d (%+d) epoch %d: %+v", id, delta, epoch, got)
			}
		}
	}
	c := s.login(t, s.attacker, s.prize.leader)
	// More sessions than one connection may have: the victim's is not pushed out.
	for range 50 {
		must[*kmsg.FetchResponse](t, c, fetch(s.prize.attackersID, 0, 0), 13)
	}
}

// saying asks something and holds the code that is found in the answer against UNKNOWN_TOPIC_ID.
type saying func(req kmsg.Request, version int16, code func(kmsg.Response) int16)

// sayAll names id in every request that can: first those about the topic.
func sayAll(c *raw, id [16]byte, say saying) {
	for _, attributes := range []int16{0, 0x10, 0x20} {
		say(produce("", id, batch(-1, -1, attributes)), 13, func(r kmsg.Response) int16 {
			return r.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		})
	}
	for v := int16(13); v <= 18; v++ {
		req := fetch(id, 0, 0)
		if id == ([16]byte{}) {
			req = fetch([16]byte{1}, 0, 0)
			req.Topics[0].TopicID = id
		}
		say(req, v, func(r kmsg.Response) int16 { return r.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode })
	}
	for _, v := range []int16{12, 13} {
		meta := kmsg.NewPtrMetadataRequest()
		meta.Topics = []kmsg.MetadataRequestTopic{{TopicID: id}}
		say(meta, v, func(r kmsg.Response) int16 { return r.(*kmsg.MetadataResponse).Topics[0].ErrorCode })
	}
	sayGroups(c, id, say)
}

// sayGroups names id in requests about groups, and in the deletion of topics.
func sayGroups(c *raw, id [16]byte, say saying) {
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "gang", -1
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{TopicID: id, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}
	say(commit, 10, func(r kmsg.Response) int16 {
		return r.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
	})
	read := kmsg.NewPtrOffsetFetchRequest()
	read.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "gang", MemberEpoch: -1, Topics: []kmsg.OffsetFetchRequestGroupTopic{{TopicID: id, Partitions: []int32{0}}}}}
	say(read, 10, func(r kmsg.Response) int16 {
		return r.(*kmsg.OffsetFetchResponse).Groups[0].Topics[0].Partitions[0].ErrorCode
	})
	txn := kmsg.NewPtrTxnOffsetCommitRequest()
	txn.TransactionalID, txn.Group, txn.Generation = "heist", "gang", -1
	txn.Topics = []kmsg.TxnOffsetCommitRequestTopic{{TopicID: id, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{}}}}
	if c.serves(28, 6) {
		say(txn, 6, func(r kmsg.Response) int16 {
			return r.(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
		})
	}
	if id != ([16]byte{}) {
		remove := kmsg.NewPtrDeleteTopicsRequest()
		remove.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: id}}
		say(remove, 6, func(r kmsg.Response) int16 { return r.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode })
	}
	beat := heartbeat("gang-848")
	beat.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: id, Partitions: []int32{0}}}
	say(beat, 1, func(r kmsg.Response) int16 { return r.(*kmsg.ConsumerGroupHeartbeatResponse).ErrorCode })
}
