package main

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"os"

	"weir/admin/api"
	"weir/gateway"
)

type planPricesCmds struct {
	Get planPricesGetCmd `cmd:"" help:"Show what a plan costs, and will cost."`
	Set planPricesSetCmd `cmd:"" help:"Set what a plan costs from a month on, in place of weir.yaml."`
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

type planPricesSetCmd struct {
	Plan string `arg:"" help:"Name of the plan."`
	File string `arg:"" help:"File with the prices, written as below prices of a plan in weir.yaml; - for stdin."`
	From string `help:"Month from which on they count, as 2026-12; not one that is over. Default: this one, also for what was used in it already." placeholder:"MONTH"`
}

func (c *planPricesSetCmd) Run(ctx context.Context, e *env) error {
	body, err := e.pricesFile(c.File)
	if err != nil {
		return err
	}
	body.From = c.From
	cl, err := e.client()
	if err != nil {
		return err
	}
	var p api.PricesOfPlan
	if err := cl.call(ctx, http.MethodPut, planPath(c.Plan)+"/prices", body, &p); err != nil {
		return err
	}
	return e.printPrices(p)
}

// pricesFile reads prices, and says everything that is wrong with them.
func (e *env) pricesFile(file string) (*api.SetPrices, error) {
	in := e.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, unreadable("FILE", file, err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxPricesFile))
	if err != nil {
		return nil, unreadable("FILE", file, err)
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
	return cmp.Or(*v.From, "-")
}
