package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"weir/admin"
	"weir/tenancy"
)

type tokenCmds struct {
	Create tokenCreateCmd `cmd:"" help:"Sign a bearer token with the key of the gateways. Asks no gateway."`
}

type tokenCreateCmd struct {
	Role      []string      `required:"" help:"What it may do: operator, tenant-admin, quota-admin, viewer, billing-reader." placeholder:"ROLE,..."`
	Tenant    string        `help:"Whose instances it may see. An operator's sees all, and makes new ones here." env:"WEIR_TENANT" placeholder:"TENANT"`
	Subject   string        `help:"Person or program that uses it, for the logs. Default: you." placeholder:"NAME"`
	ExpiresIn time.Duration `help:"For how long it counts, at most a year: it cannot be taken back." default:"24h" placeholder:"DURATION"`
	KeyFile   string        `help:"What admin.token_key_file of weir.yaml names. Default: the key of the nearest .weir, walking up." placeholder:"FILE"`
	Out       string        `help:"Write it into this new file, for --token-file. Default: to the terminal." placeholder:"FILE"`
}

// longestToken is for how long a token may count.
const longestToken = 366 * 24 * time.Hour

const (
	// maxKeyFile is how large a file with a key may be, in bytes.
	maxKeyFile = 64 << 10
	// maxSubject is how long a subject may be, in bytes: gateways look at 8 KiB of a token.
	maxSubject = 200
)

func (c *tokenCreateCmd) Run(_ context.Context, e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	key, err := c.key()
	if err != nil {
		return err
	}
	now := time.Now().Truncate(time.Second)
	claims := admin.Claims{
		Subject: cmp.Or(c.Subject, whoami()), Tenant: tenancy.TenantID(c.Tenant), Roles: c.Role,
		Issued: now, Expires: now.Add(c.ExpiresIn),
	}
	token, err := admin.NewToken(key, claims)
	if err != nil {
		return badKeyFile(cmp.Or(c.KeyFile, "the key"), err)
	}
	if c.Out != "" {
		if err := newTokenFile(c.Out, token); err != nil {
			return err
		}
	}
	switch {
	case e.Output == "json":
		made := map[string]any{"subject": claims.Subject, "tenant": c.Tenant, "roles": c.Role, "expires_at": claims.Expires.UTC()}
		if c.Out == "" {
			made["token"] = token
		} else {
			made["file"] = c.Out // and nowhere else: this may be a log
		}
		return printJSON(e.out, made)
	case c.Out != "":
		say(e.out, "%s speaks for %s until %s\n", c.Out, claims.Subject, claims.Expires.UTC().Format(time.RFC3339))
	default:
		say(e.out, "%s\n", token)
	}
	return nil
}

// check refuses what a gateway would not take, or would take for nothing.
func (c *tokenCreateCmd) check() error {
	known := admin.Roles()
	for _, role := range c.Role {
		if !slices.Contains(known, role) {
			return tokenMistake("there is no role %q: there are %s", role, strings.Join(known, ", "))
		}
	}
	if len(c.Role) == 0 {
		return tokenMistake("--role is needed: there are %s", strings.Join(known, ", "))
	}
	if len(c.Subject) > maxSubject || strings.ContainsFunc(c.Subject, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return tokenMistake("--subject: want at most %d printable characters", maxSubject)
	}
	if c.Tenant == "" && !slices.Contains(c.Role, "operator") {
		return tokenMistake("--tenant is needed: only an operator's token is for all tenants")
	}
	if c.Tenant != "" {
		if _, err := tenancy.ParseTenantID(c.Tenant); err != nil {
			return tokenMistake("--tenant: %v", err)
		}
	}
	if c.ExpiresIn < time.Second || c.ExpiresIn > longestToken {
		return tokenMistake("--expires-in %s: want 1s to %dh", c.ExpiresIn, int(longestToken.Hours()))
	}
	return nil
}

func tokenMistake(format string, args ...any) error {
	return &failure{code: "usage", message: fmt.Sprintf(format, args...), try: []string{"weir token create --help"}, exit: exitUsage}
}

// keyFile reads a small file; what is none could be waited for without an end.
func keyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, fmt.Errorf("is no file of at most %d bytes", maxKeyFile)
	}
	return os.ReadFile(path)
}

// key reads the key that gateways verify with.
func (c *tokenCreateCmd) key() ([]byte, error) {
	if c.KeyFile != "" {
		data, err := keyFile(c.KeyFile)
		if err != nil {
			return nil, badKeyFile(c.KeyFile, err)
		}
		return bytes.TrimRight(data, "\r\n"), nil // as gateways do
	}
	path, ok := nearest(filepath.Join("data", "secrets.json"))
	if !ok {
		return nil, notHere("no --key-file given, and no .weir here or above", "weir token create --key-file FILE")
	}
	var dev struct {
		TokenKey []byte `json:"token_key"`
	}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &dev)
	}
	if err != nil {
		return nil, badKeyFile(path, err)
	}
	return dev.TokenKey, nil
}

func badKeyFile(path string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return &failure{
		code: "key-file-bad", exit: exitUsage, err: err, message: fmt.Sprintf("%s: %v", path, err),
		try: []string{"grep token_key_file weir.yaml      names the file"},
	}
}

// newTokenFile writes what nobody else may read, and overwrites nothing.
func newTokenFile(path, token string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(token + "\n")
		err = errors.Join(err, f.Close())
	}
	if err == nil {
		return nil
	}
	f2 := &failure{code: "file-not-written", exit: exitFailed, err: err, message: err.Error()}
	if errors.Is(err, fs.ErrExist) {
		f2.message, f2.try = "there is a file "+path+" already", []string{"weir token create ... --out FILE      another one"}
	}
	return f2
}

// whoami is who runs this, for the log of the gateways.
func whoami() string {
	u, err := user.Current()
	if err != nil || u.Username == "" {
		return "weir-token"
	}
	return u.Username
}
