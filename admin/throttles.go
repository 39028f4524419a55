package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/quota"
	"weir/tenancy"
)

// maxThrottles bounds an answer: a client may make up client ids.
const maxThrottles = 500

// Throttles know who was throttled; *quota.Limiter provides it. Any goroutine.
type Throttles interface {
	// Throttles since a moment, over all gateways, those that waited longest first.
	Throttles(ctx context.Context, id tenancy.InstanceID, since time.Time) ([]quota.Throttle, error)
	// Summary is of the last 24 hours.
	Summary(ctx context.Context, id tenancy.InstanceID) (quota.ThrottleSummary, error)
}

func (s *server) throttleRoutes(a huma.API) {
	route(a, "list-throttles", quotasRead, http.MethodGet, "/v1/instances/{instance}/throttles", http.StatusOK, s.listThrottles)
}

type listThrottlesInput struct {
	InstancePath
	Minutes int `query:"minutes" minimum:"1" maximum:"1440" default:"60" doc:"Of the last so many. Up to 60 whole minutes are counted, beyond that whole hours."`
}

type throttlesOutput struct{ Body api.Throttles }

// listThrottles shows what all gateways know, about two seconds late.
func (s *server) listThrottles(ctx context.Context, in *listThrottlesInput) (*throttlesOutput, error) {
	i, err := s.find(ctx, in.InstancePath)
	if err != nil {
		return nil, err
	}
	from := s.cfg.Now().Add(-time.Duration(in.Minutes) * time.Minute).UTC()
	var all []quota.Throttle
	if s.cfg.Throttles != nil {
		if all, err = s.cfg.Throttles.Throttles(ctx, i.ID, from); err != nil {
			return nil, s.unavailable(ctx, err)
		}
	}
	shown := all[:min(len(all), maxThrottles)]
	body := api.Throttles{From: from, Items: make([]api.Throttle, 0, len(shown)), Omitted: len(all) - len(shown)}
	for _, t := range shown {
		body.Items = append(body.Items, viewThrottle(t))
	}
	q, err := s.quotasOf(ctx, i)
	if err != nil {
		return nil, err
	}
	body.Limits = throttledLimits(i, called(ctx, i), all, boundsOf(q.plan, q.own, i.Restraint))
	return &throttlesOutput{Body: body}, nil
}

func viewThrottle(t quota.Throttle) api.Throttle {
	v := api.Throttle{
		Limit: string(t.Limit), Scope: api.ThrottleScope{User: t.Of.User, ClientID: t.Of.ClientID}, Kind: string(t.Kind),
		User: t.User, ClientID: t.Client, Others: t.Other, Count: t.Count, Seconds: t.Waited().Seconds(), Held: t.Held.Seconds(),
		First: t.First.UTC(), Last: t.Last.UTC(), Ongoing: !t.Since.IsZero(),
	}
	if t.Over > 0 {
		v.Over = &t.Over
	}
	if v.Ongoing {
		since := t.Since.UTC()
		v.Since = &since
	}
	return v
}

// throttledLimits adds up by limit, never nil; what was waited for longest first. now are
// the limits in force, instance is what the caller calls i.
func throttledLimits(i tenancy.Instance, instance string, all []quota.Throttle, now bounds) []api.ThrottledLimit {
	sums := []api.ThrottledLimit{}
	for _, t := range all {
		n := slices.IndexFunc(sums, func(l api.ThrottledLimit) bool { return l.Limit == string(t.Limit) })
		if n < 0 {
			n = len(sums)
			c := cures[t.Limit]
			sums = append(sums, api.ThrottledLimit{Limit: string(t.Limit), Text: c.text, Fix: c.fix, Try: "weir quota set " + instance + " " + string(t.Limit) + "=VALUE" + flagsOf(t.Of) + " --dry-run"})
		}
		if b := now[t.Limit]; t.Of == (tenancy.QuotaEntity{}) && b.Source == string(tenancy.SourceBudget) {
			sums[n].Text = fmt.Sprintf("the budget of tenant %s is spent, which leaves %s a second", i.Tenant, tenancy.FormatAmount(t.Limit, *b.Limit))
			sums[n].Fix = "raise the budget, add to its balance, or wait for the next month; another limit changes nothing"
			sums[n].Try = "weir budget get --tenant " + string(i.Tenant)
		}
		if t.Kind == quota.Refused {
			sums[n].Refused += t.Count
		} else {
			sums[n].Throttled += t.Count
		}
		sums[n].Seconds += t.Waited().Seconds()
	}
	slices.SortStableFunc(sums, func(a, b api.ThrottledLimit) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return sums
}

// flagsOf say on the command line whose limit it is: the instance's, without any. A
// name may hold whatever its user likes; only plain ones can be pasted into a shell.
func flagsOf(of tenancy.QuotaEntity) (flags string) {
	for _, part := range []struct {
		flag string
		name *string
	}{{"--user", of.User}, {"--client", of.ClientID}} {
		switch {
		case part.name == nil:
		case *part.name == "":
			flags += " " + part.flag + " '<default>'"
		case plainName(*part.name):
			flags += " " + part.flag + " " + *part.name
		default:
			flags += " " + part.flag + " NAME"
		}
	}
	return flags
}

// plainName is whether a shell takes a name for what it is, and no flag.
func plainName(name string) bool {
	return name[0] != '-' && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// cure is what people are told of a limit that throttles: what happened, and what to do.
type cure struct{ text, fix string }

var cures = map[tenancy.LimitName]cure{ //nolint:gochecknoglobals // read-only table
	tenancy.LimitProduceBytes:       {"clients write more bytes than they may", "let them write less, or compress (compression.type); else raise the limit"},
	tenancy.LimitFetchBytes:         {"clients read more bytes than they may", "let fewer consumers read the same, or compress what is written; else raise the limit"},
	tenancy.LimitRequests:           {"clients send more requests than they may", "let them send larger batches (linger.ms, batch.size) and wait for more (fetch.min.bytes); else raise the limit"},
	tenancy.LimitRequestTime:        {"requests keep the gateways busier than they may", "let clients send fewer and larger requests (linger.ms, fetch.min.bytes); else raise the limit"},
	tenancy.LimitConnectionAttempts: {"clients connect more often than they may", "let them keep their connections, and find the one that connects again and again; else raise the limit"},
	tenancy.LimitTopicMutations:     {"partitions are created and deleted faster than they may be", "create and delete topics more slowly; else raise the limit"},
	tenancy.LimitConnections:        {"there are as many connections as there may be", "share one client in each process, and end those that nobody needs; else raise the limit"},
	tenancy.LimitPartitions:         {"there are as many partitions as there may be", "delete topics, or create them with fewer partitions; else raise the limit"},
	tenancy.LimitTopics:             {"there are as many topics as there may be", "delete topics that nobody needs; else raise the limit"},
	tenancy.LimitGroups:             {"there are as many groups as there may be", "delete groups that nobody needs, and let consumers use fixed group ids; else raise the limit"},
	tenancy.LimitMessageBytes:       {"batches of records are larger than they may be", "lower batch.size and max.request.size of the client to the limit, or send smaller records; else raise the limit"},
	tenancy.LimitStorageBytes:       {"as much is stored as may be", "delete topics or records, or keep them for less time (retention.ms, retention.bytes); else raise the limit"},
}
