package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"weir/admin/api"
)

// maxPasswordFile is more than any password that is accepted.
const maxPasswordFile = 4 << 10

// maxTokenFile is more than any bearer token that is looked at.
const maxTokenFile = 16<<10 + 2

type userCmds struct {
	Create  userCreateCmd  `cmd:"" help:"Create a user and the files to connect as it."`
	List    userListCmd    `cmd:"" help:"List an instance's users."`
	Rotate  userRotateCmd  `cmd:"" help:"Give a user a new password; the one before stays valid for a while."`
	Set     userSetCmd     `cmd:"" help:"Say until when a user may log in."`
	Disable userDisableCmd `cmd:"" help:"Keep a user out and cut off its clients."`
	Enable  userEnableCmd  `cmd:"" help:"Let a disabled user in again."`
	Delete  userDeleteCmd  `cmd:"" help:"Delete a user with its API keys and cut off its clients."`
}

type userCreateCmd struct {
	ofInstance
	Name         string `arg:"" help:"Name of the user, unique within the instance."`
	PasswordFile string `help:"Take the password from this file, - for stdin; generated if absent." placeholder:"FILE"`
	Dir          string `help:"Where the client files go. Default: INSTANCE-NAME; with -o json none are written." placeholder:"DIR"`
	Force        bool   `help:"Overwrite client files."`
}

func (c *userCreateCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	body := api.CreateUser{Name: c.Name}
	if body.Password, err = e.password(c.PasswordFile); err != nil {
		return err
	}
	dir := targetDir(c.Dir, c.Instance+"-"+c.Name, e.Output)
	if err := checkTarget(dir, c.Force, "weir user create "+c.typed()+" "+c.Name); err != nil {
		return err
	}
	var i api.Instance
	if err := cl.call(ctx, http.MethodGet, c.path(""), nil, &i); err != nil {
		return err
	}
	var made api.CreatedUser
	if err := cl.call(ctx, http.MethodPost, known(i).path("/users"), body, &made); err != nil {
		return err
	}
	if dir != "" {
		if err := writeFiles(dir, i, &made.Credentials, body.Password); err != nil {
			return &failure{
				code: "files-not-written", exit: exitFailed, err: err,
				message: fmt.Sprintf("user %s is made, but its password is lost: %v", made.Name, err),
				try:     []string{fmt.Sprintf("weir user delete %s %s", i.ID, made.Name)},
			}
		}
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, made)
	case "name":
		say(e.out, "%s\n", made.Name)
		return nil
	}
	say(e.out, "Created user %s of %s, ready on %d of %d gateways\n\n", made.Name, i.Name, made.ReadyOn.Gateways, made.ReadyOn.Of)
	printCredentials(e, made.Username, dir, i.CA != "")
	return nil
}

type userListCmd struct {
	ofInstance
}

func (c *userListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	all := api.Users{Items: []api.User{}}
	query := url.Values{"limit": {"500"}}
	for {
		var page api.Users
		if err := cl.call(ctx, http.MethodGet, c.path("/users?"+query.Encode()), nil, &page); err != nil {
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
		for _, u := range all.Items {
			say(e.out, "%s\n", u.Name)
		}
		return nil
	}
	var rows [][]string
	for _, u := range all.Items {
		rows = append(rows, []string{u.Name, u.Username, fmt.Sprint(!u.Disabled), u.CreatedAt.Format(time.RFC3339)})
	}
	return printTable(e.out, []string{"NAME", "USERNAME", "ENABLED", "CREATED"}, rows)
}

type userDeleteCmd struct {
	ofInstance
	Name string `arg:"" help:"Name of the user."`
	Yes  bool   `help:"Do not ask."`
}

func (c *userDeleteCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	path := c.path("/users/" + url.PathEscape(c.Name))
	var u api.User
	if err := cl.call(ctx, http.MethodGet, path, nil, &u); err != nil {
		return err
	}
	if err := e.confirm(c.Yes, fmt.Sprintf("Delete user %s of instance %s?", u.Name, c.Instance), "weir user delete "+c.typed()+" "+u.Name); err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
		return err
	}
	return e.done(u.Name, u, fmt.Sprintf("Deleted user %s of %s", u.Name, c.Instance))
}

// done reports what was done to one thing, in the form that was asked for.
func (e *env) done(name string, body any, line string) error {
	switch e.Output {
	case "json":
		return printJSON(e.out, body)
	case "name":
		line = name
	}
	_, err := fmt.Fprintln(e.out, line)
	return err
}

// confirm asks before something is lost. Without a terminal the answer must
// have been given as --yes, which command then says.
func (e *env) confirm(yes bool, question, command string) error {
	if yes {
		return nil
	}
	refused := &failure{code: "needs-yes", message: "not confirmed; nothing was changed", try: []string{command + " --yes"}, exit: exitUsage}
	if f, ok := e.in.(*os.File); !ok || !isTerminal(f) {
		return refused
	}
	say(e.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(e.in).ReadString('\n')
	if err != nil && answer == "" {
		say(e.err, "\n")
		return refused
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return refused
}

// isTerminal is whether somebody may sit at f: a character device other than
// the null device.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// password reads a secret from a file or stdin: never from a flag, where the
// process list and the shell's history would show it.
func (e *env) password(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	return e.secretFile("--password-file", file, maxPasswordFile)
}

// secretFile reads what a flag's file holds, - for stdin, without the line's end.
func (e *env) secretFile(flag, file string, most int64) (string, error) {
	r := e.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", unreadable(flag, file, err)
		}
		defer f.Close()
		r = f
	}
	raw, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return "", fmt.Errorf("reading the file of %s: %w", flag, err)
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if secret == "" {
		return "", &failure{code: "usage", message: "the file of " + flag + " is empty", exit: exitUsage}
	}
	return secret, nil
}
