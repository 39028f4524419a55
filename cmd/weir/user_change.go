package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"weir/admin/api"
	"weir/admin/clientfiles"
)

// userPath is that of a user of an instance, and of what is below it.
func userPath(of ofInstance, user, below string) string {
	return of.path("/users/" + url.PathEscape(user) + below)
}

type userRotateCmd struct {
	ofInstance
	Name  string        `arg:"" help:"Name of the user."`
	Grace time.Duration `help:"How long the password before stays valid, at most 168h; 0s cuts off its clients at once." default:"24h"`
	Dir   string        `help:"Where the client files go. Default: INSTANCE-NAME; with -o json none are written." placeholder:"DIR"`
	Force bool          `help:"Overwrite client files of another user."`
}

func (c *userRotateCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	dir := targetDir(c.Dir, c.Instance+"-"+c.Name, e.Output)
	var u api.User
	if err := cl.call(ctx, http.MethodGet, userPath(c.ofInstance, c.Name, ""), nil, &u); err != nil {
		return err
	}
	if !hasFilesOf(dir, u.Username) {
		if err := checkTarget(dir, c.Force, "weir user rotate "+c.typed()+" "+c.Name); err != nil {
			return err
		}
	}
	var made api.RotatedUser
	if err := cl.call(ctx, http.MethodPost, userPath(c.ofInstance, c.Name, "/rotate"), api.RotateUser{Grace: c.Grace.String()}, &made); err != nil {
		return err
	}
	if err := writeCredentials(dir, made.KafkaCredentials); err != nil {
		return &failure{
			code: "files-not-written", exit: exitFailed, err: err,
			message: fmt.Sprintf("user %s has a new password, but it is lost: %v", c.Name, err),
			try:     []string{fmt.Sprintf("weir user rotate %s %s --dir DIR", c.typed(), c.Name)},
		}
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, made)
	case "name":
		say(e.out, "%s\n", c.Name)
		return nil
	}
	say(e.out, "Rotated user %s of %s, ready on %d of %d gateways\n\n", c.Name, c.Instance, made.ReadyOn.Gateways, made.ReadyOn.Of)
	before := "is worth nothing any more; its clients are cut off"
	if made.PreviousValidUntil != nil {
		before = "valid until " + made.PreviousValidUntil.Format(time.RFC3339)
	}
	say(e.out, "  %-11s %s\n", "Before", before)
	printCredentials(e, made.Username, dir, made.CA != "")
	return nil
}

// hasFilesOf reports whether a folder's client files are of that user: then a new
// password belongs there.
func hasFilesOf(dir, username string) bool {
	if dir == "" {
		return false
	}
	conn, err := clientfiles.Load(filepath.Join(dir, clientfiles.PropertiesFile))
	return err == nil && conn.Username == username
}

// writeCredentials writes client files; dir "": none.
func writeCredentials(dir string, k api.KafkaCredentials) error {
	if dir == "" {
		return nil
	}
	i := api.Instance{Bootstrap: splitList(k.Bootstrap), SecurityProtocol: k.SecurityProtocol, Mechanisms: []string{k.Mechanism}, CA: k.CA}
	return writeFiles(dir, i, &api.Credentials{Username: k.Username, Password: k.Password}, "")
}

type userSetCmd struct {
	ofInstance
	Name      string `arg:"" help:"Name of the user."`
	ExpiresAt string `required:"" help:"From when on it is kept out: a time as 2026-12-31T23:00:00Z, or never." placeholder:"TIME"`
}

func (c *userSetCmd) Run(ctx context.Context, e *env) error {
	return e.updateUser(ctx, c.ofInstance, c.Name, api.UpdateUser{ExpiresAt: &c.ExpiresAt}, "Set the end of")
}

type userDisableCmd struct {
	ofInstance
	Name string `arg:"" help:"Name of the user."`
}

func (c *userDisableCmd) Run(ctx context.Context, e *env) error {
	disabled := true
	return e.updateUser(ctx, c.ofInstance, c.Name, api.UpdateUser{Disabled: &disabled}, "Disabled")
}

type userEnableCmd struct {
	ofInstance
	Name string `arg:"" help:"Name of the user."`
}

func (c *userEnableCmd) Run(ctx context.Context, e *env) error {
	disabled := false
	return e.updateUser(ctx, c.ofInstance, c.Name, api.UpdateUser{Disabled: &disabled}, "Enabled")
}

func (e *env) updateUser(ctx context.Context, of ofInstance, name string, body api.UpdateUser, done string) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	var made api.UpdatedUser
	if err := cl.call(ctx, http.MethodPatch, userPath(of, name, ""), body, &made); err != nil {
		return err
	}
	line := fmt.Sprintf("%s user %s of %s, in force on %d of %d gateways", done, name, of.Instance, made.ReadyOn.Gateways, made.ReadyOn.Of)
	return e.done(name, made, line)
}
