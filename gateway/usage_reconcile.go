package gateway

import (
	"context"
	"log/slog"
	"strings"

	"weir/metering"
	"weir/tenancy"
	"weir/upstream"
)

// logs are those that what instances have metered is compared with.
type logs struct {
	directory *tenancy.Directory
	pools     map[string]*upstream.Pool
	log       *slog.Logger
}

// instances are those of the pools of this gateway.
func (l logs) instances() (ids []tenancy.InstanceID) {
	l.directory.Each(func(v *tenancy.View) bool {
		if l.pools[v.Instance.Pool] != nil {
			ids = append(ids, v.Instance.ID)
		}
		return true
	})
	return ids
}

// ends are the ends of all instances' own topics. Of a pool that does not answer
// nothing is known, which does not keep the others from being compared.
func (l logs) ends(ctx context.Context) (map[tenancy.InstanceID]metering.Logs, error) {
	all := map[tenancy.InstanceID]metering.Logs{}
	for name, pool := range l.pools {
		ends, err := pool.EndOffsets(ctx, l.owner(name))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			l.log.Warn("where logs end is not known: usage is not compared with them", "pool", name, "error", err)
		}
		l.directory.Each(func(v *tenancy.View) bool {
			if v.Instance.Pool == name {
				all[v.Instance.ID] = logsOf(v, ends[v.Instance.ID], err == nil)
			}
			return true
		})
	}
	return all, nil
}

// owner gives instances the topics that carry their name, to which nobody else writes.
func (l logs) owner(pool string) upstream.Owner {
	return func(_ tenancy.Kind, physical string) (tenancy.InstanceID, bool) {
		id, _, dotted := strings.Cut(physical, ".")
		v, ok := l.directory.View(tenancy.InstanceID(id))
		if !dotted || !ok || v.Instance.Pool != pool {
			return "", false
		}
		return v.Instance.ID, true
	}
}

func logsOf(v *tenancy.View, ends []upstream.TopicEnd, known bool) metering.Logs {
	var l metering.Logs
	for _, a := range v.Space.Aliases() {
		if a.Kind == tenancy.KindTopic && !a.ReadOnly {
			l.Skip = "it writes to topics under aliases, to which others may write beside the gateways"
		}
	}
	if !known {
		l.Topics = []metering.LogEnd{{}}
	}
	for _, e := range ends {
		l.Topics = append(l.Topics, metering.LogEnd{ID: e.ID, Name: e.Name, Records: e.Records, Known: e.Known})
	}
	return l
}
