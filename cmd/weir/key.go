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

type keyCmds struct {
	Create keyCreateCmd `cmd:"" help:"Create an API key of a user and the files to connect with it."`
	List   keyListCmd   `cmd:"" help:"List an instance's API keys."`
	Delete keyDeleteCmd `cmd:"" help:"Delete an API key and cut off its clients."`
}

type keyCreateCmd struct {
	ofInstance
	User      string        `arg:"" help:"Name of the user as which it logs in."`
	Comment   string        `help:"What it is for." placeholder:"TEXT"`
	ExpiresIn time.Duration `help:"For how long it counts; for ever if absent." placeholder:"DURATION"`
	Dir       string        `help:"Where the client files go. Default: INSTANCE-KEY; with -o json none are written." placeholder:"DIR"`
	Force     bool          `help:"Overwrite client files."`
}

func (c *keyCreateCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	if err := checkTarget(c.Dir, c.Force, "weir key create "+c.typed()+" "+c.User); err != nil {
		return err
	}
	body := api.CreateKey{Comment: c.Comment}
	if c.ExpiresIn != 0 {
		body.ExpiresIn = c.ExpiresIn.String()
	}
	var made api.CreatedKey
	if err := cl.call(ctx, http.MethodPost, userPath(c.ofInstance, c.User, "/keys"), body, &made); err != nil {
		return err
	}
	dir := targetDir(c.Dir, c.Instance+"-"+made.Key.ID, e.Output)
	if err := writeCredentials(dir, made.KafkaCredentials); err != nil {
		return &failure{
			code: "files-not-written", exit: exitFailed, err: err,
			message: fmt.Sprintf("key %s is made, but its secret is lost: %v", made.Key.ID, err),
			try:     []string{fmt.Sprintf("weir key delete %s %s", c.typed(), made.Key.ID)},
		}
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, made)
	case "name":
		say(e.out, "%s\n", made.Key.ID)
		return nil
	}
	say(e.out, "Created %s of user %s of %s, ready on %d of %d gateways\n\n", made.Key.ID, c.User, c.Instance, made.ReadyOn.Gateways, made.ReadyOn.Of)
	printCredentials(e, made.Username, dir, made.CA != "")
	return nil
}

type keyListCmd struct {
	ofInstance
	User string `help:"Only those of this user." placeholder:"NAME"`
}

func (c *keyListCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	all := api.Keys{Items: []api.Key{}}
	query := url.Values{"limit": {"500"}}
	if c.User != "" {
		query.Set("user", c.User)
	}
	for {
		var page api.Keys
		if err := cl.call(ctx, http.MethodGet, c.path("/keys?"+query.Encode()), nil, &page); err != nil {
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
		for _, k := range all.Items {
			say(e.out, "%s\n", k.ID)
		}
		return nil
	}
	var rows [][]string
	for _, k := range all.Items {
		ends := "never"
		if k.ExpiresAt != nil {
			ends = k.ExpiresAt.Format(time.RFC3339)
		}
		rows = append(rows, []string{k.ID, k.User, k.CreatedAt.Format(time.RFC3339), ends, k.Comment})
	}
	return printTable(e.out, []string{"KEY", "USER", "CREATED", "EXPIRES", "COMMENT"}, rows)
}

type keyDeleteCmd struct {
	ofInstance
	Key string `arg:"" help:"Id of the key."`
	Yes bool   `help:"Do not ask."`
}

func (c *keyDeleteCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Delete %s of instance %s?", c.Key, c.Instance)
	if err := e.confirm(c.Yes, question, "weir key delete "+c.typed()+" "+c.Key); err != nil {
		return err
	}
	if err := cl.call(ctx, http.MethodDelete, c.path("/keys/"+url.PathEscape(c.Key)), nil, nil); err != nil {
		return err
	}
	return e.done(c.Key, map[string]string{"id": c.Key}, fmt.Sprintf("Deleted %s of %s", c.Key, c.Instance))
}

// splitList is a list with commas.
func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
