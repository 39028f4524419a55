package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"weir/gateway"
)

type devCmd struct {
	DataDir     string   `help:"Where data, secrets and client files are kept. Default: ${default}." default:".weir" placeholder:"DIR"`
	Listen      string   `help:"Bootstrap address; the n-th broker is on the n-th port after it. Default: ${default}." default:"127.0.0.1:9092" placeholder:"HOST:PORT"`
	Admin       string   `help:"Management address. Default: ${default}." default:"127.0.0.1:9080" placeholder:"HOST:PORT"`
	Kafka       []string `help:"Use this Kafka in place of the embedded one." placeholder:"HOST:PORT"`
	Redis       string   `help:"Use this Redis in place of the embedded one." placeholder:"URL"`
	Fresh       bool     `help:"Start over: forget data, instances and secrets."`
	SampleUsage bool     `help:"Make up usage of two months and this one, to try usage, statement and export with. Not where there is usage already."`
	AllowRemote bool     `help:"Allow listening on other than loopback addresses."`
	Quiet       bool     `help:"Print only ready."`
}

func (c *devCmd) Run(ctx context.Context, e *env) error {
	return gateway.Dev(ctx, gateway.DevOptions{
		DataDir:     c.DataDir,
		Listen:      c.Listen,
		Admin:       c.Admin,
		Kafka:       c.Kafka,
		Redis:       c.Redis,
		Fresh:       c.Fresh,
		SampleUsage: c.SampleUsage,
		AllowRemote: c.AllowRemote,
		Quiet:       c.Quiet,
		JSON:        e.Output == "json",
		Version:     version(),
		Command:     command(),
		Out:         e.out,
		Err:         e.err,
	}, e.now)
}

type serveCmd struct {
	Config string `help:"Configuration file." required:"" placeholder:"FILE"`
}

func (c *serveCmd) Run(ctx context.Context, e *env) error {
	cfg, err := gateway.Load(c.Config)
	if err != nil {
		return err
	}
	return gateway.Serve(ctx, cfg, e.err, version(), e.now)
}

type checkCmd struct {
	Config string `help:"Configuration file." required:"" placeholder:"FILE"`
}

func (c *checkCmd) Run(e *env) error {
	if _, err := gateway.Load(c.Config); err != nil {
		return err
	}
	if e.Output == "json" {
		return json.NewEncoder(e.out).Encode(map[string]any{"file": c.Config, "ok": true})
	}
	say(e.out, "%s: no mistakes\n", c.Config)
	return nil
}

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	if e.Output == "json" {
		return json.NewEncoder(e.out).Encode(map[string]string{"version": version()})
	}
	say(e.out, "weir %s\n", version())
	return nil
}

// command is how a person calls this program again: go run's binary lies in a
// go-build folder, of the build cache or a temporary one, and not on the PATH.
func command() string {
	path, err := os.Executable()
	if err == nil && strings.Contains(filepath.ToSlash(path), "/go-build") {
		return "go run ./cmd/weir"
	}
	return "weir"
}

// version is what the Go tool stamped into the binary: a tag, or the revision
// it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
