package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"weir/admin/api"
	"weir/tenancy"
)

type quotaCmds struct {
	Get   quotaGetCmd   `cmd:"" help:"Show what an instance may use, what it uses, and where each limit comes from."`
	Set   quotaSetCmd   `cmd:"" help:"Set limits of an instance, or of a user or client id within it."`
	Unset quotaUnsetCmd `cmd:"" help:"Take such limits back: then those of the plan count."`
}

type quotaGetCmd struct {
	ofInstance
}

func (c *quotaGetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var q api.Quotas
	if err := cl.call(ctx, http.MethodGet, c.path("/quotas"), nil, &q); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, q)
	case "name":
		for _, name := range tenancy.LimitNames() {
			if q.Limits[string(name)].Limit != nil {
				say(e.out, "%s\n", name)
			}
		}
		return nil
	}
	var rows [][]string
	for _, name := range tenancy.LimitNames() {
		l := q.Limits[string(name)]
		from := l.Source
		if from == string(tenancy.SourcePlan) {
			from = "plan " + q.Plan
		}
		rows = append(rows, []string{string(name), amount(name, l.Used), amount(name, l.Limit), percent(l.Used, l.Limit), amount(name, l.Peak24h), from})
	}
	if err := printTable(e.out, []string{"LIMIT", "USED", "OF", "%", "PEAK 24 H", "FROM"}, rows); err != nil {
		return err
	}
	if budgetHolds(q) {
		sayBudgetSpent(e, q.Tenant)
	}
	if err := printSubQuotas(e, q.SubQuotas); err != nil {
		return err
	}
	c.sayThrottled(e, q)
	return nil
}

func budgetHolds(q api.Quotas) bool {
	for _, l := range q.Limits {
		if l.Source == string(tenancy.SourceBudget) {
			return true
		}
	}
	return false
}

// sayBudgetSpent says why limits are lower than anybody has set them.
func sayBudgetSpent(e *env, tenant string) {
	say(e.out, "\nthe budget of tenant %s is spent: until it is not, its limits are in force\n  try:  weir budget get --tenant %s\n", shown(tenant), shown(tenant))
}

func printSubQuotas(e *env, all []api.SubQuota) error {
	var rows [][]string
	for _, s := range all {
		for _, name := range tenancy.LimitNames() {
			if b, ok := s.Limits[string(name)]; ok {
				rows = append(rows, []string{orAny(s.User), orAny(s.ClientID), string(name), amount(name, b.Limit)})
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	say(e.out, "\n")
	return printTable(e.out, []string{"USER", "CLIENT ID", "LIMIT", "OF"}, rows)
}

// orAny is a part of whom a sub-quota is for.
func orAny(part *string) string {
	if part == nil {
		return "any"
	}
	return *part
}

// sayThrottled says nothing of an instance that was not throttled.
func (c *quotaGetCmd) sayThrottled(e *env, q api.Quotas) {
	if q.ThrottledSeconds24h == nil || *q.ThrottledSeconds24h == 0 {
		return
	}
	waited := time.Duration(*q.ThrottledSeconds24h * float64(time.Second)).Round(100 * time.Millisecond)
	say(e.out, "\nthrottled for %s in 24 hours", waited)
	if top := q.TopReason; top != nil {
		say(e.out, ", %.0f %% of it %s by %s", 100*top.Share, shown(strings.Join(named(top.User, top.ClientID), " / ")), top.Limit)
	}
	say(e.out, "\n  try:  weir throttle list %s\n", c.typed())
}

// amount is a value for people; "-" if there is none.
func amount(name tenancy.LimitName, value *float64) string {
	if value == nil {
		return "-"
	}
	return tenancy.FormatAmount(name, *value)
}

func percent(used, of *float64) string {
	if used == nil || of == nil || *of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", 100**used / *of)
}
