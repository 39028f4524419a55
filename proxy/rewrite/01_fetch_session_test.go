package rewrite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetcher is one client connection that fetches at one version.
type fetcher struct {
	t *testing.T
	x *Exchange
}

func newFetcher(t *testing.T, version int16) fetcher {
	return fetcher{t: t, x: fastExchange(kmsg.Fetch, version)}
}

// ask sends a fetch of topics within session; forwarded is what the broker sees, or
// else code is the top-level code with which the gateway itself answers.
func (f fetcher) ask(id, epoch int32, topics ...string) (plan Plan, forwarded *kmsg.FetchRequest, code int16) {
	f.t.Helper()
	plan = mustMap(f.t, f.x, fetchBody(f.x.Version, func(r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = id, epoch }, topics...))
	if plan.Answer != nil {
		resp := kmsg.NewPtrFetchResponse()
		resp.SetVersion(f.x.Version)
		if err := resp.ReadFrom(join(plan.Answer)); err != nil {
			f.t.Fatal(err)
		}
		if resp.ErrorCode != 0 && (len(resp.Topics) > 0 || resp.SessionID != 0) {
			f.t.Errorf("answer with code %d has session %d and %d topics", resp.ErrorCode, resp.SessionID, len(resp.Topics))
		}
		return plan, nil, resp.ErrorCode
	}
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(f.x.Version)
	if err := req.ReadFrom(join(plan.Request)); err != nil {
		f.t.Fatal(err)
	}
	return plan, req, 0
}

// wantForwarded asks, and wants the broker to see session id and epoch.
func (f fetcher) wantForwarded(id, epoch, wantID, wantEpoch int32, topics ...string) Plan {
	f.t.Helper()
	plan, req, code := f.ask(id, epoch, topics...)
	if req == nil {
		f.t.Fatalf("v%d session (%d, %d): answered with %d, want it forwarded", f.x.Version, id, epoch, code)
	}
	if req.SessionID != wantID || req.SessionEpoch != wantEpoch {
		f.t.Fatalf("v%d session (%d, %d): broker sees (%d, %d), want (%d, %d)", f.x.Version, id, epoch, req.SessionID, req.SessionEpoch, wantID, wantEpoch)
	}
	return plan
}

func (f fetcher) wantNotFound(id, epoch int32, topics ...string) {
	f.t.Helper()
	if _, req, code := f.ask(id, epoch, topics...); req != nil || code != 70 {
		f.t.Fatalf("v%d session (%d, %d): forwarded %v, code %d; want code 70", f.x.Version, id, epoch, req != nil, code)
	}
}

// answered lets the broker answer with session id and code.
func (f fetcher) answered(plan Plan, id int32, code int16) {
	f.t.Helper()
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(f.x.Version)
	resp.SessionID, resp.ErrorCode = id, code
	if _, err := plan.Unmap(encode(resp)); err != nil {
		f.t.Fatal(err)
	}
}

func eachSessionVersion(t *testing.T, check func(t *testing.T, version int16)) {
	for version := int16(7); version <= 18; version++ {
		check(t, version)
	}
}

func TestFetchSessionLife(t *testing.T) {
	eachSessionVersion(t, func(t *testing.T, version int16) {
		f := newFetcher(t, version)
		f.wantNotFound(7, 1)
		f.answered(f.wantForwarded(0, 0, 0, 0, "orders"), 7, 0)
		f.answered(f.wantForwarded(7, 1, 7, 1), 7, 0)
		f.answered(f.wantForwarded(7, 2, 7, 2, "a"), 7, 0)
		f.wantNotFound(8, 1)
		f.wantNotFound(0, 1)
		f.wantNotFound(8, -2) // not full for Kafka, so incremental

		// A new one in place of the old, and then its end.
		f.answered(f.wantForwarded(7, 0, 7, 0, "orders"), 9, 0)
		f.wantNotFound(7, 3)
		f.wantForwarded(9, -1, 9, -1)
		f.wantNotFound(9, 1)
	})
}

// A stolen id neither reads nor ends the session that it names.
func TestFetchSessionOfOthers(t *testing.T) {
	eachSessionVersion(t, func(t *testing.T, version int16) {
		owner, thief := newFetcher(t, version), newFetcher(t, version)
		owner.answered(owner.wantForwarded(0, 0, 0, 0, "orders"), 7, 0)
		thief.wantNotFound(7, 1)
		thief.wantForwarded(7, -1, 0, -1)
		thief.answered(thief.wantForwarded(7, 0, 0, 0, "orders"), 8, 0)
		thief.wantNotFound(7, 1)
		owner.wantForwarded(7, 1, 7, 1)
	})
}

// What the broker evicted it may issue to somebody else.
func TestFetchSessionEvicted(t *testing.T) {
	eachSessionVersion(t, func(t *testing.T, version int16) {
		f := newFetcher(t, version)
		f.answered(f.wantForwarded(0, 0, 0, 0, "orders"), 7, 0)
		f.answered(f.wantForwarded(7, 1, 7, 1), 7, 71)
		f.answered(f.wantForwarded(7, 1, 7, 1), 0, 70)
		f.wantNotFound(7, 1)
	})
}

// An answer that was under way when the client closed its session does not
// bring it back, nor does the broker's id in any answer but to a full fetch.
func TestFetchSessionStaysClosed(t *testing.T) {
	f := newFetcher(t, 13)
	f.answered(f.wantForwarded(0, 0, 0, 0, "orders"), 7, 0)
	late := f.wantForwarded(7, 1, 7, 1)
	last := f.wantForwarded(7, -1, 7, -1)
	f.answered(late, 7, 0)
	f.answered(last, 8, 0)
	f.wantNotFound(7, 2)
	f.wantNotFound(8, 1)
}

func TestFetchSessionsAreFew(t *testing.T) {
	f := newFetcher(t, 18)
	for id := int32(1); id <= maxFetchSessions; id++ {
		f.answered(f.wantForwarded(0, 0, 0, 0), id, 0)
	}
	// One more makes the broker close the oldest.
	f.answered(f.wantForwarded(0, 0, 1, 0), maxFetchSessions+1, 0)
	f.wantNotFound(1, 1)
	f.wantForwarded(2, 1, 2, 1)
	f.wantForwarded(0, -1, 0, -1)
	if diff := cmp.Diff([]issuedSession{{id: 2}, {id: 3}, {id: 4}, {id: 5}}, f.x.fetchSessions, cmp.AllowUnexported(issuedSession{})); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
}

// A partition that is refused cannot be in a session: incremental fetches
// start over, full ones go without a session and are answered by both.
func TestFetchSessionWithRefusedTopic(t *testing.T) {
	eachSessionVersion(t, func(t *testing.T, version int16) {
		f := newFetcher(t, version)
		f.answered(f.wantForwarded(0, 0, 0, 0, "orders"), 7, 0)
		f.wantNotFound(7, 1, "not ours ?")
		f.wantForwarded(7, 1, 7, 1)

		plan := f.wantForwarded(7, 0, 7, -1, "orders", "not ours ?")
		pieces, err := plan.Unmap(fetchResponse(version, 0, 100, "acme.orders"))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"not ours ?/0 3", "not ours ?/1 3", "orders/0 0"}
		if version >= 13 {
			want = []string{"/0 100", "/1 100", "/0 0"}
		}
		if diff := cmp.Diff(want, answerCodes(t, version, pieces, kmsg.NewPtrFetchResponse())); diff != "" {
			t.Errorf("v%d (-want +got):\n%s", version, diff)
		}
		f.wantNotFound(7, 2)
	})
}

// A client that would be a replica reads nothing in a session either.
func TestFetchSessionOfReplica(t *testing.T) {
	eachSessionVersion(t, func(t *testing.T, version int16) {
		f := newFetcher(t, version)
		f.answered(f.wantForwarded(0, 0, 0, 0, "orders"), 7, 0)
		plan := mustMap(t, f.x, fetchBody(version, func(r *kmsg.FetchRequest) {
			r.SessionID, r.SessionEpoch, r.ReplicaID, r.ReplicaState.ID = 7, 1, 3, 3
		}))
		resp := kmsg.NewPtrFetchResponse()
		answerCodes(t, version, plan.Answer, resp)
		if resp.ErrorCode != 70 {
			t.Errorf("v%d: code %d, want 70", version, resp.ErrorCode)
		}
	})
}
