package rewrite

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// exchange sends req through its row of the table. The broker answers resp; the
// client's answer is returned as a struct, and what was forwarded (nil if
// nothing was).
func exchange[Q, P Message](t *testing.T, s *Session, version int16, req Q, resp P) (forwarded *Q, got P) {
	t.Helper()
	key := any(req).(kmsg.Request).Key()
	sc := scenario{key: key}
	x := &Exchange{Session: s, Ctx: t.Context(), Key: key, Version: version}
	req.SetVersion(version)
	api, _ := Lookup(key, version)
	plan, err := api.Plan(x, req.AppendTo(nil))
	if err != nil {
		t.Fatalf("map: %v", err)
	}
	if plan.Answer != nil {
		return nil, sc.decode(t, "response", version, join(plan.Answer)).(P)
	}
	sent := sc.decode(t, "forwarded", version, join(plan.Request)).(Q)
	resp.SetVersion(version)
	pieces, err := plan.Unmap(resp.AppendTo(nil))
	if err != nil {
		t.Fatalf("unmap: %v", err)
	}
	return &sent, sc.decode(t, "response", version, join(pieces)).(P)
}

// joinOf joins a group of the given protocol type; code is the broker's.
func joinOf(t *testing.T, s *Session, group, protocolType string, code int16) {
	t.Helper()
	req := &kmsg.JoinGroupRequest{Group: group, ProtocolType: protocolType}
	exchange(t, s, 4, req, &kmsg.JoinGroupResponse{ErrorCode: code})
}

// syncOf sends the leader's SyncGroup v0 with an assignment of orders and
// returns what the broker gets.
func syncOf(t *testing.T, s *Session, group string) []byte {
	t.Helper()
	req := &kmsg.SyncGroupRequest{Group: group, GroupAssignment: []kmsg.SyncGroupRequestGroupAssignment{{MemberAssignment: assignmentBlob(1, "orders")}}}
	sent, got := exchange(t, s, 0, req, &kmsg.SyncGroupResponse{MemberAssignment: assignmentBlob(1, "acme.orders")})
	if sent == nil {
		t.Fatalf("SyncGroup of %s was not forwarded: error %d", group, got.ErrorCode)
	}
	return (*sent).GroupAssignment[0].MemberAssignment
}

// TestSyncGroupRemembersType: up to v4 a SyncGroup is of the type with which
// the client joined on this connection; the pool is not asked.
func TestSyncGroupRemembersType(t *testing.T) {
	pool := newFakePool()
	s := newSession(pool)
	joinOf(t, s, "g", "consumer", 0)
	joinOf(t, s, "h", "connect", 0)
	joinOf(t, s, "g", "connect", 23) // refused: g stays what it is
	if diff := cmp.Diff(assignmentBlob(1, "acme.orders"), syncOf(t, s, "g")); diff != "" {
		t.Errorf("consumer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(assignmentBlob(1, "orders"), syncOf(t, s, "h")); diff != "" {
		t.Errorf("connect (-want +got):\n%s", diff)
	}
	if len(pool.asked) != 0 {
		t.Errorf("the pool was asked %d times", len(pool.asked))
	}
}

// TestSyncGroupAsksOnce: after a reconnect the coordinator is asked for the
// physical group, once.
func TestSyncGroupAsksOnce(t *testing.T) {
	pool := newFakePool()
	pool.answers[int16(kmsg.DescribeGroups)] = &kmsg.DescribeGroupsResponse{Groups: []kmsg.DescribeGroupsResponseGroup{{Group: "acme.g", ProtocolType: "consumer"}}}
	s := newSession(pool)
	for range 3 {
		if diff := cmp.Diff(assignmentBlob(1, "acme.orders"), syncOf(t, s, "g")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if len(pool.asked) != 1 || !slices.Equal(pool.asked[0].(*kmsg.DescribeGroupsRequest).Groups, []string{"acme.g"}) {
		t.Errorf("the pool was asked %v", pool.asked)
	}
}

// TestGroupTypesAreBounded: a client that joins group after group costs no more
// memory than one that joins a few.
func TestGroupTypesAreBounded(t *testing.T) {
	s := newSession(newFakePool())
	for i := range 10 * maxGroupTypes {
		s.rememberGroupType(fmt.Sprint(i), "consumer")
	}
	if n := len(s.groupTypes); n > maxGroupTypes {
		t.Errorf("%d groups are remembered, want at most %d", n, maxGroupTypes)
	}
}

// TestOwnedTopicDeleted: a member goes on to own a topic until it has heard
// that it was deleted; by then the pool knows the id no more.
func TestOwnedTopicDeleted(t *testing.T) {
	pool := newFakePool("acme.orders")
	s := newSession(pool)
	orders := idOf("acme.orders")
	assigned := &kmsg.ConsumerGroupHeartbeatResponse{Assignment: &kmsg.ConsumerGroupHeartbeatResponseAssignment{
		Topics: []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{{TopicID: orders, Partitions: []int32{0}}},
	}}
	req := func() *kmsg.ConsumerGroupHeartbeatRequest {
		return &kmsg.ConsumerGroupHeartbeatRequest{Group: "g", Topics: []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: orders, Partitions: []int32{0}}}}
	}
	exchange(t, s, 1, &kmsg.ConsumerGroupHeartbeatRequest{Group: "g", SubscribedTopicNames: []string{"orders"}}, assigned)
	delete(pool.topics, orders)
	sent, got := exchange(t, s, 1, req(), assigned)
	if sent == nil || got.ErrorCode != 0 || len(got.Assignment.Topics) != 1 {
		t.Errorf("after the deletion: forwarded %v, answered %+v", sent, got)
	}
	// On another connection nobody knows it.
	if sent, got := exchange(t, newSession(pool), 1, req(), assigned); sent != nil || got.ErrorCode != 100 {
		t.Errorf("on another connection: forwarded %v, answered %+v", sent, got)
	}
}

// TestAssignmentIsLearned: the id of a topic that was assigned is known when
// the client fetches it, whatever the pool says by then.
func TestAssignmentIsLearned(t *testing.T) {
	pool := newFakePool("acme.orders", "other.orders")
	s := newSession(pool)
	exchange(t, s, 0, &kmsg.ConsumerGroupHeartbeatRequest{Group: "g"}, &kmsg.ConsumerGroupHeartbeatResponse{Assignment: &kmsg.ConsumerGroupHeartbeatResponseAssignment{
		Topics: []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{{TopicID: idOf("acme.orders")}, {TopicID: idOf("other.orders")}},
	}})
	if !s.ownsID(idOf("acme.orders")) || s.ownsID(idOf("other.orders")) {
		t.Error("the ids of the assignment are not what the session knows")
	}
}

func TestSplice(t *testing.T) {
	tests := []struct {
		rows []string
		own  []placed[string]
		want []string
	}{
		{nil, nil, nil},
		{[]string{"b", "d"}, []placed[string]{{0, "A"}, {2, "C"}}, []string{"A", "b", "C", "d"}},
		{[]string{"a"}, []placed[string]{{1, "B"}, {2, "C"}}, []string{"a", "B", "C"}},
		{nil, []placed[string]{{3, "D"}, {5, "F"}}, []string{"D", "F"}}, // the broker's rows are missing
	}
	for _, tt := range tests {
		if got := splice(slices.Clone(tt.rows), tt.own); !slices.Equal(got, tt.want) {
			t.Errorf("splice(%v, %v) = %v, want %v", tt.rows, tt.own, got, tt.want)
		}
	}
}
