package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/admin/api"
)

type budgetCmds struct {
	List   budgetListCmd   `cmd:"" help:"List the budgets of tenants, and where they stand."`
	Get    budgetGetCmd    `cmd:"" help:"Show a tenant's budget, what is spent of it, and which thresholds were crossed."`
	Set    budgetSetCmd    `cmd:"" help:"Set what a tenant may spend, and what happens then."`
	TopUp  budgetTopUpCmd  `cmd:"" name:"top-up" help:"Add to a prepaid budget."`
	Delete budgetDeleteCmd `cmd:"" help:"Remove a tenant's budget: then nothing bounds what it spends."`
}

// ofTenant is the flag of commands about a tenant.
type ofTenant struct {
	Tenant string `help:"Of which tenant. Default: the token's." placeholder:"ID" env:"WEIR_TENANT"`
}

// path is below the tenant's; it is the token's own if the flag does not say. The
// server decides what the token may do: here it is only read.
func (t *ofTenant) path(cl *client, below string) (string, error) {
	tenant := t.Tenant
	if parts := strings.Split(cl.token, "."); tenant == "" && len(parts) == 3 {
		var claims struct {
			Tenant string `json:"tenant"`
		}
		if raw, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(raw, &claims) == nil {
			tenant = claims.Tenant
		}
	}
	if tenant == "" {
		return "", &failure{code: "usage", exit: exitUsage, message: "the token names no tenant", try: []string{"weir budget ... --tenant ID"}}
	}
	return "/v1/tenants/" + url.PathEscape(tenant) + below, nil
}

type budgetGetCmd struct{ ofTenant }

// budgetShown is what budget get prints as JSON.
type budgetShown struct {
	Budget  api.Budget        `json:"budget"`
	Balance api.Balance       `json:"balance"`
	Events  []api.BudgetEvent `json:"events"`
}

func (c *budgetGetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	path, err := c.path(cl, "")
	if err != nil {
		return err
	}
	var b budgetShown
	var events api.BudgetEvents
	if err := cl.call(ctx, http.MethodGet, path+"/budget", nil, &b.Budget); err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodGet, path+"/balance", nil, &b.Balance); err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodGet, path+"/events?limit=10", nil, &events); err != nil {
		return err
	}
	b.Events = events.Items
	switch e.Output {
	case "json":
		return printJSON(e.out, b)
	case "name":
		say(e.out, "%s\n", b.Budget.Tenant)
		return nil
	}
	return b.print(e)
}

func (b *budgetShown) print(e *env) error {
	is := b.Balance
	then := map[string]string{"": "tell", "throttle": "throttle: 64 KiB/s each way, of each instance", "stop": "stop: no connections"}[b.Budget.Action]
	fields := [][2]string{
		{"Tenant", b.Budget.Tenant},
		{"Mode", b.Budget.Mode + ", set by the " + b.Budget.SetBy},
		{"Available", is.Available + " " + is.Currency + " in " + is.Month},
		{"Spent", is.Spent},
		{"Left", is.Left},
		{"Forecast", cmp.Or(is.Forecast, "-")},
		{"When spent", then},
		{"In force", inForce(is)},
	}
	if err := printFields(e.out, fields); err != nil || len(b.Events) == 0 {
		return err
	}
	say(e.out, "\n")
	var rows [][]string
	for _, ev := range b.Events {
		what := ev.Threshold
		if what != "forecast" {
			what += " %"
		}
		rows = append(rows, []string{ev.At.UTC().Format(time.RFC3339), ev.Month, what, ev.Spent, ev.Available + " " + ev.Currency, ev.Mode})
	}
	return printTable(e.out, []string{"CROSSED", "MONTH", "THRESHOLD", "SPENT", "OF", "MODE THEN"}, rows)
}

// inForce is what a budget does to instances, and will do at the next look.
func inForce(is api.Balance) string {
	text := cmp.Or(is.Restraint, "-")
	if is.Restraint != "" {
		text += fmt.Sprintf(", %d of %s", is.Held, instances(is.Instances))
	}
	if is.Next != "" {
		text += fmt.Sprintf("; at the next look, within a minute: %s, all of %s", is.Next, instances(is.Instances))
	}
	return text
}

// instances is a number of them in words.
func instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return strconv.Itoa(n) + " instances"
}

type budgetTopUpCmd struct {
	ofTenant
	Amount   string `arg:"" help:"As 100.00."`
	ID       string `help:"Of the payment: given again it counts once." required:"" placeholder:"ID"`
	Currency string `help:"That of the budget." required:"" placeholder:"CODE"`
	Note     string `help:"For people." placeholder:"TEXT"`
}

func (c *budgetTopUpCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	path, err := c.path(cl, "/balance")
	if err != nil {
		return err
	}
	var did api.ChangedBalance
	body := api.AddTopUp{ID: c.ID, Currency: c.Currency, Amount: c.Amount, Note: c.Note}
	if err := cl.call(ctx, http.MethodPost, path, body, &did); err != nil {
		return err
	}
	text := did.Tenant + " has " + did.Left + " " + did.Currency + " left"
	if did.Counted {
		text = c.ID + " was counted already: " + text
	}
	return e.done(did.Tenant, did, text)
}

type budgetDeleteCmd struct{ ofTenant }

func (c *budgetDeleteCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	path, err := c.path(cl, "/budget")
	if err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
		return err
	}
	tenant := strings.TrimSuffix(strings.TrimPrefix(path, "/v1/tenants/"), "/budget")
	return e.done(tenant, struct{}{}, "the budget of "+tenant+" is deleted")
}
