package main

import (
	"bufio"
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type topicConsumeCmd struct {
	connectionFlags
	Topic         string `arg:"" help:"Name of the topic."`
	FromBeginning bool   `help:"Begin with the oldest record instead of the next new one."`
	Max           int    `help:"Stop after this many records; 0: go on until ^C." default:"0" placeholder:"N"`
	ToEnd         bool   `help:"Stop where the topic ended when the command began; implies --from-beginning."`
	Partition     *int32 `help:"Only this partition." placeholder:"N" xor:"how"`
	Group         string `help:"Read as a member of this consumer group and commit." placeholder:"NAME" xor:"how"`
}

func (c *topicConsumeCmd) Run(ctx context.Context, e *env) error {
	cl, err := c.dial(ctx, c.options()...)
	if err != nil {
		return err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	if err := exists(ctx, admin, c.Topic); err != nil {
		return err
	}
	r := &reading{cmd: c, client: cl, out: bufio.NewWriter(e.out), json: e.Output == "json"}
	if c.ToEnd {
		if r.left, err = c.ends(ctx, admin); err != nil {
			return err
		}
	}
	return errors.Join(r.run(ctx), r.out.Flush())
}

// options choose what is consumed, from where.
func (c *topicConsumeCmd) options() []kgo.Opt {
	from := kgo.NewOffset().AtEnd()
	if c.FromBeginning || c.ToEnd {
		from = kgo.NewOffset().AtStart()
	}
	if c.Partition != nil {
		return []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: {*c.Partition: from}})}
	}
	opts := []kgo.Opt{kgo.ConsumeTopics(c.Topic), kgo.ConsumeResetOffset(from)}
	if c.Group != "" {
		opts = append(opts, kgo.ConsumerGroup(c.Group), kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Second))
	}
	return opts
}

// ends are the offsets after the last record, by partition, of those that hold any.
func (c *topicConsumeCmd) ends(ctx context.Context, admin *kadm.Client) (map[int32]int64, error) {
	if c.Group != "" {
		return nil, &failure{code: "usage", exit: exitUsage, message: "--to-end and --group exclude each other: a group shares its partitions"}
	}
	starts, err := admin.ListStartOffsets(ctx, c.Topic)
	if err != nil {
		return nil, topicError(c.Topic, err)
	}
	ends, err := admin.ListEndOffsets(ctx, c.Topic)
	if err != nil {
		return nil, topicError(c.Topic, err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		start, _ := starts.Lookup(o.Topic, o.Partition)
		if o.Offset > start.Offset && (c.Partition == nil || *c.Partition == o.Partition) {
			left[o.Partition] = o.Offset
		}
	})
	return left, nil
}

// reading is one run of topic consume. One goroutine.
type reading struct {
	cmd    *topicConsumeCmd
	client *kgo.Client
	out    *bufio.Writer
	json   bool
	left   map[int32]int64 // with --to-end: where each partition that is not done ends
	read   int
}

func (r *reading) run(ctx context.Context) error {
	for !r.done() {
		fetches := r.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, f := range fetches.Errors() {
			if errors.Is(f.Err, kerr.UnknownTopicOrPartition) || !kerr.IsRetriable(f.Err) {
				return topicError(r.cmd.Topic, f.Err)
			}
		}
		for it := fetches.RecordIter(); !it.Done() && !r.done(); {
			rec := it.Next()
			if err := r.write(rec); err != nil {
				return err
			}
			r.read++
			r.client.MarkCommitRecords(rec)
			if end, ok := r.left[rec.Partition]; ok && rec.Offset+1 >= end {
				delete(r.left, rec.Partition)
			}
		}
		if err := r.out.Flush(); err != nil {
			return err
		}
	}
	if r.cmd.Group != "" {
		return r.client.CommitMarkedOffsets(ctx)
	}
	return nil
}

func (r *reading) done() bool {
	return r.cmd.Max > 0 && r.read >= r.cmd.Max || r.cmd.ToEnd && len(r.left) == 0
}

// line is one record with -o json. What is not UTF-8 stands in the _base64 fields.
type line struct {
	Topic       string    `json:"topic"`
	Partition   int32     `json:"partition"`
	Offset      int64     `json:"offset"`
	Timestamp   time.Time `json:"timestamp"`
	Key         *string   `json:"key,omitempty"`
	KeyBase64   []byte    `json:"key_base64,omitempty"`
	Value       *string   `json:"value"`
	ValueBase64 []byte    `json:"value_base64,omitempty"`
	Headers     []header  `json:"headers,omitempty"`
}

type header struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

func (r *reading) write(rec *kgo.Record) error {
	if !r.json {
		_, err := r.out.Write(append(rec.Value, '\n'))
		return err
	}
	l := line{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset, Timestamp: rec.Timestamp.UTC()}
	l.Key, l.KeyBase64 = text(rec.Key)
	l.Value, l.ValueBase64 = text(rec.Value)
	for _, h := range rec.Headers {
		out := header{Key: h.Key}
		out.Value, out.ValueBase64 = text(h.Value)
		l.Headers = append(l.Headers, out)
	}
	return printJSON(r.out, l)
}

// text is b as a string if it is one, else as bytes; nil (a tombstone) is neither.
func text(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		s := string(b)
		return &s, nil
	}
	return nil, b
}
