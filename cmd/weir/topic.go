package main

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

type topicCmds struct {
	Produce topicProduceCmd `cmd:"" help:"Write records: one per VALUE, or one per line of stdin."`
	Consume topicConsumeCmd `cmd:"" help:"Read records; stdout gets one value a line."`
	List    topicListCmd    `cmd:"" help:"List topics."`
	Create  topicCreateCmd  `cmd:"" help:"Create a topic."`
	Delete  topicDeleteCmd  `cmd:"" help:"Delete a topic with its records."`
}

type topicListCmd struct {
	connectionFlags
}

func (c *topicListCmd) Run(ctx context.Context, e *env) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopics(ctx)
	if err != nil {
		return err
	}
	type item struct {
		Name       string `json:"name"`
		Partitions int    `json:"partitions"`
		Replicas   int    `json:"replicas"`
	}
	items := []item{}
	for _, t := range topics.Sorted() {
		items = append(items, item{t.Topic, len(t.Partitions), t.Partitions.NumReplicas()})
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, map[string]any{"items": items, "next": nil})
	case "name":
		for _, t := range items {
			say(e.out, "%s\n", t.Name)
		}
		return nil
	}
	var rows [][]string
	for _, t := range items {
		rows = append(rows, []string{t.Name, strconv.Itoa(t.Partitions), strconv.Itoa(t.Replicas)})
	}
	return printTable(e.out, []string{"NAME", "PARTITIONS", "REPLICAS"}, rows)
}

type topicCreateCmd struct {
	connectionFlags
	Topic      string `arg:"" help:"Name of the topic."`
	Partitions int32  `help:"Number of partitions; the pool's default if absent." placeholder:"N" default:"-1"`
}

func (c *topicCreateCmd) Run(ctx context.Context, e *env) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	resp, err := kadm.NewClient(cl).CreateTopic(ctx, c.Partitions, -1, nil, c.Topic)
	if err != nil {
		return topicRefused(c.Topic, err, resp.ErrMessage)
	}
	return e.done(c.Topic, map[string]any{"name": c.Topic, "partitions": resp.NumPartitions}, "Created topic "+c.Topic)
}

type topicDeleteCmd struct {
	connectionFlags
	Topic string `arg:"" help:"Name of the topic."`
	Yes   bool   `help:"Do not ask."`
}

func (c *topicDeleteCmd) Run(ctx context.Context, e *env) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	if err := exists(ctx, admin, c.Topic); err != nil {
		return err
	}
	if err := e.confirm(c.Yes, "Delete topic "+c.Topic+" with all its records?", "weir topic delete "+c.Topic); err != nil {
		return err
	}
	if resp, err := admin.DeleteTopic(ctx, c.Topic); err != nil {
		return topicRefused(c.Topic, err, resp.ErrMessage)
	}
	return e.done(c.Topic, map[string]string{"name": c.Topic}, "Deleted topic "+c.Topic)
}

// exists is nil if the topic is there.
func exists(ctx context.Context, admin *kadm.Client, topic string) error {
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	detail, ok := topics[topic]
	if !ok {
		return topicError(topic, kerr.UnknownTopicOrPartition)
	}
	if detail.Err != nil {
		return topicError(topic, detail.Err)
	}
	return nil
}
