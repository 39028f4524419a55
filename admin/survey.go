package admin

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/tenancy"
)

const (
	// surveyRetry is the pause after a pool did not answer.
	surveyRetry = 30 * time.Second
	// surveyLines bounds what is logged of one pool.
	surveyLines = 20
)

// Surveyed is what a survey asks of a pool; *upstream.Pool provides it.
type Surveyed interface {
	Ready() <-chan struct{}
	ListTopics(ctx context.Context, prefix string) ([]string, error)
}

// Survey looks once, when a gateway starts, for topics of the pools that were made
// past the gateway and that Kafka takes for an instance's: it does not tell
// "orders_x" from "orders.x", refuses the one where there is the other, and says so
// by name. It warns of each, and changes nothing.
type Survey struct {
	Directory *tenancy.Directory
	Pools     map[string]Surveyed // by name
	Log       *slog.Logger
}

// Run returns nil once every pool has been looked at, or ctx has ended.
func (s Survey) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.Directory.Ready():
	}
	var g errgroup.Group
	for name, pool := range s.Pools {
		g.Go(func() error {
			s.survey(ctx, name, pool)
			return nil
		})
	}
	return g.Wait()
}

func (s Survey) survey(ctx context.Context, name string, pool Surveyed) {
	select {
	case <-ctx.Done():
		return
	case <-pool.Ready():
	}
	for {
		topics, err := pool.ListTopics(ctx, "")
		if err == nil {
			s.report(name, topics)
			return
		}
		s.Log.Info("could not look for topics that collide with instances", "pool", name, "err", err, "retry_in", surveyRetry)
		select {
		case <-ctx.Done():
			return
		case <-time.After(surveyRetry):
		}
	}
}

// report warns of those topics of a pool that stand in an instance's way.
func (s Survey) report(pool string, topics []string) {
	found := 0
	for _, topic := range topics {
		at := strings.IndexAny(topic, "._")
		if at < 0 || topic[at] == '.' {
			continue
		}
		v, ok := s.Directory.View(tenancy.InstanceID(topic[:at]))
		if !ok || v.Instance.Pool != pool {
			continue
		}
		if _, imported := v.Space.AliasOf(tenancy.KindTopic, topic); imported {
			continue
		}
		if found++; found <= surveyLines {
			s.Log.Warn("a topic of the pool collides with an instance's names: rename it, or import it by an alias",
				"pool", pool, "topic", topic, "instance", string(v.Instance.ID))
		}
	}
	if found > surveyLines {
		s.Log.Warn("more topics of the pool collide with instances' names", "pool", pool, "topics", found)
	}
}
