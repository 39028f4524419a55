package main

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"weir/admin/api"
)

type statementCmds struct {
	List     statementListCmd     `cmd:"" help:"List statements, newest month first."`
	Get      statementGetCmd      `cmd:"" help:"Show a statement with its lines."`
	Finalize statementFinalizeCmd `cmd:"" help:"Make a month final that is over, for good; by itself it becomes so on the 3rd."`
}

func statementPath(id string) string { return "/v1/statements/" + url.PathEscape(id) }

type statementListCmd struct {
	Tenant string `help:"Of which tenant. Default: the token's." placeholder:"ID" env:"WEIR_TENANT"`
	Month  string `help:"Only that one, as 2026-11." placeholder:"MONTH"`
}

func (c *statementListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	all := api.Statements{Items: []api.StatementHead{}}
	query := url.Values{"limit": {"500"}}
	for name, value := range map[string]string{"tenant": c.Tenant, "month": c.Month} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for {
		var page api.Statements
		if err := cl.call(ctx, http.MethodGet, "/v1/statements?"+query.Encode(), nil, &page); err != nil {
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
		for _, s := range all.Items {
			say(e.out, "%s\n", s.ID)
		}
		return nil
	}
	if len(all.Items) == 0 {
		say(e.out, "there are none: nothing that costs was used, or hours are not sealed yet\n")
		return nil
	}
	var rows [][]string
	for _, s := range all.Items {
		rows = append(rows, []string{s.ID, s.State, s.Total + " " + s.Currency, cmp.Or(s.Forecast, "-")})
	}
	return printTable(e.out, []string{"STATEMENT", "STATE", "TOTAL", "FORECAST"}, rows)
}

type statementGetCmd struct {
	Statement string `arg:"" help:"Its id, as t-acme-2026-11-EUR; without the currency where there is only one."`
	CSV       bool   `name:"csv" help:"Write it as CSV."`
}

func (c *statementGetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	if c.CSV {
		return cl.copy(ctx, statementPath(c.Statement)+".csv", e.out)
	}
	var s api.Statement
	if err := cl.call(ctx, http.MethodGet, statementPath(c.Statement), nil, &s); err != nil {
		return err
	}
	return e.printStatement(s)
}

type statementFinalizeCmd struct {
	Statement string `arg:"" help:"Its id; the tenant's month becomes final in all currencies."`
	Yes       bool   `help:"Do not ask."`
}

func (c *statementFinalizeCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	if err := e.confirm(c.Yes, "Make "+c.Statement+" final? It can never be changed again.", "weir statement finalize "+c.Statement); err != nil {
		return err
	}
	var s api.Statement
	if err := cl.call(ctx, http.MethodPost, statementPath(c.Statement)+"/finalize", nil, &s); err != nil {
		return err
	}
	return e.printStatement(s)
}

func (e *env) printStatement(s api.Statement) error {
	switch e.Output {
	case "json":
		return printJSON(e.out, s)
	case "name":
		say(e.out, "%s\n", s.ID)
		return nil
	}
	rows := make([][]string, 0, len(s.Lines))
	for _, l := range s.Lines {
		what := cmp.Or(l.Meter, l.Kind)
		if l.Correction {
			what += " (of " + l.UsedIn + ")"
		}
		rows = append(rows, []string{l.Instance, l.Plan, what, l.Quantity, l.Unit, l.UnitPrice, l.Amount})
	}
	if err := printTable(e.out, []string{"INSTANCE", "PLAN", "METER", "QUANTITY", "UNIT", "PRICE", "AMOUNT"}, rows); err != nil {
		return err
	}
	say(e.out, "\ntotal %s %s, %s", s.Total, s.Currency, s.State)
	if s.Through != nil {
		say(e.out, " through %s", s.Through.UTC().Format(time.RFC3339))
	}
	if s.Forecast != "" {
		say(e.out, "; the month will come to %s", s.Forecast)
	}
	if s.SHA256 != "" {
		say(e.out, "\nsha256 of the CSV %s", s.SHA256)
	}
	say(e.out, "\n")
	return nil
}
