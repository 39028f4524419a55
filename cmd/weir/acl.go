package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"weir/admin/api"
)

type aclCmds struct {
	Add    aclAddCmd    `cmd:"" help:"Allow a user something, or deny it."`
	List   aclListCmd   `cmd:"" help:"List an instance's ACLs."`
	Remove aclRemoveCmd `cmd:"" help:"Remove ACLs."`
}

// aclResource is what ACLs are about.
type aclResource struct {
	Topic   string `help:"This topic; * for all (with quotes)." placeholder:"NAME" xor:"resource"`
	Group   string `help:"This consumer group; * for all." placeholder:"NAME" xor:"resource"`
	Txn     string `name:"transactional-id" help:"This transactional id; * for all." placeholder:"NAME" xor:"resource"`
	Cluster bool   `help:"The instance as a whole." xor:"resource"`
}

// named is the type and name of the resource; "" if none was given.
func (r aclResource) named() (kind, name string) {
	switch {
	case r.Topic != "":
		return "topic", r.Topic
	case r.Group != "":
		return "group", r.Group
	case r.Txn != "":
		return "transactional-id", r.Txn
	case r.Cluster:
		return "cluster", "kafka-cluster"
	}
	return "", ""
}

type aclAddCmd struct {
	ofInstance
	User string `required:"" help:"Name of the user, * for every one (with quotes)." placeholder:"NAME"`
	aclResource
	Prefix    bool     `help:"Also whatever begins with that name."`
	Operation []string `required:"" help:"What it is about, several with commas: ${enum}." enum:"all,read,write,create,delete,alter,describe,cluster-action,describe-configs,alter-configs,idempotent-write" placeholder:"OP"`
	Deny      bool     `help:"Deny it. A deny beats whatever allows it."`
	Host      string   `help:"Only from this IP address." default:"*" placeholder:"ADDRESS"`
}

func (c *aclAddCmd) Run(ctx context.Context, e *env) error {
	kind, name := c.named()
	if kind == "" {
		return &failure{
			code: "usage", message: "say of what: --topic, --group, --transactional-id or --cluster",
			try: []string{"weir acl add --help"}, exit: exitUsage,
		}
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	var body api.CreateACLs
	for _, op := range c.Operation {
		a := api.ACL{ResourceType: kind, ResourceName: name, PatternType: "literal", Principal: "User:" + c.User, Host: c.Host, Operation: op, Permission: "allow"}
		if c.Prefix {
			a.PatternType = "prefixed"
		}
		if c.Deny {
			a.Permission = "deny"
		}
		body.ACLs = append(body.ACLs, a)
	}
	var made api.ChangedACLs
	if err := cl.call(ctx, http.MethodPost, c.path("/acls"), body, &made); err != nil {
		return err
	}
	return e.changedACLs("Added", c.Instance, made)
}

// aclFilter selects ACLs; all of them if nothing is given.
type aclFilter struct {
	User string `help:"Only those of this user; * for those of every one." placeholder:"NAME"`
	aclResource
	Match bool   `help:"Whatever speaks of that name: * and prefixes too."`
	Deny  bool   `help:"Only what denies."`
	Host  string `help:"Only those for this address." placeholder:"ADDRESS"`
}

// query is the filter as the REST interface has it.
func (f aclFilter) query() url.Values {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	kind, name := f.named()
	set("resource_type", kind)
	set("resource_name", name)
	set("host", f.Host)
	if f.User != "" {
		q.Set("principal", "User:"+f.User)
	}
	if f.Deny {
		q.Set("permission", "deny")
	}
	if f.Match {
		q.Set("pattern_type", "match")
	}
	return q
}

type aclListCmd struct {
	ofInstance
	aclFilter
}

func (c *aclListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var all api.ACLs
	if err := cl.call(ctx, http.MethodGet, c.path("/acls?"+c.query().Encode()), nil, &all); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		sayACLs(e, all.Items)
		return nil
	}
	var rows [][]string
	for _, a := range all.Items {
		rows = append(rows, []string{a.ResourceType, a.ResourceName, a.PatternType, a.Principal, a.Host, a.Permission, a.Operation})
	}
	return printTable(e.out, []string{"RESOURCE", "NAME", "PATTERN", "PRINCIPAL", "HOST", "PERMISSION", "OPERATION"}, rows)
}

type aclRemoveCmd struct {
	ofInstance
	aclFilter
	All bool `help:"All ACLs of the instance."`
	Yes bool `help:"Do not ask."`
}

func (c *aclRemoveCmd) Run(ctx context.Context, e *env) error {
	query := c.query()
	if len(query) == 0 && !c.All {
		return &failure{
			code: "usage", message: "say which: --user, --topic, ..., or --all",
			try: []string{"weir acl list " + c.typed(), "weir acl remove --help"}, exit: exitUsage,
		}
	}
	if query.Get("resource_type") == "" {
		query.Set("resource_type", "any")
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	path := c.path("/acls?" + query.Encode())
	var found api.ACLs
	if err := cl.call(ctx, http.MethodGet, path, nil, &found); err != nil {
		return err
	}
	if len(found.Items) > 0 && !c.Yes {
		for _, a := range found.Items {
			say(e.err, "  %s\n", a)
		}
	}
	question := fmt.Sprintf("Remove %d of the ACLs of instance %s?", len(found.Items), c.Instance)
	if err := e.confirm(c.Yes || len(found.Items) == 0, question, "weir acl remove "+c.typed()+" ..."); err != nil {
		return err
	}
	var gone api.ChangedACLs
	if err := cl.call(ctx, http.MethodDelete, path, nil, &gone); err != nil {
		return err
	}
	return e.changedACLs("Removed", c.Instance, gone)
}

// changedACLs reports what was done.
func (e *env) changedACLs(done, instance string, c api.ChangedACLs) error {
	switch e.Output {
	case "json":
		return printJSON(e.out, c)
	case "name":
		sayACLs(e, c.Items)
		return nil
	}
	if len(c.Items) == 0 {
		say(e.out, "No ACL of %s is like that: nothing was changed\n", instance)
		return nil
	}
	say(e.out, "%s %d of the ACLs of %s, in force on %d of %d gateways\n", done, len(c.Items), instance, c.ReadyOn.Gateways, c.ReadyOn.Of)
	for _, a := range c.Items {
		say(e.out, "  %s\n", a)
	}
	return nil
}

func sayACLs(e *env, acls []api.ACL) {
	for _, a := range acls {
		say(e.out, "%s\n", a)
	}
}
