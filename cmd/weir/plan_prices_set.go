package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"weir/admin/api"
)

// pricesChange are the flags of what changes prices.
type pricesChange struct {
	DryRun bool `help:"Change nothing; say what prices there would be."`
	Yes    bool `help:"Do not ask, even if what was used in this month already gets another price."`
}

type planPricesSetCmd struct {
	Plan string `arg:"" help:"Name of the plan."`
	File string `arg:"" help:"File with the prices, written as below prices of a plan in weir.yaml; - for stdin."`
	From string `help:"Month from which on they count, as 2026-12; not one that is over. Default: this one, also for what was used in it already." placeholder:"MONTH"`
	pricesChange
}

func (c *planPricesSetCmd) Run(ctx context.Context, e *env) error {
	body, err := e.pricesFile(c.Plan, c.File)
	if err != nil {
		return err
	}
	body.From = c.From
	return e.changePrices(ctx, http.MethodPut, c.Plan, nil, body, c.pricesChange, "weir plan prices set "+c.Plan+" "+c.File)
}

type planPricesUnsetCmd struct {
	Plan string `arg:"" help:"Name of the plan."`
	From string `help:"Month from which on weir.yaml counts again, as 2026-12, until a later one that prices were set for. Default: this one, also for what was used in it already." placeholder:"MONTH"`
	pricesChange
}

func (c *planPricesUnsetCmd) Run(ctx context.Context, e *env) error {
	query := url.Values{}
	if c.From != "" {
		query.Set("from", c.From)
	}
	return e.changePrices(ctx, http.MethodDelete, c.Plan, query, nil, c.pricesChange, "weir plan prices unset "+c.Plan)
}

// changePrices asks before what instances have used already gets another price. command
// is what was typed, but for the month.
func (e *env) changePrices(ctx context.Context, method, plan string, query url.Values, body *api.SetPrices, how pricesChange, command string) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var sent any
	if body != nil {
		sent = body
	}
	var did api.ChangedPrices
	call := func(dry bool) error {
		all := url.Values{}
		maps.Copy(all, query)
		if dry {
			all.Set("dry_run", "true")
		}
		did = api.ChangedPrices{}
		return cl.call(ctx, method, planPath(plan)+"/prices?"+all.Encode(), sent, &did)
	}
	if how.DryRun || !how.Yes {
		if err := call(true); err != nil {
			return err
		}
	}
	if !how.DryRun {
		if !how.Yes && did.Reprices && did.Instances > 0 {
			if err := e.confirmRepricing(did, command); err != nil {
				return err
			}
		}
		if err := call(false); err != nil {
			return err
		}
	}
	if e.Output == "json" {
		return printJSON(e.out, did)
	}
	if did.DryRun && e.Output == "table" {
		say(e.out, "plan %s: nothing was changed; this would be\n", shown(plan))
	}
	return e.printPrices(did.PricesOfPlan)
}

func (e *env) confirmRepricing(would api.ChangedPrices, command string) error {
	what := fmt.Sprintf("these prices also count for what %s of plan %s used in %s already", instances(would.Instances), would.Plan, would.ChangedFrom)
	err := e.confirm(false, what+". Go on?", command)
	var refused *failure
	if errors.As(err, &refused) {
		refused.message = what + "; " + refused.message
		if m, bad := time.Parse("2006-01", would.ChangedFrom); bad == nil {
			refused.try = append([]string{command + " --from " + m.AddDate(0, 1, 0).Format("2006-01")}, refused.try...)
		}
	}
	return err
}
