package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/admin/clientfiles"
)

type connCheckCmd struct {
	Instance string `arg:"" optional:"" help:"Name or id of the instance. Its client file is INSTANCE/client.properties unless --config says otherwise."`
	instanceTenant
	Config string `help:"client.properties or client.env to check. Default: client.env in the nearest .weir." placeholder:"FILE"`
	Topic  string `help:"Write to and read from this topic; one is made and deleted if absent." placeholder:"NAME"`
}

// checkStep is one step of the way from a name to a record.
type checkStep struct {
	Step    string `json:"step"`
	Text    string `json:"text"`
	Outcome string `json:"outcome"` // ok, failed or refused
	Millis  int64  `json:"ms"`
}

// stepTimeout bounds each step.
const stepTimeout = 10 * time.Second

// slowAfter is after how long a step that is not over is named.
const slowAfter = 2 * time.Second

// walk is one run of connection check.
type walk struct {
	e    *env
	cmd  *connCheckCmd
	conn clientfiles.Connection
	feed *refusalFeed // nil: there is no token at hand

	addr     string // host:port of the first bootstrap server
	host     string
	instance ofInstance // as far as it is known
	local    string     // our own address
	inside   bool       // it is in one of the instance's networks, as far as we have been told
	steps    []checkStep
	client   *kgo.Client
	topic    string
	made     bool // the topic is ours
	at       *kgo.Record
}

func (c *connCheckCmd) Run(ctx context.Context, e *env) error {
	w, err := c.begin(ctx, e)
	if err != nil {
		return err
	}
	err = w.run(ctx)
	if w.client != nil {
		w.cleanUp(ctx)
		w.client.Close()
	}
	if e.Output == "json" {
		if err := printJSON(e.out, map[string]any{"ok": err == nil, "steps": w.steps}); err != nil {
			return err
		}
	}
	if w.at != nil && e.Output == "table" {
		say(e.out, "\n  the record is metered as the instance's usage, like any other\n")
	}
	return err
}

// begin reads the client file.
func (c *connCheckCmd) begin(ctx context.Context, e *env) (*walk, error) {
	w := &walk{e: e, cmd: c, instance: ofInstance{c.Instance, c.instanceTenant}}
	path := c.Config
	if path == "" && c.Instance != "" {
		path = filepath.Join(c.Instance, clientfiles.PropertiesFile)
		if _, err := os.Stat(path); err != nil {
			return nil, &failure{
				code: "no-client-file", exit: exitUsage, err: err, message: "there is no " + path + ": say which client file to check",
				try: []string{"weir connection check " + w.instance.typed() + " --config FILE"},
			}
		}
	}
	if path == "" {
		found, ok := nearest(clientfiles.EnvFile)
		if !ok {
			return nil, notHere("no instance and no --config given, and no .weir/client.env here or above", "weir connection check --config FILE")
		}
		path = found
	}
	conn, err := clientfiles.Load(path)
	if err != nil {
		return nil, badClientFile(path, err)
	}
	w.conn, w.addr = conn, conn.Bootstrap[0]
	w.host = w.addr[:strings.LastIndexByte(w.addr, ':')]
	w.host = strings.Trim(w.host, "[]")
	if w.instance.Instance == "" {
		w.instance.Instance = instanceOf(conn.Username, w.host)
	}
	w.feed = newRefusalFeed(ctx, e, w.instance)
	return w, nil
}

// instanceOf is the instance that a user name or a host name says; "" if neither does.
func instanceOf(user, host string) string {
	if _, id, ok := strings.Cut(user, "@"); ok {
		return id
	}
	if label, _, ok := strings.Cut(host, "."); ok && strings.Trim(host, "0123456789.") != "" {
		return label
	}
	return ""
}

// run takes the steps until one fails.
func (w *walk) run(ctx context.Context) error {
	steps := []struct {
		name string
		take func(context.Context) (string, error)
	}{
		{"dns", w.dns},
		{"tcp", w.tcp},
		{"tls", w.tls},
		{"sasl", w.sasl},
		{"metadata", w.metadata},
		{"produce", w.produce},
		{"fetch", w.fetch},
	}
	for _, s := range steps {
		if s.name == "tls" && !w.conn.TLS {
			continue
		}
		begin := time.Now()
		bounded, cancel := context.WithTimeout(ctx, stepTimeout)
		slow := time.AfterFunc(slowAfter, func() { say(w.e.err, "  %-8s  takes long ...\n", s.name) })
		text, err := s.take(bounded)
		slow.Stop()
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.done(s.name, text, time.Since(begin), err)
		if err != nil {
			return err
		}
	}
	return nil
}

// done prints a step. Whether our network may shows in the login alone, and a
// gateway refuses without a word: nothing is said of it unless it is known.
func (w *walk) done(step, text string, took time.Duration, err error) {
	var f *failure
	network := checkStep{Step: "network", Text: "your address " + w.local, Outcome: "ok"}
	switch {
	case errors.As(err, &f) && f.code == networkRefused:
		network.Outcome = "refused"
		w.print(network)
		return
	case step == "sasl" && w.inside:
		w.print(network)
	}
	s := checkStep{Step: step, Text: text, Outcome: "ok", Millis: took.Milliseconds()}
	if err != nil {
		s.Outcome = "failed"
	}
	w.print(s)
}

func (w *walk) print(s checkStep) {
	w.steps = append(w.steps, s)
	switch w.e.Output {
	case "json":
	case "name":
		say(w.e.out, "%s\n", s.Step)
	default:
		took := fmt.Sprintf("ok %4d ms", s.Millis)
		if s.Outcome != "ok" {
			took = strings.ToUpper(s.Outcome)
		} else if s.Step == "network" {
			took = "ok"
		}
		say(w.e.out, "  %-8s  %-58s  %s\n", s.Step, s.Text, took)
	}
}
