package rewrite

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sharer is a member m of share group g on one connection.
type sharer struct {
	t *testing.T
	*Session
}

// fetch says what becomes of a ShareFetch at epoch for topics (physical names)
// and of the broker's answer with that code: "0 <rows refused>" or "<code>".
func (s sharer) fetch(member string, epoch int32, broker int16, topics ...string) string {
	s.t.Helper()
	req := kmsg.NewPtrShareFetchRequest()
	req.SetVersion(2)
	req.GroupID, req.MemberID, req.ShareSessionEpoch = new("g"), &member, epoch
	for _, name := range topics {
		topic := kmsg.NewShareFetchRequestTopic()
		topic.TopicID, topic.Partitions = idOf(name), []kmsg.ShareFetchRequestTopicPartition{{}}
		req.Topics = append(req.Topics, topic)
	}
	x := &Exchange{Session: s.Session, Ctx: s.t.Context(), Key: req.Key(), Version: req.Version}
	resp := kmsg.NewPtrShareFetchResponse()
	resp.SetVersion(req.Version)
	resp.ErrorCode = broker
	return s.exchange(x, req, resp)
}

func (s sharer) acknowledge(member string, epoch int32, broker int16) string {
	s.t.Helper()
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.SetVersion(2)
	req.GroupID, req.MemberID, req.ShareSessionEpoch = new("g"), &member, epoch
	x := &Exchange{Session: s.Session, Ctx: s.t.Context(), Key: req.Key(), Version: req.Version}
	resp := kmsg.NewPtrShareAcknowledgeResponse()
	resp.SetVersion(req.Version)
	resp.ErrorCode = broker
	return s.exchange(x, req, resp)
}

func (s sharer) exchange(x *Exchange, req, broker Message) string {
	s.t.Helper()
	plan := mustMap(s.t, x, encode(req))
	answer, from := plan.Answer, "gateway"
	if answer == nil {
		from = "broker"
		var err error
		if answer, err = plan.Unmap(encode(broker)); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := broker.ReadFrom(join(answer)); err != nil {
		s.t.Fatal(err)
	}
	switch resp := broker.(type) {
	case *kmsg.ShareFetchResponse:
		return fmt.Sprintf("%s %d, %d refused", from, resp.ErrorCode, len(resp.Topics))
	case *kmsg.ShareAcknowledgeResponse:
		return fmt.Sprintf("%s %d", from, resp.ErrorCode)
	}
	return ""
}

func (s sharer) want(got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("got %q, want %q", got, want)
	}
}

func newSharer(t *testing.T) (sharer, *fakePool, *fakeGuard) {
	pool, guard := newFakePool("acme.orders", "acme.payments", "other.orders"), &fakeGuard{}
	s := newSession(pool)
	s.Guard = guard
	return sharer{t, s}, pool, guard
}

func TestShareSession(t *testing.T) {
	s, _, _ := newSharer(t)
	s.want(s.fetch("m", 0, 0, "acme.orders"), "broker 0, 0 refused")
	if !s.HoldsShares() {
		t.Error("the broker connection may be closed")
	}
	s.want(s.fetch("m", 1, 0), "broker 0, 0 refused")
	s.want(s.acknowledge("m", 2, 0), "broker 0")
	s.want(s.fetch("n", 1, 0), "gateway 122, 0 refused") // another member's
	s.want(s.acknowledge("n", -1, 0), "gateway 122")
	s.want(s.fetch("m", -1, 0), "broker 0, 0 refused")
	if s.HoldsShares() {
		t.Error("a session is left after it was closed")
	}
	s.want(s.fetch("m", 1, 0), "gateway 122, 0 refused")
}

// What the broker no longer knows is forgotten: its connection may have been
// another one.
func TestShareSessionLost(t *testing.T) {
	for _, code := range []int16{122, 123} {
		s, _, _ := newSharer(t)
		s.want(s.fetch("m", 0, 0, "acme.orders"), "broker 0, 0 refused")
		s.want(s.fetch("m", 1, code), fmt.Sprintf("broker %d, 0 refused", code))
		s.want(s.fetch("m", 2, 0), "gateway 122, 0 refused")
		s.want(s.fetch("m", 0, 0), "broker 0, 0 refused")
		s.want(s.acknowledge("m", 1, code), fmt.Sprintf("broker %d", code))
		s.want(s.acknowledge("m", 2, 0), "gateway 122")
		s.want(s.fetch("m", 0, 133), "broker 133, 0 refused")
		if s.HoldsShares() {
			t.Errorf("code %d: a session is left that was never opened", code)
		}
	}
}

// A session that was opened under other ACLs is opened anew, and its topics are
// checked again. What has been read may still be acknowledged, topic by topic.
func TestShareSessionRevoked(t *testing.T) {
	s, _, guard := newSharer(t)
	s.want(s.fetch("m", 0, 0, "acme.orders", "acme.payments"), "broker 0, 0 refused")
	guard.mu.Lock()
	guard.rules = append(guard.rules, guardRule{kind: kmsg.ACLResourceTypeTopic, name: "payments", op: opRead})
	guard.gen++
	guard.mu.Unlock()
	s.want(s.acknowledge("m", 1, 0), "broker 0")
	s.want(s.fetch("m", 2, 0), "gateway 122, 0 refused")
	s.want(s.fetch("m", 0, 0, "acme.orders", "acme.payments"), "broker 0, 1 refused")
	s.want(s.fetch("m", 1, 0), "broker 0, 0 refused")
}

// A topic that the pool did not know yet when it was asked for is not lost for
// the rest of the session.
func TestShareSessionTopicTurnsUp(t *testing.T) {
	s, pool, _ := newSharer(t)
	s.want(s.fetch("m", 0, 0, "acme.orders", "acme.new"), "broker 0, 1 refused")
	s.want(s.fetch("m", 1, 0, "acme.newer"), "broker 0, 1 refused")
	s.want(s.fetch("m", 2, 0), "broker 0, 0 refused")
	pool.LearnTopic(idOf("acme.newer"), "acme.newer")
	s.want(s.fetch("m", 3, 0), "broker 0, 0 refused") // the pool is not asked each time
	s.want(s.fetch("m", 4, 0), "gateway 122, 0 refused")
	s.want(s.fetch("m", 0, 0, "acme.orders", "acme.new", "acme.newer"), "broker 0, 1 refused")
	s.want(s.fetch("m", 1, 0), "broker 0, 0 refused")
}

func TestShareSessionLimit(t *testing.T) {
	s, _, _ := newSharer(t)
	for i := range maxShareSessions {
		s.want(s.fetch(fmt.Sprint("m", i), 0, 0, "acme.orders"), "broker 0, 0 refused")
	}
	s.want(s.fetch("one too many", 0, 0, "acme.orders"), "gateway 133, 0 refused")
	s.want(s.fetch("m0", 0, 0, "acme.orders"), "broker 0, 0 refused")
	s.want(s.acknowledge("m1", -1, 0), "broker 0")
	s.want(s.fetch("one too many", 0, 0, "acme.orders"), "broker 0, 0 refused")
}
