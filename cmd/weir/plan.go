package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"weir/admin/api"
	"weir/tenancy"
)

type planCmds struct {
	List  planListCmd  `cmd:"" help:"List the plans."`
	Get   planGetCmd   `cmd:"" help:"Show what a plan bounds."`
	Set   planSetCmd   `cmd:"" help:"Set limits of a plan, in place of those of weir.yaml."`
	Unset planUnsetCmd `cmd:"" help:"Take such limits back: then weir.yaml counts again."`

	Prices planPricesCmds `cmd:"" help:"Say what the instances of a plan cost."`
}

func planPath(name string) string { return "/v1/plans/" + url.PathEscape(name) }

type planListCmd struct{}

func (c *planListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var all api.Plans
	if err := cl.call(ctx, http.MethodGet, "/v1/plans", nil, &all); err != nil {
		return err
	}
	var rows [][]string
	for _, p := range all.Items {
		bounded := 0
		for _, l := range p.Limits {
			if l.Limit != nil {
				bounded++
			}
		}
		rows = append(rows, []string{p.Name, strconv.Itoa(p.Instances), strconv.Itoa(bounded)})
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		for _, p := range all.Items {
			say(e.out, "%s\n", p.Name)
		}
		return nil
	}
	return printTable(e.out, []string{"PLAN", "INSTANCES", "LIMITS"}, rows)
}

type planGetCmd struct {
	Plan string `arg:"" help:"Name of the plan."`
}

func (c *planGetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var p api.Plan
	if err := cl.call(ctx, http.MethodGet, planPath(c.Plan), nil, &p); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, p)
	case "name":
		say(e.out, "%s\n", p.Name)
		return nil
	}
	var rows [][]string
	for _, name := range tenancy.LimitNames() {
		l := p.Limits[string(name)]
		rows = append(rows, []string{string(name), amount(name, l.Limit), amount(name, l.Burst), l.Source})
	}
	return printTable(e.out, []string{"LIMIT", "OF", "BURST", "FROM"}, rows)
}

type planSetCmd struct {
	Plan   string   `arg:"" help:"Name of the plan."`
	Limits []string `arg:"" name:"limit=value" help:"Such as produce_bytes_per_second=10MiB; all are set, or none."`
	Burst  string   `help:"How much of the rate may be used at once after a rest; of one limit only." placeholder:"SIZE"`
	DryRun bool     `help:"Change nothing; say what would change, and which instances it would hold back now."`
}

func (c *planSetCmd) Run(ctx context.Context, e *env) error {
	body, err := limitsToSet(c.Limits, c.Burst)
	if err != nil {
		return err
	}
	return e.changePlan(ctx, c.Plan, body, c.DryRun)
}

type planUnsetCmd struct {
	Plan   string   `arg:"" help:"Name of the plan."`
	Limits []string `arg:"" name:"limit" help:"Such as produce_bytes_per_second."`
	DryRun bool     `help:"Change nothing; say what would change, and which instances it would hold back now."`
}

func (c *planUnsetCmd) Run(ctx context.Context, e *env) error {
	body, err := limitsToUnset(c.Limits)
	if err != nil {
		return err
	}
	return e.changePlan(ctx, c.Plan, body, c.DryRun)
}

func (e *env) changePlan(ctx context.Context, plan string, body api.ChangeLimits, dry bool) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var did api.ChangedPlan
	if err := cl.call(ctx, http.MethodPatch, planPath(plan)+dryRunQuery(dry), body, &did); err != nil {
		return err
	}
	if err := e.changedQuotas("plan "+plan, did.ChangedQuotas, did); err != nil || e.Output != "table" || !dry {
		return err
	}
	if did.Unknown > 0 {
		say(e.out, "of %d instances nobody knows what they use\n", did.Unknown)
	}
	if did.AffectedCount == 0 {
		return nil
	}
	say(e.out, "\nit would hold back %d now\n", did.AffectedCount)
	var rows [][]string
	for _, a := range did.Affected {
		name := tenancy.LimitName(a.Limit)
		rows = append(rows, []string{a.Instance, a.Limit, amount(name, a.Used), amount(name, a.New.Limit), verdict(a.LimitChange)})
	}
	return printTable(e.out, []string{"INSTANCE", "LIMIT", "USED", "OF", "THEN"}, rows)
}
