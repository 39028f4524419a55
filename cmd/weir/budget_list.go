package main

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"weir/admin/api"
)

type budgetListCmd struct{}

func (*budgetListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	all := api.Budgets{Items: []api.TenantBudget{}}
	query := url.Values{"limit": {"100"}}
	for {
		var page api.Budgets
		if err := cl.call(ctx, http.MethodGet, "/v1/budgets?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		all.Items = append(all.Items, page.Items...)
		if page.Next == nil {
			break
		}
		query.Set("after", *page.Next)
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		for _, b := range all.Items {
			say(e.out, "%s\n", b.Tenant)
		}
		return nil
	}
	if len(all.Items) == 0 {
		say(e.out, "there are none: nothing bounds what tenants spend\n")
		return nil
	}
	var rows [][]string
	for _, b := range all.Items {
		rows = append(rows, budgetRow(b))
	}
	return printTable(e.out, []string{"TENANT", "MODE", "CURRENCY", "AVAILABLE", "SPENT", "LEFT", "FORECAST", "WHEN SPENT", "IN FORCE"}, rows)
}

func budgetRow(b api.TenantBudget) []string {
	then := cmp.Or(b.Action, "tell")
	if b.Balance == nil {
		return []string{b.Tenant, b.Mode, b.Currency, cmp.Or(b.Amount, "?"), "?", "?", "?", then, "?"}
	}
	is := b.Balance
	return []string{b.Tenant, b.Mode, b.Currency, is.Available, is.Spent, is.Left, cmp.Or(is.Forecast, "-"), then, cmp.Or(is.Restraint, "-")}
}
