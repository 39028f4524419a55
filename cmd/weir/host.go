package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"weir/admin/api"
)

type hostCmds struct {
	List   hostListCmd   `cmd:"" help:"List the host names of an instance's own, and when their certificates end."`
	Set    hostSetCmd    `cmd:"" help:"Give an instance a host name with its certificate, or replace the certificate."`
	Delete hostDeleteCmd `cmd:"" help:"Take a host name away and cut off the clients that came by it."`
}

type hostListCmd struct {
	ofInstance
}

func (c *hostListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var all api.Hosts
	if err := cl.call(ctx, http.MethodGet, c.path("/hosts"), nil, &all); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		for _, h := range all.Items {
			say(e.out, "%s\n", h.Name)
		}
		return nil
	}
	var rows [][]string
	for _, h := range all.Items {
		rows = append(rows, []string{h.Name, strings.Join(h.SubjectNames, ","), h.NotAfter.Format(time.RFC3339), fmt.Sprintf("%.16s", h.Fingerprint)})
	}
	if err := printTable(e.out, []string{"HOST", "CERTIFICATE FOR", "UNTIL", "SHA-256"}, rows); err != nil {
		return err
	}
	for _, h := range all.Items {
		if h.EndsSoon {
			say(e.err, "warning: the certificate of %s ends at %s\n  try:  weir host set %s %s --certificate FILE --key FILE\n",
				h.Name, h.NotAfter.Format(time.RFC3339), c.typed(), h.Name)
		}
	}
	return nil
}

type hostSetCmd struct {
	ofInstance
	Name        string `arg:"" help:"The host name; its brokers are b<node>.NAME."`
	Certificate string `help:"PEM file with the certificate for NAME and *.NAME, and its issuers in order." required:"" placeholder:"FILE"`
	Key         string `help:"PEM file with its key." required:"" placeholder:"FILE"`
}

func (c *hostSetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	chain, err := os.ReadFile(c.Certificate)
	if err != nil {
		return unreadable("--certificate", c.Certificate, err)
	}
	key, err := os.ReadFile(c.Key)
	if err != nil {
		return unreadable("--key", c.Key, err)
	}
	var set api.ChangedHost
	body := api.SetHost{CertificateChain: string(chain), PrivateKey: string(key)}
	if err := cl.call(ctx, http.MethodPut, hostPath(c.ofInstance, c.Name), body, &set); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, set)
	case "name":
		say(e.out, "%s\n", set.Name)
		return nil
	}
	say(e.out, "%s is %s's, in force on %d of %d gateways\n\n", set.Name, c.Instance, set.ReadyOn.Gateways, set.ReadyOn.Of)
	if len(set.Bootstrap) > 0 {
		say(e.out, "  %-11s %s\n", "Bootstrap", strings.Join(set.Bootstrap, ","))
	} else {
		say(e.out, "  %-11s none: no listener of this gateway has sni\n", "Bootstrap")
	}
	say(e.out, "  %-11s until %s\n", "Certificate", set.NotAfter.Format(time.RFC3339))
	say(e.out, "  %-11s %s and *.%s must lead to the gateway\n", "DNS", set.Name, set.Name)
	return nil
}

type hostDeleteCmd struct {
	ofInstance
	Name string `arg:"" help:"The host name."`
	Yes  bool   `help:"Do not ask."`
}

func (c *hostDeleteCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Take the host name %s from instance %s and cut off who came by it?", c.Name, c.Instance)
	if err := e.confirm(c.Yes, question, fmt.Sprintf("weir host delete %s %s", c.typed(), c.Name)); err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodDelete, hostPath(c.ofInstance, c.Name), nil, nil); err != nil {
		return err
	}
	return e.done(c.Name, map[string]string{"name": c.Name}, fmt.Sprintf("Took %s from %s", c.Name, c.Instance))
}

func hostPath(of ofInstance, name string) string {
	return of.path("/hosts/" + url.PathEscape(name))
}
