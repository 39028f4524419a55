package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"weir/admin/api"
)

// maxNetworkFile is what the server reads of a body.
const maxNetworkFile = 1 << 20

type networkSetCmd struct {
	ofInstance
	File string `short:"f" required:"" help:"The list, - for stdin: one range a line (what follows # is its comment), or JSON as -o json prints it." placeholder:"FILE"`
	Yes  bool   `help:"Do not ask before networks go."`
}

func (c *networkSetCmd) Run(ctx context.Context, e *env) error {
	list, err := e.networkFile(c.File)
	if err != nil {
		return err
	}
	cl, err := e.client()
	if err != nil {
		return err
	}
	var was api.Networks
	head, err := cl.callWith(ctx, http.MethodGet, c.path("/networks"), nil, nil, &was)
	if err != nil {
		return err
	}
	if n := len(gone(was.Allow, list)); n > 0 {
		question := fmt.Sprintf("Take %d of the networks of %s away and cut off their clients?", n, c.Instance)
		if err := e.confirm(c.Yes, question, "weir network set "+c.typed()+" -f "+c.File); err != nil {
			return err
		}
	}
	var now api.ChangedNetworks
	match := http.Header{"If-Match": {head.Get("ETag")}}
	if _, err := cl.callWith(ctx, http.MethodPut, c.path("/networks"), match, api.Networks{Allow: list}, &now); err != nil {
		return err
	}
	return e.changedNetworks(fmt.Sprintf("%s allows these %d", c.Instance, len(now.Items)), now)
}

// gone are those of was that are not in now.
func gone(was, now []api.Network) (lost []api.Network) {
	stays := map[string]bool{}
	for _, n := range now {
		if addr, err := netip.ParseAddr(n.CIDR); err == nil {
			n.CIDR = netip.PrefixFrom(addr, addr.BitLen()).String()
		}
		stays[n.String()] = true
	}
	for _, n := range was {
		if !stays[n.String()] {
			lost = append(lost, n)
		}
	}
	return lost
}

// networkFile reads a list: JSON if it begins like that, else lines.
func (e *env) networkFile(file string) ([]api.Network, error) {
	r := e.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, unreadable("-f", file, err)
		}
		defer f.Close()
		r = f
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxNetworkFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if len(raw) > maxNetworkFile {
		return nil, fmt.Errorf("%s has more than %d bytes", file, maxNetworkFile)
	}
	list, err := parseNetworks(raw)
	if err != nil {
		return nil, &failure{
			code: "network-file", exit: exitUsage, err: err, message: file + ": " + strings.TrimPrefix(err.Error(), "json: "),
			try: []string{"weir network list INSTANCE -o json"},
		}
	}
	return list, nil
}

// parseNetworks is never nil without an error.
func parseNetworks(raw []byte) ([]api.Network, error) {
	raw = bytes.TrimSpace(raw)
	list := []api.Network{}
	var err error
	switch {
	case bytes.HasPrefix(raw, []byte("[")):
		err = strictJSON(raw, &list)
	case bytes.HasPrefix(raw, []byte("{")):
		var whole api.Networks
		if err = strictJSON(raw, &whole); err == nil && whole.Allow == nil {
			err = errors.New(`it has no list "allow"`)
		}
		list = whole.Allow
	default:
		lines := bufio.NewScanner(bytes.NewReader(raw))
		for lines.Scan() {
			text, comment, _ := strings.Cut(lines.Text(), "#")
			if text = strings.TrimSpace(text); text != "" {
				list = append(list, api.Network{CIDR: text, Comment: strings.TrimSpace(comment)})
			}
		}
		err = lines.Err()
	}
	return list, err
}

func strictJSON(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("something follows the JSON")
	}
	return nil
}
