package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"weir/admin/api"
	"weir/tenancy"
)

// quotaEntity is whom a quota is for: nobody in particular, the instance itself.
type quotaEntity struct {
	User   *string `help:"Only of this user; '<default>': of each user without a quota of its own." placeholder:"NAME"`
	Client *string `help:"Only of this client id; '<default>': of each client id without a quota of its own." placeholder:"ID"`
}

// below is the path of its quotas below the instance's.
func (q quotaEntity) below() string {
	path := "/quotas"
	if q.User != nil {
		path += "/users/" + url.PathEscape(*q.User)
	}
	if q.Client != nil {
		path += "/clients/" + url.PathEscape(*q.Client)
	}
	return path
}

// who is the entity in words.
func (q quotaEntity) who(instance string) string {
	var parts []string
	if q.User != nil {
		parts = append(parts, "user "+*q.User)
	}
	if q.Client != nil {
		parts = append(parts, "client id "+*q.Client)
	}
	if len(parts) == 0 {
		return instance
	}
	return strings.Join(parts, ", ") + " of " + instance
}

// check refuses a part that is empty, which no path can have.
func (q quotaEntity) check() error {
	for flag, part := range map[string]*string{"--user": q.User, "--client": q.Client} {
		if part != nil && *part == "" {
			return badQuota(flag + " is empty; '<default>' stands for each without a quota of its own")
		}
	}
	return nil
}

type quotaSetCmd struct {
	ofInstance
	Limits []string `arg:"" name:"limit=value" help:"Such as produce_bytes_per_second=10MiB; all are set, or none."`
	quotaEntity
	Burst  string `help:"How much of the rate may be used at once after a rest; of one limit only." placeholder:"SIZE"`
	DryRun bool   `help:"Change nothing; say what would change, and whether that would hold anybody back now."`
}

func (c *quotaSetCmd) Run(ctx context.Context, e *env) error {
	body, err := limitsToSet(c.Limits, c.Burst)
	if err = cmp.Or(c.check(), err); err != nil {
		return err
	}
	return e.changeQuotas(ctx, http.MethodPatch, c.path(c.below()+dryRunQuery(c.DryRun)), c.who(c.Instance), &body)
}

type quotaUnsetCmd struct {
	ofInstance
	Limits []string `arg:"" optional:"" name:"limit" help:"Such as produce_bytes_per_second. With --user or --client, all if none is given."`
	quotaEntity
	DryRun bool `help:"Change nothing; say what would change, and whether that would hold anybody back now."`
}

func (c *quotaUnsetCmd) Run(ctx context.Context, e *env) error {
	body, err := limitsToUnset(c.Limits)
	if err = cmp.Or(c.check(), err); err != nil {
		return err
	}
	switch whole := len(c.Limits) == 0; {
	case whole && c.quotaEntity == (quotaEntity{}):
		return badQuota("say which limits, or of which --user or --client")
	case whole:
		return e.changeQuotas(ctx, http.MethodDelete, c.path(c.below()+dryRunQuery(c.DryRun)), c.who(c.Instance), nil)
	}
	return e.changeQuotas(ctx, http.MethodPatch, c.path(c.below()+dryRunQuery(c.DryRun)), c.who(c.Instance), &body)
}

// changeQuotas makes a change of an instance's quotas and reports it.
func (e *env) changeQuotas(ctx context.Context, method, path, who string, body *api.ChangeLimits) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var sent any
	if body != nil {
		sent = body
	}
	var did api.ChangedQuotas
	if err := cl.call(ctx, method, path, sent, &did); err != nil {
		return err
	}
	return e.changedQuotas(who, did, did)
}

func dryRunQuery(dry bool) string {
	if dry {
		return "?dry_run=true"
	}
	return ""
}

// changedQuotas reports what was done; whole is the answer as it came.
func (e *env) changedQuotas(who string, did api.ChangedQuotas, whole any) error {
	switch e.Output {
	case "json":
		return printJSON(e.out, whole)
	case "name":
		for _, c := range did.Changes {
			say(e.out, "%s\n", c.Limit)
		}
		return nil
	}
	switch {
	case did.DryRun && len(did.Changes) == 0:
		say(e.out, "%s: nothing would change\n", shown(who))
	case did.DryRun:
		say(e.out, "%s: nothing was changed; this would be\n", shown(who))
	case len(did.Changes) == 0:
		say(e.out, "%s: that is what counted before\n", shown(who))
	default:
		say(e.out, "%s: in force on %d of %d gateways\n", shown(who), did.ReadyOn.Gateways, did.ReadyOn.Of)
	}
	if len(did.Changes) == 0 {
		return nil
	}
	var rows [][]string
	for _, c := range did.Changes {
		name := tenancy.LimitName(c.Limit)
		rows = append(rows, []string{c.Limit, boundText(name, c.Old), boundText(name, c.New), amount(name, c.Used), verdict(c)})
	}
	if err := printTable(e.out, []string{"LIMIT", "WAS", "NOW", "USED", "THEN"}, rows); err != nil {
		return err
	}
	if did.BudgetOf != "" {
		sayBudgetSpent(e, did.BudgetOf)
	}
	return nil
}

// boundText is a limit with its burst, if that is not the usual one, and its source.
func boundText(name tenancy.LimitName, b api.Bound) string {
	if b.Limit == nil {
		return "not bounded"
	}
	text := tenancy.FormatAmount(name, *b.Limit)
	if b.Burst != nil && *b.Burst != *b.Limit/4 {
		text += ", burst " + tenancy.FormatAmount(name, *b.Burst)
	}
	switch b.Source {
	case "plan", "file", "override", "budget":
		text += " (" + b.Source + ")"
	}
	return text
}

func verdict(c api.LimitChange) string {
	held := ""
	if c.InForce != nil {
		held = boundText(tenancy.LimitName(c.Limit), *c.InForce) + " is in force"
	}
	switch {
	case c.WouldThrottle && held != "":
		return held + ", more is used: throttled"
	case held != "":
		return held
	case c.WouldThrottle:
		return "more is used: throttled"
	case c.WouldRefuse:
		return "used up: more is refused"
	}
	return "-"
}

// limitsToSet reads LIMIT=VALUE arguments.
func limitsToSet(args []string, burst string) (api.ChangeLimits, error) {
	body := api.ChangeLimits{Limits: map[string]*api.LimitValue{}}
	if burst != "" && len(args) != 1 {
		return body, badQuota("--burst is of one limit: set one at a time")
	}
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return body, badQuota(fmt.Sprintf("%.80q is not LIMIT=VALUE, such as produce_bytes_per_second=10MiB", arg))
		}
		if err := knownLimit(name); err != nil {
			return body, err
		}
		if _, twice := body.Limits[name]; twice {
			return body, badQuota(name + " is there twice")
		}
		value, err := tenancy.ParseAmount(tenancy.LimitName(name), text)
		if err != nil {
			return body, badQuota(name + ": " + err.Error())
		}
		l := &api.LimitValue{Limit: value}
		if burst != "" {
			if l.Burst, err = tenancy.ParseAmount(tenancy.LimitName(name), burst); err != nil {
				return body, badQuota("--burst: " + err.Error())
			}
		}
		body.Limits[name] = l
	}
	return body, nil
}

// limitsToUnset reads LIMIT arguments.
func limitsToUnset(args []string) (api.ChangeLimits, error) {
	body := api.ChangeLimits{Limits: map[string]*api.LimitValue{}}
	for _, name := range args {
		if err := knownLimit(name); err != nil {
			return body, err
		}
		body.Limits[name] = nil
	}
	return body, nil
}

func knownLimit(name string) error {
	if _, ok := tenancy.KindOf(tenancy.LimitName(name)); ok {
		return nil
	}
	if meant := tenancy.MeantLimit(name); meant != "" {
		return badQuota(fmt.Sprintf("there is no limit %.80q; did you mean %s?", name, meant))
	}
	return badQuota(fmt.Sprintf("there is no limit %.80q", name))
}

func badQuota(message string) error {
	return &failure{code: "usage", exit: exitUsage, message: message, try: []string{"weir quota set --help      has all limits, their units and ranges"}}
}
