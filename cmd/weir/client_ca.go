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

type clientCACmds struct {
	List   clientCAListCmd   `cmd:"" help:"List the certificate authorities whose certificates an instance's clients may use."`
	Set    clientCASetCmd    `cmd:"" help:"Add a certificate authority, or replace its certificates, CRLs or rules."`
	Delete clientCADeleteCmd `cmd:"" help:"Remove a certificate authority and cut off who came by its certificates."`
	Check  clientCACheckCmd  `cmd:"" help:"Say which user a client's certificate is, or why it is none."`
}

type clientCAListCmd struct {
	ofInstance
}

func (c *clientCAListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var all api.ClientCAs
	if err := cl.call(ctx, http.MethodGet, c.path("/client-cas"), nil, &all); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		for _, ca := range all.Items {
			say(e.out, "%s\n", ca.Name)
		}
		return nil
	}
	var rows [][]string
	for _, ca := range all.Items {
		crl := crlState(ca.CRLs)
		for _, cert := range ca.Certificates {
			rows = append(rows, []string{ca.Name, cert.Subject, cert.NotAfter.Format(time.DateOnly), crl, fmt.Sprint(len(ca.Rules)), cert.Fingerprint[:16]})
		}
	}
	return printTable(e.out, []string{"NAME", "SUBJECT", "NOT AFTER", "CRL", "RULES", "SHA-256"}, rows)
}

// crlState is what a row has room for: how many are revoked, and until when the
// first of the lists is good.
func crlState(crls []api.CRL) string {
	if len(crls) == 0 {
		return "none"
	}
	revoked, next := 0, time.Time{}
	for _, l := range crls {
		revoked += l.Revoked
		if l.NextUpdate != nil && (next.IsZero() || l.NextUpdate.Before(next)) {
			next = *l.NextUpdate
		}
	}
	if next.IsZero() {
		return fmt.Sprintf("%d revoked", revoked)
	}
	return fmt.Sprintf("%d revoked, until %s", revoked, next.Format(time.DateOnly))
}

type clientCASetCmd struct {
	ofInstance
	Name         string   `arg:"" help:"What to call the authority: A-Z a-z 0-9 . _ -"`
	Certificates string   `help:"File with its certificates, PEM; never its key. Those that are there stay if absent." placeholder:"FILE"`
	CRL          string   `name:"crl" help:"File with what it has revoked, PEM. What is there stays if absent." placeholder:"FILE"`
	NoCRL        bool     `name:"no-crl" help:"Forget what it has revoked."`
	Rule         []string `sep:"none" help:"What makes the user: subject, common-name, dns, uri or email; a pattern for the whole of it and the user may follow: 'uri:spiffe://acme/(.*) -> $$1'; before it lower or upper. Several: the first that matches. Those that are there stay if absent." placeholder:"RULE"`
	NoRules      bool     `help:"Back to the whole subject as the user."`
}

func (c *clientCASetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	path := c.path("/client-cas/" + url.PathEscape(c.Name))
	body, err := c.body(ctx, cl, path)
	if err != nil {
		return err
	}
	var made api.ChangedClientCA
	if err := cl.call(ctx, http.MethodPut, path, body, &made); err != nil {
		return err
	}
	line := fmt.Sprintf("Client CA %s of %s is in force on %d of %d gateways: %d certificates, CRL %s, %d rules",
		c.Name, c.Instance, made.ReadyOn.Gateways, made.ReadyOn.Of, len(made.Certificates), crlState(made.CRLs), len(made.Rules))
	return e.done(c.Name, made, line)
}

// body is what is there, changed by the flags. Nothing needs to be there if the
// flags have the certificates.
func (c *clientCASetCmd) body(ctx context.Context, cl *client, path string) (api.PutClientCA, error) {
	var body api.PutClientCA
	if c.Certificates == "" || c.CRL == "" && !c.NoCRL || len(c.Rule) == 0 && !c.NoRules {
		var was api.ClientCA
		err := cl.call(ctx, http.MethodGet, path, nil, &was)
		switch missing := isProblem(err, "client-ca-not-found"); {
		case missing && c.Certificates == "":
			return body, &failure{
				code: "usage", message: "there is no client CA " + c.Name + " yet: say with --certificates what it is",
				try: []string{"weir client-ca set " + c.typed() + " " + c.Name + " --certificates FILE"}, exit: exitUsage,
			}
		case err != nil && !missing:
			return body, err
		}
		if was.PEM != nil {
			body.Certificates, body.CRLs = was.PEM.Certificates, was.PEM.CRLs
		}
		body.Rules = was.Rules
	}
	for _, f := range []struct {
		flag, path string
		into       *string
	}{{"--certificates", c.Certificates, &body.Certificates}, {"--crl", c.CRL, &body.CRLs}} {
		if f.path == "" {
			continue
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			return body, unreadable(f.flag, f.path, err)
		}
		*f.into = string(text)
	}
	if c.NoCRL {
		body.CRLs = ""
	}
	if c.NoRules || len(c.Rule) > 0 {
		body.Rules = nil
	}
	for _, r := range c.Rule {
		body.Rules = append(body.Rules, parseRule(r))
	}
	return body, nil
}

// parseRule reads [lower|upper] FROM[:PATTERN[ -> USER]]. The server says what is
// wrong with it.
func parseRule(s string) api.CertificateRule {
	var r api.CertificateRule
	for _, word := range []string{"lower", "upper"} {
		if rest, ok := strings.CutPrefix(s, word+" "); ok {
			r.Case, s = word, strings.TrimSpace(rest)
		}
	}
	from, rest, _ := strings.Cut(s, ":")
	r.From = strings.TrimSpace(from)
	pattern, user, _ := strings.Cut(rest, " -> ")
	r.Pattern, r.User = strings.TrimSpace(pattern), strings.TrimSpace(user)
	return r
}

type clientCADeleteCmd struct {
	ofInstance
	Name string `arg:"" help:"Name of the authority."`
	Yes  bool   `help:"Do not ask."`
}

func (c *clientCADeleteCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Cut off who comes to instance %s by certificates of %s?", c.Instance, c.Name)
	if err := e.confirm(c.Yes, question, fmt.Sprintf("weir client-ca delete %s %s", c.typed(), c.Name)); err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodDelete, c.path("/client-cas/"+url.PathEscape(c.Name)), nil, nil); err != nil {
		return err
	}
	return e.done(c.Name, map[string]string{"name": c.Name}, fmt.Sprintf("Deleted client CA %s of %s", c.Name, c.Instance))
}

type clientCACheckCmd struct {
	ofInstance
	Certificate string `required:"" help:"File with the client's certificate and its intermediates, PEM; not its key." placeholder:"FILE"`
}

func (c *clientCACheckCmd) Run(ctx context.Context, e *env) error {
	text, err := os.ReadFile(c.Certificate)
	if err != nil {
		return unreadable("--certificate", c.Certificate, err)
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	var got api.CheckedCertificate
	path := c.path("/client-cas/check")
	if err := cl.call(ctx, http.MethodPost, path, api.CheckCertificate{Certificate: string(text)}, &got); err != nil {
		return err
	}
	if got.Reason != "" && e.Output != "json" {
		return &failure{code: got.Reason, message: "the certificate is not believed: " + got.Detail, try: []string{"weir client-ca list " + c.typed()}, exit: exitFailed}
	}
	by := "its subject"
	if got.Rule > 0 {
		by = fmt.Sprintf("rule %d", got.Rule)
	}
	return e.done(got.User, got, fmt.Sprintf("User %s, by client CA %s and %s", got.User, got.ClientCA, by))
}
