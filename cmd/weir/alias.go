package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"weir/admin/api"
)

type aliasCmds struct {
	List   aliasListCmd   `cmd:"" help:"List an instance's aliases."`
	Add    aliasAddCmd    `cmd:"" help:"Hand topics, groups or transactional ids that exist in the pool to an instance."`
	Remove aliasRemoveCmd `cmd:"" help:"Take an alias away and cut off the instance's clients; what it stands for stays."`
}

type aliasListCmd struct {
	ofInstance
}

func (c *aliasListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var all api.Aliases
	if err := cl.call(ctx, http.MethodGet, c.path("/aliases"), nil, &all); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		for _, a := range all.Items {
			say(e.out, "%s %s\n", a.Kind, a.Name)
		}
		return nil
	}
	var rows [][]string
	for _, a := range all.Items {
		rows = append(rows, []string{a.Kind, a.Name, a.Physical, map[bool]string{true: "read-only", false: "owner"}[a.ReadOnly]})
	}
	return printTable(e.out, []string{"KIND", "NAME", "PHYSICAL", "ACCESS"}, rows)
}

type aliasAddCmd struct {
	ofInstance
	Kind     string   `arg:"" enum:"topic,group,transactional-id" help:"What is handed over: ${enum}."`
	Names    []string `arg:"" name:"name=physical" help:"What its clients shall call it, and what it is called in the pool; all are added, or none."`
	ReadOnly bool     `help:"Share a topic that another instance, or nobody, owns."`
}

func (c *aliasAddCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var body api.CreateAliases
	for _, pair := range c.Names {
		name, physical, ok := strings.Cut(pair, "=")
		if !ok || name == "" || physical == "" {
			return &failure{code: "usage", message: fmt.Sprintf("%q is not NAME=PHYSICAL", pair), try: []string{"weir alias add --help"}, exit: exitUsage}
		}
		body.Aliases = append(body.Aliases, api.CreateAlias{
			Alias: api.Alias{Kind: c.Kind, Name: name, Physical: physical, ReadOnly: c.ReadOnly},
		})
	}
	var made api.CreatedAliases
	if err := cl.call(ctx, http.MethodPost, c.path("/aliases"), body, &made); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, made)
	case "name":
		for _, a := range made.Items {
			say(e.out, "%s %s\n", a.Kind, a.Name)
		}
		return nil
	}
	for _, a := range made.Items {
		say(e.out, "%s %s of %s is %s in the pool\n", a.Kind, a.Name, c.Instance, a.Physical)
	}
	say(e.out, "Ready on %d of %d gateways\n", made.ReadyOn.Gateways, made.ReadyOn.Of)
	return nil
}

type aliasRemoveCmd struct {
	ofInstance
	Kind string `arg:"" enum:"topic,group,transactional-id" help:"What it is: ${enum}."`
	Name string `arg:"" help:"What its clients call it."`
	Yes  bool   `help:"Do not ask."`
}

func (c *aliasRemoveCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Take %s %s from instance %s?", c.Kind, c.Name, c.Instance)
	if err := e.confirm(c.Yes, question, fmt.Sprintf("weir alias remove %s %s %s", c.typed(), c.Kind, c.Name)); err != nil {
		return err
	}
	path := c.path("/aliases/" + c.Kind + "/" + url.PathEscape(c.Name))
	if err := cl.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
		return err
	}
	return e.done(c.Name, map[string]string{"kind": c.Kind, "name": c.Name}, fmt.Sprintf("Took %s %s from %s", c.Kind, c.Name, c.Instance))
}
