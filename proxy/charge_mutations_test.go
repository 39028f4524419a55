package proxy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

func codesOf[R any](rows []R, code func(R) int16) (all []string) {
	for _, row := range rows {
		name := "ok"
		if err := kerr.TypedErrorForCode(code(row)); err != nil {
			name = err.Message
		}
		all = append(all, name)
	}
	return all
}

// Topics are created and deleted until nothing is left of the limit; what begins
// within it may exceed it (KIP-599). Clients that do not know the error are only
// throttled, as long as they can be told to wait for what they owe: here that is days.
func TestTopicMutations(t *testing.T) {
	tiny := tenancy.Limits{tenancy.LimitTopicMutations: {Value: 0.01}}
	created := func(r *kmsg.CreateTopicsResponse) []string {
		return codesOf(r.Topics, func(t kmsg.CreateTopicsResponseTopic) int16 { return t.ErrorCode })
	}
	deleteAll := func(names ...string) *kmsg.DeleteTopicsRequest {
		req := kmsg.NewPtrDeleteTopicsRequest()
		for _, name := range names {
			req.TopicNames = append(req.TopicNames, name)
			req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &name})
		}
		return req
	}
	deleted := func(r *kmsg.DeleteTopicsResponse) []string {
		return codesOf(r.Topics, func(t kmsg.DeleteTopicsResponseTopic) int16 { return t.ErrorCode })
	}
	const no, later = "THROTTLING_QUOTA_EXCEEDED", "REQUEST_TIMED_OUT"
	for name, tc := range map[string]struct {
		send func(*rig, kmsg.Request, int16) (codes []string, throttle int32)
		req  kmsg.Request
		at   int16
		want []string
	}{
		"create":          {createWith(created), create(3, "x", "y", "z"), 7, []string{"ok", no, no}},
		"create, older":   {createWith(created), create(3, "x", "y"), 5, []string{"ok", later}},
		"delete":          {deleteWith(deleted), deleteAll("t", "s"), 6, []string{"ok", no}},
		"delete, by name": {deleteWith(deleted), deleteAll("t", "s"), 5, []string{"ok", no}},
		"delete, older":   {deleteWith(deleted), deleteAll("t", "s"), 4, []string{"ok", later}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLimitedRig(t, tiny)
			r.topic("i-a.t")
			r.topic("i-a.s")
			got, throttle := tc.send(r, tc.req, tc.at)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
			if throttle == 0 {
				t.Error("not told to wait")
			}
		})
	}
}

func createWith(codes func(*kmsg.CreateTopicsResponse) []string) func(*rig, kmsg.Request, int16) ([]string, int32) {
	return func(r *rig, req kmsg.Request, version int16) ([]string, int32) {
		got := must[*kmsg.CreateTopicsResponse](r.t, r.controller(), req, version)
		return codes(got), got.ThrottleMillis
	}
}

func deleteWith(codes func(*kmsg.DeleteTopicsResponse) []string) func(*rig, kmsg.Request, int16) ([]string, int32) {
	return func(r *rig, req kmsg.Request, version int16) ([]string, int32) {
		got := must[*kmsg.DeleteTopicsResponse](r.t, r.controller(), req, version)
		return codes(got), got.ThrottleMillis
	}
}

// Growing a topic costs what it grows by, not what it has.
func TestCreatePartitionsCostsWhatIsNew(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitTopicMutations: {Value: 1, Burst: 10}})
	r.topic("i-a.t")
	grow := func(to int32) (int16, int32) {
		c := r.controller() // a new one: the last is muted
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: to}}
		got := must[*kmsg.CreatePartitionsResponse](t, c, req, 3)
		return got.Topics[0].ErrorCode, got.ThrottleMillis
	}
	if code, throttle := grow(3); code != 0 || throttle > 3000 {
		t.Errorf("from 1 to 3: %v, told to wait %d ms, want at most that for two", kerr.ErrorForCode(code), throttle)
	}
	grow(100) // fits, or not: what is left of the burst says
	if code, throttle := grow(200); code != kerr.ThrottlingQuotaExceeded.Code || throttle == 0 {
		t.Errorf("from 100 to 200: %v, told to wait %d ms", kerr.ErrorForCode(code), throttle)
	}
}

// Metadata creates topics by the same limit: beyond it they stay unknown.
func TestAutoCreationIsATopicMutation(t *testing.T) {
	r := newLimitedRig(t, tenancy.Limits{tenancy.LimitTopicMutations: {Value: 0.01}})
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	for _, name := range []string{"x", "y"} {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	got := must[*kmsg.MetadataResponse](t, r.loggedIn("a"), req, 9)
	made := 0
	for _, row := range got.Topics {
		if row.ErrorCode != kerr.UnknownTopicOrPartition.Code {
			made++
		}
	}
	if made != 1 || got.ThrottleMillis == 0 {
		t.Errorf("%d topics made, told to wait %d ms; want one: %+v", made, got.ThrottleMillis, got.Topics)
	}
}
