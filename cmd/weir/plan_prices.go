package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"os"

	"weir/admin/api"
	"weir/gateway"
)

type planPricesCmds struct {
	Get planPricesGetCmd `cmd:"" help:"Show what a plan costs, and will cost."`
	Set planPricesSetCmd `cmd:"" help:"Set what a plan costs from a month on, in place of weir.yaml."`

	Unset planPricesUnsetCmd `cmd:"" help:"Take such prices back: then weir.yaml counts again."`
}

// maxPricesFile bounds a file of prices, in bytes.
const maxPricesFile = 1 << 20

type planPricesGetCmd struct {
	Plan string `arg:"" help:"Name of the plan."`
}

func (c *planPricesGetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var p api.PricesOfPlan
	if err := cl.call(ctx, http.MethodGet, planPath(c.Plan)+"/prices", nil, &p); err != nil {
		return err
	}
	return e.printPrices(p)
}

// pricesFile reads prices, and says everything that is wrong with them.
func (e *env) pricesFile(plan, file string) (*api.SetPrices, error) {
	in := e.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, unreadablePrices(plan, file, err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxPricesFile))
	if err != nil {
		return nil, unreadablePrices(plan, file, err)
	}
	p, err := gateway.ReadPrices(file, data)
	if err != nil {
		return nil, err
	}
	body := &api.SetPrices{Prices: api.Prices{Currency: p.Currency, Minimum: p.Minimum, Meters: []api.MeterPrices{}}}
	for _, m := range p.Meters {
		mp := api.MeterPrices{Meter: m.Meter, Unit: m.Unit, Price: m.Price, Free: m.Free}
		for _, t := range m.Tiers {
			mp.Tiers = append(mp.Tiers, api.TierPrices{Above: t.Above, Price: t.Price})
		}
		body.Meters = append(body.Meters, mp)
	}
	return body, nil
}

// unreadablePrices proposes the command that was meant.
func unreadablePrices(plan, file string, err error) error {
	err = unreadable("the file", file, err)
	var f *failure
	if errors.As(err, &f) {
		f.try = []string{"weir plan prices set " + plan + " FILE"}
	}
	return err
}

func (e *env) printPrices(p api.PricesOfPlan) error {
	switch e.Output {
	case "json":
		return printJSON(e.out, p)
	case "name":
		for _, v := range p.Items {
			say(e.out, "%s\n", pricesFrom(v))
		}
		return nil
	}
	if len(p.Items) == 0 {
		say(e.out, "plan %s has no prices: nothing is billed\n", shown(p.Plan))
		return nil
	}
	var rows [][]string
	for _, v := range p.Items {
		from := pricesFrom(v)
		if v.Currency == "" { // unset, and the file has none
			rows = append(rows, []string{from, "-", "-", "-", "nothing is billed"})
		}
		if v.Minimum != "" {
			rows = append(rows, []string{from, "minimum", "instance and month", "-", v.Minimum + " " + v.Currency})
		}
		for _, m := range v.Meters {
			above := "-"
			if m.Free != "" {
				rows = append(rows, []string{from, m.Meter, m.Unit, "-", "free"})
				above = m.Free
			}
			rows = append(rows, []string{from, m.Meter, m.Unit, above, m.Price + " " + v.Currency})
			for _, t := range m.Tiers {
				rows = append(rows, []string{from, m.Meter, m.Unit, t.Above, t.Price + " " + v.Currency})
			}
		}
	}
	return printTable(e.out, []string{"FROM", "METER", "UNIT", "ABOVE", "PRICE"}, rows)
}

func pricesFrom(v api.PlanPrices) string {
	if v.From == nil {
		return "weir.yaml"
	}
	if v.Unset {
		return *v.From + " (weir.yaml)"
	}
	return cmp.Or(*v.From, "-")
}
