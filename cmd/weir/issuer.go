package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"weir/admin/api"
)

type issuerCmds struct {
	List   issuerListCmd   `cmd:"" help:"List whose tokens an instance believes, and the state of their keys."`
	Set    issuerSetCmd    `cmd:"" help:"Believe the tokens of an issuer (OAUTHBEARER), under these rules."`
	Delete issuerDeleteCmd `cmd:"" help:"Believe an issuer no more and cut off the clients with its tokens."`
	Check  issuerCheckCmd  `cmd:"" help:"Say whether a token would be accepted, and why not."`
}

type issuerListCmd struct {
	ofInstance
}

func (c *issuerListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var all api.Issuers
	if err := cl.call(ctx, http.MethodGet, c.path("/issuers"), nil, &all); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		for _, i := range all.Items {
			say(e.out, "%s\n", i.Name)
		}
		return nil
	}
	var rows [][]string
	for _, i := range all.Items {
		rows = append(rows, []string{i.Name, i.URL, strings.Join(i.Audiences, ","), i.PrincipalClaim, keyState(i.Keys)})
	}
	return printTable(e.out, []string{"NAME", "URL", "AUDIENCES", "USER FROM", "KEYS"}, rows)
}

// keyState is an issuer's keys in a few words.
func keyState(k api.IssuerKeys) string {
	switch {
	case k.Error != "" && k.FetchedAt != nil:
		return fmt.Sprintf("%d of %s, now: %s", len(k.IDs), k.FetchedAt.Format(time.RFC3339), k.Error)
	case k.Error != "":
		return k.Error
	case k.FetchedAt == nil:
		return "not fetched yet"
	}
	return fmt.Sprintf("%d of %s", len(k.IDs), k.FetchedAt.Format(time.RFC3339))
}

type issuerSetCmd struct {
	ofInstance
	Name      string            `arg:"" help:"Name of the issuer within the instance."`
	URL       string            `required:"" help:"The iss of its tokens, exactly." placeholder:"URL"`
	Audience  []string          `required:"" help:"A token must be for one of them. Repeatable." placeholder:"AUD"`
	Scope     []string          `help:"A token must have all of them. Repeatable." placeholder:"SCOPE"`
	Claim     map[string]string `help:"A token must have the claim with this value. Repeatable." placeholder:"NAME=VALUE"`
	UserClaim string            `help:"The claim that names the user, or a JSON pointer to it. Default: sub." placeholder:"CLAIM"`
	JWKSURL   string            `name:"jwks-url" help:"Where its keys are. Default: found by OpenID Connect discovery." placeholder:"URL"`
}

func (c *issuerSetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	body := api.PutIssuer{
		URL: c.URL, JWKSURL: c.JWKSURL, Audiences: c.Audience, Scopes: c.Scope, Claims: c.Claim, PrincipalClaim: c.UserClaim,
	}
	var made api.ChangedIssuer
	if err := cl.call(ctx, http.MethodPut, issuerPath(c.ofInstance, c.Name), body, &made); err != nil {
		return err
	}
	if e.Output == "table" {
		say(e.out, "%s believes %s, its keys: %s\n", c.Instance, made.URL, keyState(made.Keys))
		say(e.out, "Ready on %d of %d gateways\n", made.ReadyOn.Gateways, made.ReadyOn.Of)
		return nil
	}
	return e.done(made.Name, made, "")
}

type issuerDeleteCmd struct {
	ofInstance
	Name string `arg:"" help:"Name of the issuer."`
	Yes  bool   `help:"Do not ask."`
}

func (c *issuerDeleteCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var i api.Issuer
	if err := cl.call(ctx, http.MethodGet, issuerPath(c.ofInstance, c.Name), nil, &i); err != nil {
		return err
	}
	question := fmt.Sprintf("Delete issuer %s of instance %s?", i.Name, c.Instance)
	if err := e.confirm(c.Yes, question, "weir issuer delete "+c.typed()+" "+i.Name); err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodDelete, issuerPath(c.ofInstance, c.Name), nil, nil); err != nil {
		return err
	}
	return e.done(i.Name, i, fmt.Sprintf("Deleted issuer %s of %s", i.Name, c.Instance))
}

type issuerCheckCmd struct {
	ofInstance
	Token string `name:"token" required:"" help:"File with the token, - for stdin: never the token itself, which the shell's history would keep." placeholder:"FILE"`
}

func (c *issuerCheckCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	token, err := e.secretFile("--token", c.Token, maxTokenFile)
	if err != nil {
		return err
	}
	var found api.CheckedToken
	if err := cl.call(ctx, http.MethodPost, c.path("/issuers/check"), api.CheckToken{Token: token}, &found); err != nil {
		return err
	}
	switch {
	case e.Output == "json":
		return printJSON(e.out, found)
	case !found.Accepted:
		return &failure{code: found.Reason, message: refusedToken(found), try: []string{"weir issuer list " + c.typed()}, exit: exitFailed}
	case e.Output == "name":
		say(e.out, "%s\n", found.User)
	default:
		say(e.out, "Accepted: user %s by issuer %s until %s\n", found.User, found.Issuer, found.ExpiresAt.Format(time.RFC3339))
	}
	return nil
}

func refusedToken(found api.CheckedToken) string {
	text := "the token would be refused"
	if found.Issuer != "" {
		text += ", by the rules of issuer " + found.Issuer
	}
	if found.Claim != "" {
		text += ": see its claim " + found.Claim
	}
	return text
}

func issuerPath(of ofInstance, name string) string {
	return of.path("/issuers/" + url.PathEscape(name))
}
