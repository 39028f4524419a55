package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// env is what a command reads and writes besides its own flags.
type env struct {
	in       io.Reader
	out, err io.Writer
	// now is closed when the user asks a second time to stop.
	now <-chan struct{}
	globals
}

// globals are the flags of every command.
type globals struct {
	Server    string `help:"Management address. Default: that of the nearest .weir, walking up." placeholder:"URL" env:"WEIR_SERVER"`
	TokenFile string `help:"File with the bearer token. Default: admin.token in the nearest .weir." placeholder:"FILE" env:"WEIR_TOKEN_FILE"`
	Output    string `short:"o" help:"Form of the result: ${enum}." enum:"table,json,name" default:"table"`

	ShowVersion kong.VersionFlag `name:"version" hidden:"" help:"Print the version."`
}

// grammar is the whole command line: weir <noun> <verb> [name].
type grammar struct {
	globals

	Dev   devCmd   `cmd:"" help:"Run a gateway with Kafka and Redis embedded, for development."`
	Serve serveCmd `cmd:"" help:"Run a gateway."`
	Check checkCmd `cmd:"" help:"Check a configuration file and report every mistake."`

	Instance instanceCmds `cmd:"" help:"Manage instances."`
	User     userCmds     `cmd:"" help:"Manage the users of an instance."`
	Key      keyCmds      `cmd:"" help:"Manage the API keys of an instance's users."`
	Issuer   issuerCmds   `cmd:"" help:"Say whose OAuth tokens an instance believes."`
	Alias    aliasCmds    `cmd:"" help:"Hand existing names of the pool to an instance."`
	Host     hostCmds     `cmd:"" help:"Manage the host names of an instance's own."`
	Network  networkCmds  `cmd:"" help:"Say from where an instance may be reached."`
	ACL      aclCmds      `cmd:"" name:"acl" help:"Say what the users of an instance may do."`
	Quota    quotaCmds    `cmd:"" help:"Say what an instance, or a user or client id within it, may use."`
	Plan     planCmds     `cmd:"" help:"Say what the instances of a plan may use."`
	Throttle throttleCmds `cmd:"" help:"See who had to wait for a limit, and why."`
	Usage    usageCmds    `cmd:"" help:"See what was used, and write it into files."`

	Statement statementCmds `cmd:"" help:"See what a month costs, and make it final."`
	Budget    budgetCmds    `cmd:"" help:"Say what a tenant may spend, and see where it stands."`

	ClientCA       clientCACmds       `cmd:"" name:"client-ca" help:"Let clients prove who they are by certificates."`
	Authentication authenticationCmds `cmd:"" help:"Say how clients must prove who they are."`

	Token tokenCmds `cmd:"" help:"Make tokens for those who manage instances."`
	Conn  connCmds  `cmd:"" name:"connection" help:"See which connections were refused, and why one fails."`
	Topic topicCmds `cmd:"" help:"Work with topics: produce, consume, list, create, delete."`

	Version versionCmd `cmd:"" help:"Print the version."`
}

// exited unwinds kong, which would end the process after --help.
type exited int

// cli runs one command line and returns the exit code.
func cli(ctx context.Context, args []string, e *env) (code int) {
	out := &output{w: e.out}
	e.out = out
	var g grammar
	parser, err := kong.New(&g,
		kong.Name("weir"),
		kong.Description("Weir, a multi-tenant gateway for Apache Kafka."),
		kong.Writers(e.out, e.err),
		kong.Vars{"version": "weir " + version()},
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(e),
	)
	if err != nil {
		return fail(e, err)
	}
	defer func() {
		if v := recover(); v != nil {
			done, ok := v.(exited)
			if !ok {
				panic(v)
			}
			code = int(done)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	e.globals = g.globals // also after a mistake: -o json is for errors too
	if err != nil {
		return fail(e, usage(err))
	}
	if err := parsed.Run(); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return exitInterrupted
		}
		return fail(e, err)
	}
	if err := out.failed(); err != nil {
		return fail(e, fmt.Errorf("writing the result: %w", err))
	}
	return exitOK
}

// usage makes an error of ours out of one of kong's (which would exit with 80).
func usage(err error) error {
	try := "weir --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if cmd := parse.Context.Selected(); cmd != nil {
			try = cmd.FullPath() + " --help"
		}
	}
	message := err.Error()
	if flag, ok := strings.CutPrefix(message, "unknown flag -"); ok && flag != "" && strings.ContainsAny(flag[:1], "0123456789.") {
		flag, _, _ = strings.Cut(flag, ",") // no flag is near what was meant as a number
		message = "unknown flag -" + flag + ": an amount is not negative"
	}
	return &failure{code: "usage", message: message, try: []string{try}, exit: exitUsage}
}
