package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type topicProduceCmd struct {
	connectionFlags
	Topic  string   `arg:"" help:"Name of the topic; created if there is none."`
	Values []string `arg:"" optional:"" name:"value" help:"Records. Without any, one for each line of stdin."`
	Key    string   `help:"Key of every record." placeholder:"KEY"`
}

func (c *topicProduceCmd) Run(ctx context.Context, e *env) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := ensureTopic(ctx, kadm.NewClient(cl), c.Topic); err != nil {
		return err
	}
	p := &production{cmd: c, client: cl, env: e}
	if len(c.Values) > 0 {
		for _, v := range c.Values {
			p.send(ctx, []byte(v))
		}
	} else if err := p.sendLines(ctx, e.in); err != nil {
		return err
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return topicError(c.Topic, p.err)
	}
	if e.Output == "table" {
		records := "records"
		if p.written == 1 {
			records = "record"
		}
		say(e.err, "%d %s written to %s\n", p.written, records, c.Topic)
	}
	return nil
}

// ensureTopic creates the topic if there is none.
func ensureTopic(ctx context.Context, admin *kadm.Client, topic string) error {
	err := exists(ctx, admin, topic)
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return err
	}
	resp, err := admin.CreateTopic(ctx, -1, -1, nil, topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) { // somebody was faster
		return topicRefused(topic, err, resp.ErrMessage)
	}
	return nil
}

// production is one run of topic produce.
type production struct {
	cmd    *topicProduceCmd
	client *kgo.Client
	env    *env

	mu      sync.Mutex // the callbacks come from the client's goroutines
	written int
	err     error // the first
}

// send hands one record to the client; it blocks while too many are under way.
func (p *production) send(ctx context.Context, value []byte) {
	rec := &kgo.Record{Topic: p.cmd.Topic, Value: value}
	if p.cmd.Key != "" {
		rec.Key = []byte(p.cmd.Key)
	}
	p.client.Produce(ctx, rec, p.acknowledged)
}

func (p *production) acknowledged(r *kgo.Record, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.err = cmpErr(p.err, err)
		return
	}
	p.written++
	if p.env.Output == "json" {
		err := printJSON(p.env.out, map[string]any{"topic": r.Topic, "partition": r.Partition, "offset": r.Offset})
		p.err = cmpErr(p.err, err)
	}
}

func cmpErr(first, err error) error {
	if first != nil {
		return first
	}
	return err
}

// sendLines sends one record for every line, without its end; the last one may
// lack it.
func (p *production) sendLines(ctx context.Context, in io.Reader) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			p.send(ctx, bytes.TrimSuffix(line, []byte("\n")))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading stdin: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}
