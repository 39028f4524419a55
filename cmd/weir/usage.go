package main

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/admin/api"
)

type usageCmds struct {
	Get    usageGetCmd    `cmd:"" help:"Show what was used, by hour, day or month; what is open is up to 2 s late."`
	Export usageExportCmd `cmd:"" help:"Write what was used, or what it costs, into files; what is there already is kept."`
	Verify usageVerifyCmd `cmd:"" help:"Check that no usage record of an instance is missing or was changed."`
}

// usageLag is by how much what is shown of open hours is behind what was acknowledged:
// gateways bring what they count to Redis so often.
const usageLag = "2 s"

// usagePage is how many items are asked for at a time.
const usagePage = 500

type usageGetCmd struct {
	Instance    string   `arg:"" optional:"" help:"Name or id of the instance. Default: all of the tenant."`
	Tenant      string   `help:"Of which tenant. Default: the token's; of an operator, all." placeholder:"ID" env:"WEIR_TENANT"`
	From        string   `help:"First UTC hour or day, such as 2026-11-22 or 2026-11-22T19. Default: this month's first." placeholder:"TIME"`
	To          string   `help:"Up to which, without it. Default: now." placeholder:"TIME"`
	Granularity string   `help:"One of ${enum}." enum:"hour,day,month" default:"day"`
	GroupBy     string   `help:"One of ${enum}." enum:"instance,tenant,plan,user,topic" default:"instance"`
	Meters      []string `help:"Only those, such as produce_bytes,fetch_bytes." placeholder:"METER,..."`
}

func (c *usageGetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	all, err := c.pages(ctx, cl)
	if err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		last := ""
		for _, i := range all.Items {
			if name := i.Instance; name != last {
				say(e.out, "%s\n", shown(name))
				last = name
			}
		}
		return nil
	}
	if len(all.Items) == 0 {
		say(e.out, "%s in this period\n", c.nothing())
		return nil
	}
	return c.print(e, all)
}

// nothing is what there is if there are no items.
func (c *usageGetCmd) nothing() string {
	if c.GroupBy == "user" || c.GroupBy == "topic" {
		return "nothing was used that is broken down by " + c.GroupBy
	}
	return "nothing was used"
}

// pages reads all of them.
func (c *usageGetCmd) pages(ctx context.Context, cl *client) (api.Usage, error) {
	query := url.Values{"granularity": {c.Granularity}, "group_by": {c.GroupBy}, "limit": {strconv.Itoa(usagePage)}}
	for name, value := range map[string]string{
		"instance": c.Instance, "tenant": c.Tenant, "from": c.From, "to": c.To, "meters": strings.Join(c.Meters, ","),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	all := api.Usage{Items: []api.UsageItem{}}
	for {
		var page api.Usage
		if err := cl.call(ctx, http.MethodGet, "/v1/usage?"+query.Encode(), nil, &page); err != nil {
			return all, err
		}
		all.Items, all.SealedUntil = append(all.Items, page.Items...), page.SealedUntil
		if page.Next == nil {
			return all, nil
		}
		query.Set("after", *page.Next)
	}
}

// shownMeters are those that a table has if nobody says which.
func shownMeters() []string {
	return []string{"produce_bytes", "produce_records", "fetch_bytes", "fetch_records", "requests", "partition_seconds", "storage_byte_seconds"}
}

func (c *usageGetCmd) print(e *env, all api.Usage) error {
	meters := c.Meters
	if len(meters) == 0 {
		meters = shownMeters()
	}
	tenants := c.GroupBy == "tenant" || slices.ContainsFunc(all.Items, func(i api.UsageItem) bool { return i.Tenant != all.Items[0].Tenant })
	var header []string
	if tenants {
		header = append(header, "TENANT")
	}
	if c.GroupBy != "tenant" {
		header = append(header, "INSTANCE", "NAME")
	}
	if c.GroupBy != "tenant" && c.GroupBy != "instance" {
		header = append(header, strings.ToUpper(c.GroupBy))
	}
	header = append(header, "FROM")
	for _, m := range meters {
		header = append(header, strings.ToUpper(strings.ReplaceAll(m, "_", " ")))
	}
	header = append(header, "STATE")
	rows := make([][]string, 0, len(all.Items))
	open := false
	for _, i := range all.Items {
		open = open || !i.Sealed
		row := append(c.whose(i, tenants), i.Start.UTC().Format("2006-01-02T15"))
		for _, m := range meters {
			row = append(row, i.Meters[m])
		}
		rows = append(rows, append(row, usageState(i.Sealed)))
	}
	if err := printTable(e.out, header, rows); err != nil {
		return err
	}
	if all.SealedUntil != nil {
		say(e.out, "\nsealed until %s; times are UTC\n", all.SealedUntil.UTC().Format(time.RFC3339))
	}
	if open {
		say(e.out, "open: more is being counted, and shown up to %s late\n", usageLag)
	}
	return nil
}

// whose are the cells in front of a line's times.
func (c *usageGetCmd) whose(i api.UsageItem, tenants bool) (cells []string) {
	name := func(s *string) string {
		if s == nil || *s == "" {
			return "(others)"
		}
		return *s
	}
	if tenants {
		cells = append(cells, i.Tenant)
	}
	if c.GroupBy != "tenant" {
		cells = append(cells, i.Instance, cmp.Or(i.Name, "-"))
	}
	switch c.GroupBy {
	case "plan":
		return append(cells, i.Plan)
	case "user":
		return append(cells, name(i.User))
	case "topic":
		return append(cells, name(i.Topic))
	}
	return cells
}

func usageState(sealed bool) string {
	if sealed {
		return "sealed"
	}
	return "open"
}
