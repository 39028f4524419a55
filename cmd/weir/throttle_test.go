package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/admin/api"
)

func TestThrottleTable(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.Local)
	since, over, user, every := at.Add(time.Second), 3.25, "etl", ""
	var out bytes.Buffer
	err := printThrottles(&env{out: &out}, api.Throttles{
		Items: []api.Throttle{
			{Limit: "produce_bytes_per_second", Kind: "throttled", User: "etl", ClientID: "spark\x1b7", Count: 120, Seconds: 41.52, Over: &over, Last: at, Ongoing: true, Since: &since},
			{Limit: "fetch_bytes_per_second", Kind: "throttled", Scope: api.ThrottleScope{User: &user, ClientID: &every}, User: "etl", Count: 3, Seconds: 0.04, Last: at},
			{Limit: "produce_bytes_per_second", Kind: "throttled", Others: true, Count: 2, Seconds: 3600, Last: at},
			{Limit: "topics", Kind: "refused", Count: 4, Last: at},
		},
		Omitted: 2,
		Limits:  []api.ThrottledLimit{{Limit: "topics", Text: "there are as many topics as there may be", Fix: "delete topics", Try: "weir quota get orders"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `LIMIT                     SCOPE                  WHO            SINCE                LAST                 THROTTLED  TIMES  OVER BY
produce_bytes_per_second  instance               etl / spark` + "\uFFFD" + `7  2026-11-23 08:00:01  2026-11-23 08:00:00  41.5s      120    3.2x
fetch_bytes_per_second    user etl, each client  etl            -                    2026-11-23 08:00:00  0s         3      -
produce_bytes_per_second  instance               (others)       -                    2026-11-23 08:00:00  1h0m0s     2      -
topics                    instance               -              -                    2026-11-23 08:00:00  refused    4      -
and 2 more, which waited less

topics: there are as many topics as there may be
  fix:  delete topics
  try:  weir quota get orders
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
