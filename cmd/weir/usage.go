package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/admin/api"
)

type usageCmds struct {
	Get    usageGetCmd    `cmd:"" help:"Show what was used, by hour, day or month."`
	Export usageExportCmd `cmd:"" help:"Write what was used, or what it costs, into files; what is there already is kept."`
	Verify usageVerifyCmd `cmd:"" help:"Check that no usage record of an instance is missing or was changed."`
}

// usagePage is how many items are asked for at a time.
const usagePage = 500

type usageGetCmd struct {
	Instance    string   `arg:"" optional:"" help:"Name or id of the instance. Default: all of the tenant."`
	Tenant      string   `help:"Of which tenant. Default: the token's." placeholder:"ID"`
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
		say(e.out, "nothing was used in this period\n")
		return nil
	}
	return c.print(e, all)
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
	header := []string{"INSTANCE"}
	if c.GroupBy == "tenant" {
		header[0] = "TENANT"
	} else if c.GroupBy != "instance" {
		header = append(header, strings.ToUpper(c.GroupBy))
	}
	header = append(header, "FROM")
	for _, m := range meters {
		header = append(header, strings.ToUpper(strings.ReplaceAll(m, "_", " ")))
	}
	header = append(header, "STATE")
	rows := make([][]string, 0, len(all.Items))
	for _, i := range all.Items {
		row := append(c.whose(i), i.Start.UTC().Format("2006-01-02T15"))
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
	return nil
}

func (c *usageGetCmd) whose(i api.UsageItem) []string {
	name := func(s *string) string {
		if s == nil || *s == "" {
			return "(others)"
		}
		return *s
	}
	switch c.GroupBy {
	case "tenant":
		return []string{i.Tenant}
	case "plan":
		return []string{i.Instance, i.Plan}
	case "user":
		return []string{i.Instance, name(i.User)}
	case "topic":
		return []string{i.Instance, name(i.Topic)}
	}
	return []string{i.Instance}
}

func usageState(sealed bool) string {
	if sealed {
		return "sealed"
	}
	return "open"
}
