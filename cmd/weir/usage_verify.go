package main

import (
	"context"
	"fmt"
	"net/http"

	"weir/admin/api"
)

type usageVerifyCmd struct {
	ofInstance
}

func (c *usageVerifyCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var chain api.UsageChain
	if err := cl.call(ctx, http.MethodGet, c.path("/usage/chain"), nil, &chain); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		if err := printJSON(e.out, chain); err != nil {
			return err
		}
	case "name":
		say(e.out, "%s\n", chain.Hash)
	default:
		c.print(e, chain)
	}
	if b := chain.Broken; b != nil {
		return &failure{
			code: "usage-chain-broken", message: fmt.Sprintf("record %d of %s %s", b.Number, c.Instance, b.Reason),
			try:  []string{"put the records back from a dump of Redis, or start a gateway with the metering.dir that sealed them"},
			exit: exitFailed,
		}
	}
	return nil
}

func (c *usageVerifyCmd) print(e *env, chain api.UsageChain) {
	switch {
	case chain.Last == 0:
		say(e.out, "%s has no usage records yet: an hour is sealed 15 minutes after its end\n", c.Instance)
	case chain.Broken == nil:
		say(e.out, "%s: records %d to %d follow on each other, none is missing or changed\nhash of record %d: %s\n", c.Instance, chain.First, chain.Last, chain.Last, chain.Hash)
	}
	d := chain.Compared
	if d == nil {
		return
	}
	at := d.At.UTC().Format("2006-01-02 15:04")
	switch {
	case d.Since == nil:
		say(e.out, "not compared with the logs at %s: %s\n", at, d.Note)
	case d.Difference == 0:
		say(e.out, "compared with the logs at %s: %d records appended, %s metered since %s\n", at, d.Appended, between(d), d.Since.UTC().Format("2006-01-02 15:04"))
	default:
		say(e.out, "DIFFERENCE from the logs at %s: %d records appended, %s metered since %s\n", at, d.Appended, between(d), d.Since.UTC().Format("2006-01-02 15:04"))
	}
	if d.Since != nil && d.Note != "" {
		say(e.out, "  %s\n", d.Note)
	}
}

// between is what was metered, as exactly as it is known.
func between(d *api.UsageCompared) string {
	if d.MeteredLeast == d.MeteredMost {
		return fmt.Sprint(d.MeteredLeast)
	}
	return fmt.Sprintf("between %d and %d", d.MeteredLeast, d.MeteredMost)
}
