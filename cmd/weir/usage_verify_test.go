package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/admin/api"
)

func TestUsageVerify(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 20, 0, 0, time.UTC)
	since := at.Add(-time.Hour)
	whole := api.UsageChain{Instance: "i-1", Intact: true, Records: 7, First: 1, Last: 7, Hash: "ab01"}
	broken := api.UsageChain{Instance: "i-1", Records: 6, First: 1, Last: 7, Hash: "ab01", Broken: &api.UsageChainBreak{Number: 5, Reason: "is missing"}}
	compared := func(c api.UsageCompared) api.UsageChain {
		with := whole
		c.At = at
		with.Compared = &c
		return with
	}
	for name, c := range map[string]struct {
		chain   api.UsageChain
		output  string
		code    int
		out     string
		problem string
	}{
		"nothing yet": {chain: api.UsageChain{Intact: true}, out: "orders has no usage records yet: an hour is sealed 15 minutes after its end\n"},
		"intact":      {chain: whole, out: "orders: records 1 to 7 follow on each other, none is missing or changed\nhash of record 7: ab01\n"},
		"the hash":    {chain: whole, output: "name", out: "ab01\n"},
		"broken":      {chain: broken, code: exitFailed, problem: "record 5 of orders is missing"},
		"the same": {
			chain: compared(api.UsageCompared{Since: &since, MeteredLeast: 10, MeteredMost: 10, Appended: 10}),
			out:   "compared with the logs at 2026-11-23 08:20: 10 records appended, 10 metered since 2026-11-23 07:20\n",
		},
		"a difference": {
			chain: compared(api.UsageCompared{Since: &since, MeteredLeast: 10, MeteredMost: 12, Appended: 9, Difference: -1, Note: "a note"}),
			out:   "DIFFERENCE from the logs at 2026-11-23 08:20: 9 records appended, between 10 and 12 metered since 2026-11-23 07:20\n  a note\n",
		},
		"the first comparison": {chain: compared(api.UsageCompared{Note: "it is the first"}), out: "not compared with the logs at 2026-11-23 08:20: it is the first\n"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/instances/orders/usage/chain" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				_ = json.NewEncoder(w).Encode(c.chain)
			}))
			defer srv.Close()
			token := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"--server", srv.URL, "--token-file", token, "usage", "verify", "orders"}
			if c.output != "" {
				args = append(args, "-o", c.output)
			}
			var out, errs bytes.Buffer
			code := cli(t.Context(), args, &env{out: &out, err: &errs})
			if code != c.code || !strings.HasSuffix(out.String(), c.out) || c.out == "" && out.Len() > 0 || !strings.Contains(errs.String(), c.problem) {
				t.Errorf("exit %d, want %d\n%s%s", code, c.code, &out, &errs)
			}
			if c.problem != "" && !strings.Contains(errs.String(), "[usage-chain-broken]") {
				t.Errorf("%s", &errs)
			}
		})
	}
}
