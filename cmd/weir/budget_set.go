package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"weir/admin/api"
)

type budgetSetCmd struct {
	ofTenant
	Amount   string `arg:"" optional:"" help:"Of a month, as 500.00; not of a prepaid one."`
	Currency string `help:"As EUR; what is priced in others does not count." required:"" placeholder:"CODE"`
	Mode     string `help:"soft: tell. hard: act when it is spent, until the month ends. prepaid: act when the balance is spent." enum:"soft,hard,prepaid" default:"soft"`
	Action   string `help:"throttle (64 KiB/s each way, of each instance) or stop (no connections). Default: throttle of a hard one, stop of a prepaid one." placeholder:"ACTION"`
	Balance  string `help:"What was paid, of a prepaid one: added together with it, as top-up would." placeholder:"AMOUNT"`
	ID       string `help:"Of that payment: given again it counts once." placeholder:"ID"`
	Note     string `help:"Of that payment, for people." placeholder:"TEXT"`
	DryRun   bool   `help:"Change nothing; say where the tenant would stand, and what that would restrain."`
	Yes      bool   `help:"Do not ask, even if it restrains instances at once."`
}

func (c *budgetSetCmd) Run(ctx context.Context, e *env) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	path, err := c.path(cl, "/budget")
	if err != nil {
		return err
	}
	var would, did api.ChangedBudget
	if c.DryRun || !c.Yes {
		if err := cl.call(ctx, http.MethodPut, path+dryRunQuery(true), body, &would); err != nil {
			return err
		}
	}
	if c.DryRun {
		return c.report(e, would, would.Tenant+": nothing was changed; this would be"+c.counted(would))
	}
	if would.Tightens > 0 {
		if err := c.confirmed(e, would); err != nil {
			return err
		}
	}
	if err := cl.call(ctx, http.MethodPut, path, body, &did); err != nil {
		return err
	}
	return c.report(e, did, "the budget of "+did.Tenant+" is set"+c.counted(did))
}

// counted says of a payment that is there already that it adds nothing.
func (c *budgetSetCmd) counted(did api.ChangedBudget) string {
	if !did.Counted {
		return ""
	}
	return "; " + c.ID + " was counted already"
}

func (c *budgetSetCmd) body() (*api.SetBudget, error) {
	body := &api.SetBudget{Mode: c.Mode, Currency: c.Currency, Amount: c.Amount, Action: c.Action}
	switch {
	case c.Balance == "" && (c.ID != "" || c.Note != ""):
		return nil, c.mistake("--id and --note are of a payment: give --balance AMOUNT with them")
	case c.Balance != "" && c.ID == "":
		return nil, c.mistake("--balance needs the payment's --id, so that it counts once")
	case c.Balance != "":
		body.Balance = &api.AddBalance{ID: c.ID, Amount: c.Balance, Note: c.Note}
	}
	return body, nil
}

func (c *budgetSetCmd) mistake(message string) error {
	return &failure{code: "usage", exit: exitUsage, message: message, try: []string{"weir budget set --currency EUR --mode prepaid --balance 100.00 --id payment-4711"}}
}

// confirmed asks before instances are restrained at once.
func (c *budgetSetCmd) confirmed(e *env, would api.ChangedBudget) error {
	is := would.Balance
	what := fmt.Sprintf("%s has spent %s of %s %s: this %s %d of %s at once", would.Tenant, is.Spent, is.Available, is.Currency,
		map[string]string{"throttle": "throttles", "stop": "stops"}[is.Next], would.Tightens, instances(is.Instances))
	err := e.confirm(false, what+". Go on?", c.command(would.Tenant))
	var refused *failure
	if errors.As(err, &refused) {
		refused.message = what + "; " + refused.message
		if c.Mode == "prepaid" && c.Balance == "" {
			refused.try = append([]string{c.command(would.Tenant) + " --balance AMOUNT --id PAYMENT"}, refused.try...)
		}
	}
	return err
}

// command is what was typed, with the tenant that is meant.
func (c *budgetSetCmd) command(tenant string) string {
	var text strings.Builder
	text.WriteString("weir budget set")
	if c.Amount != "" {
		text.WriteString(" " + c.Amount)
	}
	text.WriteString(" --tenant " + tenant)
	for _, flag := range [][2]string{{"currency", c.Currency}, {"mode", c.Mode}, {"action", c.Action}, {"balance", c.Balance}, {"id", c.ID}} {
		if flag[1] != "" {
			text.WriteString(" --" + flag[0] + " " + flag[1])
		}
	}
	return text.String()
}

// report says where the tenant stands, and what is probably not meant.
func (c *budgetSetCmd) report(e *env, did api.ChangedBudget, text string) error {
	if e.Output != "json" {
		for _, w := range did.Warnings {
			say(e.err, "warning: %s\n", shown(w))
		}
	}
	if err := e.done(did.Tenant, did, text); err != nil || e.Output != "table" || did.Balance == nil {
		return err
	}
	is := *did.Balance
	force := inForce(is)
	if did.DryRun && is.Next != "" {
		force = fmt.Sprintf("%s, all of %s, at once", is.Next, instances(is.Instances))
	}
	return printFields(e.out, [][2]string{
		{"Available", is.Available + " " + is.Currency + " in " + is.Month}, {"Spent", is.Spent}, {"Left", is.Left}, {"In force", force},
	})
}
