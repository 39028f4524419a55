package rewrite

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A text that repeats what the request says fits into a Kafka string, so that the
// row that it stands in can be read.
func TestLongTextsAreClipped(t *testing.T) {
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	entry.Entity = []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: new("u")}}
	entry.Ops = []kmsg.AlterClientQuotasRequestEntryOp{{Key: strings.Repeat("k", 32_760)}}
	resp := alteredQuotas(t, entry)
	if text := *resp.Entries[0].ErrorMessage; len(text) != maxText || !strings.HasPrefix(text, "Invalid configuration key kkk") {
		t.Errorf("%d bytes: %.60s", len(text), text)
	}
}

// An entity of many parts costs what its parts cost, not their square.
func TestQuotaEntityOfManyParts(t *testing.T) {
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	for i := range 10_000 {
		entry.Entity = append(entry.Entity, kmsg.AlterClientQuotasRequestEntryEntity{Type: fmt.Sprint(i)})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp := alteredQuotas(t, entry)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("10,000 parts took %d MiB", got>>20)
	}
	if len(resp.Entries) != 1 || len(resp.Entries[0].Entity) != 10_000 {
		t.Error("they do not come back")
	}
}

// alteredQuotas is the answer to AlterClientQuotas v0 for one entry.
func alteredQuotas(t *testing.T, entry kmsg.AlterClientQuotasRequestEntry) *kmsg.AlterClientQuotasResponse {
	t.Helper()
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries = []kmsg.AlterClientQuotasRequestEntry{entry}
	api, _ := Lookup(req.Key(), 0)
	plan, err := api.Plan(&Exchange{Session: newSession(newFakePool()), Ctx: t.Context(), Key: req.Key()}, req.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	resp := kmsg.NewPtrAlterClientQuotasResponse()
	if err := resp.ReadFrom(join(plan.Answer)); err != nil {
		t.Fatalf("the answer cannot be read: %v", err)
	}
	return resp
}
