package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/admin/api"
	"weir/admin/clientfiles"
)

type instanceCmds struct {
	Create instanceCreateCmd `cmd:"" help:"Create an instance and the files to connect to it."`
	List   instanceListCmd   `cmd:"" help:"List instances."`
	Get    instanceGetCmd    `cmd:"" help:"Show one instance."`
	Set    instanceSetCmd    `cmd:"" help:"Give an instance another plan."`
	Delete instanceDeleteCmd `cmd:"" help:"Delete an instance with all its topics and groups."`
}

type instanceCreateCmd struct {
	Name         string `arg:"" help:"Display name, unique within the tenant."`
	ID           string `name:"id" help:"Choose the id; generated if absent." placeholder:"ID"`
	Plan         string `help:"Plan; the server's default if absent." placeholder:"PLAN"`
	Tenant       string `help:"Owner, for operators." placeholder:"ID" env:"WEIR_TENANT"`
	User         string `help:"Name of the first user. Default: NAME-admin." placeholder:"NAME"`
	PasswordFile string `help:"Take its password from this file, - for stdin; generated if absent." placeholder:"FILE"`
	Dir          string `help:"Where the client files go. Default: NAME; with -o json none are written." placeholder:"DIR"`
	Force        bool   `help:"Overwrite client files."`
}

func (c *instanceCreateCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	user := api.CreateUser{Name: c.User}
	if user.Name == "" {
		user.Name = c.Name + "-admin"
	}
	if user.Password, err = e.password(c.PasswordFile); err != nil {
		return err
	}
	dir := targetDir(c.Dir, c.Name, e.Output)
	if err := checkTarget(dir, c.Force, "weir instance create "+c.Name); err != nil {
		return err
	}
	start := time.Now()
	var made api.CreatedInstance
	body := api.CreateInstance{ID: c.ID, Name: c.Name, Tenant: c.Tenant, Plan: c.Plan, AdminUser: &user}
	if err := cl.call(ctx, http.MethodPost, "/v1/instances", body, &made); err != nil {
		return err
	}
	took := time.Since(start)
	if dir != "" {
		if err := writeFiles(dir, made.Instance, made.Credentials, user.Password); err != nil {
			return &failure{
				code: "files-not-written", exit: exitFailed, err: err,
				message: fmt.Sprintf("%s (%s) is made, but its password is lost: %v", made.Name, made.ID, err),
				try:     []string{"weir user create " + made.ID + " NAME --dir DIR"},
			}
		}
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, made)
	case "name":
		say(e.out, "%s\n", made.ID)
		return nil
	}
	say(e.out, "Created %s (%s) in %d ms, ready on %d of %d gateways\n\n",
		made.Name, made.ID, took.Milliseconds(), made.ReadyOn.Gateways, made.ReadyOn.Of)
	say(e.out, "  %-11s %s    %s  %s\n", "Bootstrap", strings.Join(made.Bootstrap, ","), made.SecurityProtocol, made.Mechanisms[0])
	printCredentials(e, made.Credentials.Username, dir, made.CA != "")
	return nil
}

type instanceListCmd struct {
	Tenant string `help:"Only those of one tenant, for operators." placeholder:"ID" env:"WEIR_TENANT"`
}

func (c *instanceListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	all := api.Instances{Items: []api.Instance{}}
	query := url.Values{"limit": {"500"}}
	if c.Tenant != "" {
		query.Set("tenant", c.Tenant)
	}
	for {
		var page api.Instances
		if err := cl.call(ctx, http.MethodGet, "/v1/instances?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		all.Items = append(all.Items, page.Items...)
		if page.Next == nil {
			break
		}
		query.Set("after", *page.Next)
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, all)
	case "name":
		for _, i := range all.Items {
			say(e.out, "%s\n", i.ID)
		}
		return nil
	}
	var rows [][]string
	for _, i := range all.Items {
		rows = append(rows, []string{i.ID, i.Name, i.Tenant, i.Plan, i.State, i.CreatedAt.Format(time.RFC3339)})
	}
	return printTable(e.out, []string{"ID", "NAME", "TENANT", "PLAN", "STATE", "CREATED"}, rows)
}

type instanceGetCmd struct {
	ofInstance
}

func (c *instanceGetCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var i api.Instance
	if err := cl.call(ctx, http.MethodGet, c.path(""), nil, &i); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, i)
	case "name":
		say(e.out, "%s\n", i.ID)
		return nil
	}
	fields := [][2]string{
		{"Id", i.ID},
		{"Name", i.Name},
		{"Tenant", i.Tenant},
		{"Plan", i.Plan},
		{"Pool", i.Pool},
		{"State", i.State},
		{"Created", i.CreatedAt.Format(time.RFC3339)},
		{"Bootstrap", strings.Join(i.Bootstrap, ",")},
		{"Protocol", i.SecurityProtocol},
		{"Mechanisms", strings.Join(i.Mechanisms, " ")},
	}
	if len(i.OwnBootstrap) > 0 {
		fields = append(fields, [2]string{"Own hosts", strings.Join(i.OwnBootstrap, ",")})
	}
	return printFields(e.out, fields)
}

type instanceDeleteCmd struct {
	ofInstance
	Yes     bool          `help:"Do not ask."`
	NoWait  bool          `help:"Do not wait until it is gone."`
	Timeout time.Duration `help:"How long to wait." default:"1m"`
}

func (c *instanceDeleteCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var i api.Instance
	if err := cl.call(ctx, http.MethodGet, c.path(""), nil, &i); err != nil {
		return err
	}
	if err := e.confirm(c.Yes, fmt.Sprintf("Delete instance %s (%s) with all its topics and groups?", i.Name, i.ID), "weir instance delete "+c.typed()); err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodDelete, known(i).path(""), nil, &i); err != nil {
		return err
	}
	if c.NoWait {
		return e.done(i.ID, i, fmt.Sprintf("Deleting %s (%s): its clients are cut off, its topics are being removed", i.Name, i.ID))
	}
	if err := waitGone(ctx, cl, i, c.Timeout); err != nil {
		return err
	}
	i.State = "deleted"
	return e.done(i.ID, i, fmt.Sprintf("Deleted %s (%s)", i.Name, i.ID))
}

// waitGone asks until the instance is not found any more.
func waitGone(ctx context.Context, cl *client, gone api.Instance, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		var i api.Instance
		err := cl.call(ctx, http.MethodGet, known(gone).path(""), nil, &i)
		var p *api.Problem
		switch {
		case err == nil && i.ID != gone.ID:
			return nil // another one's name
		case errors.As(err, &p) && p.Status == http.StatusNotFound:
			return nil
		case err != nil && !(p != nil && p.Retryable) && ctx.Err() == nil:
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return &failure{
				code: "still-deleting", exit: exitTimeout, message: fmt.Sprintf("%s is still being deleted after %s", gone.ID, timeout),
				try: []string{"weir instance get " + gone.ID},
			}
		}
	}
}

// targetDir is where client files go: what was asked for, else a folder of
// that name here. With -o json the caller gets the password from the body.
func targetDir(asked, name, output string) string {
	if asked != "" || output == "json" {
		return asked
	}
	return filepath.Base(name) // a name that is a path is refused by the server
}

// checkTarget refuses to overwrite somebody's credentials, before command makes
// anything.
func checkTarget(dir string, force bool, command string) error {
	if dir == "" || force {
		return nil
	}
	path := filepath.Join(dir, clientfiles.PropertiesFile)
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return &failure{
		code: "files-exist", exit: exitConflict, message: path + " is there already",
		try: []string{command + " --dir DIR   write elsewhere", command + " --force     overwrite it"},
	}
}

func writeFiles(dir string, i api.Instance, c *api.Credentials, password string) error {
	if c.Password != "" {
		password = c.Password
	}
	conn := clientfiles.Connection{
		Bootstrap: i.Bootstrap,
		Mechanism: i.Mechanisms[0],
		Username:  c.Username,
		Password:  password,
		TLS:       i.SecurityProtocol == "SASL_SSL",
	}
	if i.CA != "" {
		conn.CA = []byte(i.CA)
	}
	return clientfiles.Write(dir, conn)
}

// printCredentials says where the password is, never what it is.
func printCredentials(e *env, username, dir string, hasCA bool) {
	say(e.out, "  %-11s %s    password in ./%s/, not shown again\n", "User", username, dir)
	names := []string{clientfiles.PropertiesFile, clientfiles.KcatFile, clientfiles.EnvFile}
	if hasCA {
		names = append(names, clientfiles.CAFile)
	}
	for i, n := range names {
		names[i] = filepath.Join(dir, n)
	}
	say(e.out, "  %-11s %s\n", "Wrote", strings.Join(names, "  "))
	say(e.out, "Next          weir topic produce --config %s hello \"first message\"\n", filepath.Join(dir, clientfiles.PropertiesFile))
}
