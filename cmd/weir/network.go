package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"weir/admin/api"
)

type networkCmds struct {
	List   networkListCmd   `cmd:"" help:"List the networks from which an instance may be reached."`
	Allow  networkAllowCmd  `cmd:"" help:"Let clients of a network in."`
	Remove networkRemoveCmd `cmd:"" help:"Take a network away and cut off its clients."`
	Set    networkSetCmd    `cmd:"" help:"Replace the whole list by that of a file."`
	Check  networkCheckCmd  `cmd:"" help:"Say whether a client could connect from an address, and why."`
}

type networkListCmd struct {
	ofInstance
}

func (c *networkListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var all api.Networks
	if err := cl.call(ctx, http.MethodGet, c.path("/networks"), nil, &all); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		sayNetworks(e, "", all.Allow)
		return nil
	}
	if len(all.Allow) == 0 {
		say(e.out, "%s has no networks: by its plan %s may connect\n", c.Instance, byDefault(all.Default == "allow"))
		return nil
	}
	var rows [][]string
	for _, n := range all.Allow {
		if n.CIDR == "" {
			n.CIDR = "every address"
		}
		rows = append(rows, []string{n.CIDR, n.Endpoint, n.Cloud, n.Comment})
	}
	return printTable(e.out, []string{"RANGE", "ENDPOINT", "CLOUD", "COMMENT"}, rows)
}

// byDefault is who may connect to an instance without networks.
func byDefault(allow bool) string {
	if allow {
		return "everybody"
	}
	return "nobody"
}

// networkPlace is a private endpoint on the command line.
type networkPlace struct {
	Endpoint string `help:"Only through this private endpoint, such as vpce-0a1b." placeholder:"ID"`
	Cloud    string `help:"The endpoint's: aws, azure, gcp, or what the operator calls another one." placeholder:"NAME"`
}

// networks are the ranges behind the endpoint, or all that is behind it; none if
// neither is given.
func (p networkPlace) networks(ranges []string, comment string) (all []api.Network) {
	for _, r := range ranges {
		all = append(all, api.Network{CIDR: r, Endpoint: p.Endpoint, Cloud: p.Cloud, Comment: comment})
	}
	if len(all) == 0 && p != (networkPlace{}) {
		all = []api.Network{{Endpoint: p.Endpoint, Cloud: p.Cloud, Comment: comment}}
	}
	return all
}

// noNetwork is the mistake of who names none.
func noNetwork(command string) error {
	return &failure{
		code: "usage", exit: exitUsage, message: "say which: a range such as 10.1.0.0/16, or --endpoint and --cloud",
		try: []string{command + " --help"},
	}
}

type networkAllowCmd struct {
	ofInstance
	Ranges []string `arg:"" optional:"" name:"range" help:"Ranges such as 10.1.0.0/16, or addresses; all are added, or none."`
	networkPlace
	Comment string `help:"What it is." placeholder:"TEXT"`
}

func (c *networkAllowCmd) Run(ctx context.Context, e *env) error {
	body := api.AddNetworks{Allow: c.networks(c.Ranges, c.Comment)}
	if len(body.Allow) == 0 {
		return noNetwork("weir network allow")
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	var made api.ChangedNetworks
	if err := cl.call(ctx, http.MethodPost, c.path("/networks"), body, &made); err != nil {
		return err
	}
	return e.changedNetworks(fmt.Sprintf("%s allows %d more", c.Instance, len(made.Items)), made)
}

type networkRemoveCmd struct {
	ofInstance
	Ranges []string `arg:"" optional:"" name:"range" help:"The ranges, as they are listed."`
	networkPlace
	Yes bool `help:"Do not ask."`
}

func (c *networkRemoveCmd) Run(ctx context.Context, e *env) error {
	all := c.networks(c.Ranges, "")
	if len(all) == 0 {
		return noNetwork("weir network remove")
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	names := strings.Join(networkNames(all), ", ")
	if err := e.confirm(c.Yes, fmt.Sprintf("Cut off the clients of %s from %s?", names, c.Instance), "weir network remove "+c.typed()+" ..."); err != nil {
		return err
	}
	var gone api.ChangedNetworks
	for _, n := range all {
		query := url.Values{}
		for key, value := range map[string]string{"cidr": n.CIDR, "endpoint": n.Endpoint, "cloud": n.Cloud} {
			if value != "" {
				query.Set(key, value)
			}
		}
		var one api.ChangedNetworks
		if err := cl.call(ctx, http.MethodDelete, c.path("/networks?"+query.Encode()), nil, &one); err != nil {
			return err
		}
		gone.Items, gone.ReadyOn = append(gone.Items, one.Items...), one.ReadyOn
	}
	return e.changedNetworks(fmt.Sprintf("%s allows %d less", c.Instance, len(gone.Items)), gone)
}

type networkCheckCmd struct {
	ofInstance
	Address string `arg:"" help:"Address of the client."`
	networkPlace
}

func (c *networkCheckCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var got api.CheckedNetwork
	body := api.CheckNetwork{Address: c.Address, Endpoint: c.Endpoint, Cloud: c.Cloud}
	if err := cl.call(ctx, http.MethodPost, c.path("/networks/check"), body, &got); err != nil {
		return err
	}
	switch {
	case e.Output == "json":
		return printJSON(e.out, got)
	case !got.Allowed:
		return c.refused(ctx, cl, got)
	case e.Output == "name":
		say(e.out, "allowed\n")
	case got.Network == nil:
		say(e.out, "%s may connect to %s: it has no networks, and by its plan everybody may\n", c.Address, c.Instance)
	default:
		say(e.out, "%s may connect to %s: it allows %s%s\n", c.Address, c.Instance, got.Network, inBrackets(got.Network.Comment))
	}
	return nil
}

func inBrackets(comment string) string {
	if comment == "" {
		return ""
	}
	return " (" + comment + ")"
}

// refused says what the instance allows instead, and what would let the client in.
func (c *networkCheckCmd) refused(ctx context.Context, cl *client, got api.CheckedNetwork) error {
	try := "weir network allow " + c.typed() + " " + c.Address
	if addr, err := netip.ParseAddr(c.Address); err == nil {
		try += fmt.Sprintf("/%d", addr.Unmap().BitLen())
	}
	if c.Endpoint != "" {
		try = fmt.Sprintf("weir network allow %s --endpoint %s --cloud %s", c.typed(), c.Endpoint, c.Cloud)
	}
	f := &failure{code: "network-refused", exit: exitNotAllowed, try: []string{try + "      (needs networks:write)"}}
	if got.By == api.ByPlanDefault {
		f.message = c.Instance + " has no networks, and by its plan nobody may connect"
		return f
	}
	var all api.Networks
	if err := cl.call(ctx, http.MethodGet, c.path("/networks"), nil, &all); err != nil {
		return err
	}
	f.message = fmt.Sprintf("%s allows %s only", c.Instance, someOf(networkNames(all.Allow)))
	return f
}

// someOf names a few of many: "a, b and 7 more".
func someOf(names []string) string {
	const few = 3
	switch n := len(names); {
	case n == 0:
		return "nobody" // all were removed meanwhile
	case n == 1:
		return names[0]
	case n > few:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), n-few)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

func networkNames(all []api.Network) (names []string) {
	for _, n := range all {
		names = append(names, n.String())
	}
	return names
}

// changedNetworks reports what was done.
func (e *env) changedNetworks(done string, c api.ChangedNetworks) error {
	switch e.Output {
	case "json":
		return printJSON(e.out, c)
	case "name":
		sayNetworks(e, "", c.Items)
		return nil
	}
	say(e.out, "%s, in force on %d of %d gateways\n", done, c.ReadyOn.Gateways, c.ReadyOn.Of)
	sayNetworks(e, "  ", c.Items)
	return nil
}

func sayNetworks(e *env, indent string, all []api.Network) {
	for _, n := range all {
		say(e.out, "%s%s\n", indent, n)
	}
}
