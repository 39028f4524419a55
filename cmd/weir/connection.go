package main

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"weir/admin/api"
)

type connCmds struct {
	Check   connCheckCmd   `cmd:"" help:"Walk from the name to a fetched record, which is metered, and say which step fails, and why."`
	Refused connRefusedCmd `cmd:"" help:"Show which connections were refused within a day, why, and what to do about it."`
}

// watchEvery is how often connection refused --watch asks.
const watchEvery = time.Second

type connRefusedCmd struct {
	Instance string `arg:"" optional:"" help:"Name or id of the instance. Without: those that named none that there is (for operators)."`
	instanceTenant
	Since time.Duration `help:"Of the last while; a day is kept. Default: ${default}." default:"1h" placeholder:"1h"`
	Limit int           `help:"The newest so many. Default: ${default}." default:"50" placeholder:"N"`
	Watch bool          `help:"Go on with new ones until interrupted."`
}

// of is whose refusals are asked for.
func (c *connRefusedCmd) of() ofInstance { return ofInstance{c.Instance, c.instanceTenant} }

func (c *connRefusedCmd) Run(ctx context.Context, e *env) error {
	if c.Instance == "" && c.Tenant != "" && c.Tenant != os.Getenv("WEIR_TENANT") {
		return &failure{
			code: "usage", exit: exitUsage, message: "--tenant says whose instance it is: say which",
			try: []string{"weir connection refused INSTANCE --tenant " + c.Tenant},
		}
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	found, err := cl.refusals(ctx, c.of(), c.Since, c.Limit)
	if err != nil {
		return err
	}
	if c.Watch {
		return c.watch(ctx, e, cl, found)
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, api.Refusals{Items: found})
	case "name":
		for _, r := range found {
			say(e.out, "%s\n", r.Reason)
		}
		return nil
	}
	rows := make([][]string, 0, len(found))
	for _, r := range found {
		rows = append(rows, refusalRow(r))
	}
	return printTable(e.out, refusalHeader(), rows)
}

func refusalHeader() []string {
	return []string{"WHEN", "COUNT", "ADDRESS", "USER", "REASON", "FIX"}
}

func refusalRow(r api.Refusal) []string {
	return []string{
		r.At.Local().Format(time.DateTime), strconv.FormatInt(r.Count, 10), cmp.Or(r.Address, "-"), shown(cmp.Or(r.User, "-")),
		r.Reason, cmp.Or(r.Try, r.Fix),
	}
}

// watch prints what is new, oldest first, one line each.
func (c *connRefusedCmd) watch(ctx context.Context, e *env, cl *client, found []api.Refusal) error {
	const line = "%-19s  %5s  %-18s  %-16s  %-24s  %s\n"
	header := refusalHeader()
	if e.Output == "table" {
		say(e.out, line, header[0], header[1], header[2], header[3], header[4], header[5])
	}
	seen := ""
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		for i := len(found) - 1; i >= 0; i-- {
			switch r := found[i]; {
			case !newer(r.ID, seen):
				continue
			case e.Output == "json":
				if err := printJSON(e.out, r); err != nil {
					return err
				}
			case e.Output == "name":
				say(e.out, "%s\n", r.Reason)
			default:
				row := refusalRow(r)
				say(e.out, line, row[0], row[1], row[2], row[3], row[4], row[5])
			}
			seen = found[i].ID
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var err error
		if found, err = cl.refusals(ctx, c.of(), time.Minute, 500); err != nil {
			return err
		}
	}
}

// newer reports whether one event was written after another; ids are two numbers.
func newer(id, than string) bool {
	ms, seq, _ := strings.Cut(id, "-")
	thanMs, thanSeq, _ := strings.Cut(than, "-")
	return cmp.Or(compareNumbers(ms, thanMs), compareNumbers(seq, thanSeq)) > 0
}

// compareNumbers compares two numbers without leading zeros, as texts.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// refusals reads the newest of the last while, by the server's clock; at most limit.
// The zero ofInstance: of those that named none.
func (c *client) refusals(ctx context.Context, of ofInstance, since time.Duration, limit int) ([]api.Refusal, error) {
	query := url.Values{"kind": {"refused"}, "since": {since.String()}}
	of.ask(query)
	found := []api.Refusal{}
	for len(found) < limit {
		query.Set("limit", strconv.Itoa(min(limit-len(found), 500)))
		var page api.Refusals
		if err := c.call(ctx, http.MethodGet, "/v1/events?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		found = append(found, page.Items...)
		if page.Next == nil {
			break
		}
		query.Set("after", *page.Next)
	}
	return found, nil
}
