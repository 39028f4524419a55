package main

import (
	"context"
	"net/http"
	"strings"

	"weir/admin/api"
)

type authenticationCmds struct {
	Get authenticationGetCmd `cmd:"" help:"Show how an instance's clients must prove who they are."`
	Set authenticationSetCmd `cmd:"" help:"Change it, and cut off who does not satisfy it."`
}

type authenticationGetCmd struct {
	ofInstance
}

func (c *authenticationGetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var got api.Authentication
	if err := cl.call(ctx, http.MethodGet, c.path("/authentication"), nil, &got); err != nil {
		return err
	}
	if e.Output == "json" {
		return printJSON(e.out, got)
	}
	return printAuthentication(e, got)
}

func printAuthentication(e *env, a api.Authentication) error {
	mechanisms := "any"
	if len(a.Mechanisms) > 0 {
		mechanisms = strings.Join(a.Mechanisms, ", ")
	}
	word := map[bool]string{true: "required", false: "not required"}
	return printFields(e.out, [][2]string{
		{"Mechanisms", mechanisms}, {"Certificate", word[a.RequireCertificate]}, {"SASL", word[a.RequireSASL] + map[bool]string{false: " beside a certificate"}[a.RequireSASL]},
	})
}

type authenticationSetCmd struct {
	ofInstance
	Mechanism          []string `help:"SASL mechanisms that clients may use, several with commas." placeholder:"NAME" xor:"mechanisms"`
	AnyMechanism       bool     `help:"All mechanisms that the gateway offers." xor:"mechanisms"`
	RequireCertificate *bool    `negatable:"" help:"Clients must show a certificate, also with SASL."`
	RequireSASL        *bool    `name:"require-sasl" negatable:"" help:"A certificate alone is not enough."`
}

func (c *authenticationSetCmd) Run(ctx context.Context, e *env) error {
	if len(c.Mechanism) == 0 && !c.AnyMechanism && c.RequireCertificate == nil && c.RequireSASL == nil {
		return &failure{
			code: "usage", message: "say what to change: --mechanism, --any-mechanism, --require-certificate or --require-sasl",
			try: []string{"weir authentication set --help"}, exit: exitUsage,
		}
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	body := api.PatchAuthentication{RequireCertificate: c.RequireCertificate, RequireSASL: c.RequireSASL}
	if len(c.Mechanism) > 0 || c.AnyMechanism {
		mechanisms := append([]string{}, c.Mechanism...)
		body.Mechanisms = &mechanisms
	}
	var made api.ChangedAuthentication
	if err := cl.call(ctx, http.MethodPatch, c.path("/authentication"), body, &made); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, made)
	case "name":
		say(e.out, "%s\n", c.Instance)
		return nil
	}
	say(e.out, "In force on %d of %d gateways\n", made.ReadyOn.Gateways, made.ReadyOn.Of)
	return printAuthentication(e, made.Authentication)
}
