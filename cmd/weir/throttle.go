package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir/admin/api"
)

type throttleCmds struct {
	List throttleListCmd `cmd:"" help:"Show who had to wait for a limit or was refused by one, how long, and what to do about it."`
}

type throttleListCmd struct {
	ofInstance
	Minutes int `help:"Of the last so many; a day is kept. Default: ${default}." default:"60" placeholder:"N"`
}

func (c *throttleListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var all api.Throttles
	path := c.path("/throttles?minutes=" + strconv.Itoa(c.Minutes))
	if err := cl.call(ctx, http.MethodGet, path, nil, &all); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		for _, l := range all.Limits {
			say(e.out, "%s\n", l.Limit)
		}
		return nil
	}
	if len(all.Items) == 0 {
		say(e.out, "%s was not throttled in the last %s\n", c.Instance, minutes(c.Minutes))
		return nil
	}
	return printThrottles(e, all)
}

// minutes is a number of them in words.
func minutes(n int) string {
	if n == 1 {
		return "minute"
	}
	return strconv.Itoa(n) + " minutes"
}

func printThrottles(e *env, all api.Throttles) error {
	rows := make([][]string, 0, len(all.Items))
	for _, t := range all.Items {
		rows = append(rows, throttleRow(t))
	}
	if err := printTable(e.out, []string{"LIMIT", "SCOPE", "WHO", "SINCE", "LAST", "THROTTLED", "TIMES", "OVER BY"}, rows); err != nil {
		return err
	}
	if all.Omitted > 0 {
		say(e.out, "and %d more, which waited less\n", all.Omitted)
	}
	for _, l := range all.Limits {
		say(e.out, "\n%s: %s\n  fix:  %s\n  try:  %s\n", shown(l.Limit), l.Text, l.Fix, shown(l.Try))
	}
	return nil
}

func throttleRow(t api.Throttle) []string {
	who := strings.Join(named(t.User, t.ClientID), " / ")
	if t.Others {
		who = "(others)"
	}
	since, over, waited := "-", "-", "refused"
	if t.Since != nil {
		since = t.Since.Local().Format(time.DateTime)
	}
	if t.Over != nil {
		over = fmt.Sprintf("%.1fx", *t.Over)
	}
	if t.Kind != api.KindRefused {
		waited = time.Duration(t.Seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
	}
	return []string{
		t.Limit, t.Scope.String(), cmp.Or(who, "-"), since, t.Last.Local().Format(time.DateTime), waited,
		strconv.FormatInt(t.Count, 10), over,
	}
}

// named are those of the names that are not empty.
func named(names ...string) (all []string) {
	for _, n := range names {
		if n != "" {
			all = append(all, n)
		}
	}
	return all
}
