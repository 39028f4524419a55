package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/admin/api"
	"weir/billing/export"
	"weir/metering"
	"weir/tenancy"
)

func (s *server) usageRoutes(a huma.API) {
	route(a, "get-usage", usageRead, http.MethodGet, "/v1/usage", http.StatusOK, s.getUsage)
}

// Usage groups, as in group_by.
const (
	byInstance = "instance"
	byTenant   = "tenant"
	byPlan     = "plan"
	byUser     = "user"
	byTopic    = "topic"
)

type getUsageInput struct {
	Tenant      string   `query:"tenant" maxLength:"32" doc:"Absent: the token's; all tenants of an operator."`
	Instance    string   `query:"instance" maxLength:"64" doc:"Id or display name, as in paths. Absent: all."`
	From        string   `query:"from" maxLength:"40" example:"2026-11-01" doc:"The first UTC hour, as 2026-11-22, 2026-11-22T19 or RFC 3339. Absent: this month's first."`
	To          string   `query:"to" maxLength:"40" example:"2026-12-01" doc:"The hour up to which, without it. Absent, or later than that: with the hour that is."`
	Granularity string   `query:"granularity" enum:"hour,day,month" default:"day" doc:"In UTC."`
	Meters      []string `query:"meters" maxItems:"32" doc:"Only those, such as produce_bytes,fetch_bytes."`
	GroupBy     string   `query:"group_by" enum:"instance,tenant,plan,user,topic" default:"instance" doc:"plan, user and topic: within each instance. user and topic need usage:names, and a gateway that breaks usage down by them."`
	Limit       int      `query:"limit" default:"50" minimum:"1" maximum:"500"`
	After       string   `query:"after" maxLength:"1024" doc:"next of the page before."`
}

type usageOutput struct{ Body api.Usage }

// getUsage adds up what is sealed, and what was counted so far in open hours.
func (s *server) getUsage(ctx context.Context, in *getUsageInput) (*usageOutput, error) {
	if err := s.metered(); err != nil {
		return nil, err
	}
	if (in.GroupBy == byUser || in.GroupBy == byTopic) && !callerOf(ctx).rights.allow(usageNames) {
		return nil, refused(usageNames)
	}
	q, meters, after, err := s.usageQuery(ctx, in)
	if err != nil {
		return nil, err
	}
	sum := usageSum{query: q, granularity: in.Granularity, group: in.GroupBy}
	var page []usageItem
	// An hour that is sealed while it is read may be missed, or be there twice: then
	// it is read once more.
	for range 3 {
		if sum.sealed, err = export.Sealed(ctx, s.cfg.Metered); err != nil {
			return nil, s.unavailable(ctx, err)
		}
		if page, err = sum.page(ctx, s.cfg.Metered, after, in.Limit+1); err != nil {
			return nil, s.unavailable(ctx, err)
		}
		now, err := export.Sealed(ctx, s.cfg.Metered)
		if err != nil {
			return nil, s.unavailable(ctx, err)
		}
		if now == sum.sealed {
			break
		}
	}
	if len(page) == 0 && in.After == "" {
		if err := s.nothingUsed(ctx, in); err != nil {
			return nil, err
		}
	}
	page, more := page[:min(in.Limit, len(page))], len(page) > in.Limit
	names, err := s.displayNames(ctx, page)
	if err != nil {
		return nil, err
	}
	out := &usageOutput{Body: api.Usage{Items: []api.UsageItem{}}}
	if sum.sealed > 0 {
		until := sum.sealed.Begin()
		out.Body.SealedUntil = &until
	}
	for _, item := range page {
		v := sum.view(item, meters)
		v.Name = names[item.instance]
		out.Body.Items = append(out.Body.Items, v)
	}
	if more {
		next := page[in.Limit-1].cursor()
		out.Body.Next = &next
	}
	return out, nil
}

// usageQuery checks what is asked for.
func (s *server) usageQuery(ctx context.Context, in *getUsageInput) (q metering.Query, meters []metering.Meter, after usageItem, err error) {
	now := s.cfg.Now().UTC()
	q.From = metering.HourOf(time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC))
	q.To = metering.HourOf(now) + 1
	var mistakes []api.FieldError
	if in.From != "" {
		q.From = timeOf(&mistakes, "query.from", in.From)
	}
	to := q.To
	if in.To != "" {
		to = timeOf(&mistakes, "query.to", in.To)
		q.To = min(q.To, to)
	}
	var m *export.Mistake
	if len(mistakes) == 0 && errors.As(s.cfg.Exports.Period(q.From, to), &m) {
		mistakes = append(mistakes, api.FieldError{Location: "query." + m.Field, Message: m.Message})
	}
	for _, name := range in.Meters {
		m, err := metering.ParseMeter(name)
		if err != nil {
			mistakes = append(mistakes, api.FieldError{Location: "query.meters", Message: err.Error()})
		}
		meters = append(meters, m)
	}
	after, ok := parseUsageCursor(in.After)
	if !ok {
		mistakes = append(mistakes, api.FieldError{Location: "query.after", Message: "is no next of this list"})
	}
	if len(mistakes) > 0 {
		return q, nil, after, invalid(mistakes...)
	}
	if q.Tenant, err = s.payer(ctx, "query.tenant", in.Tenant); err != nil {
		return q, nil, after, err
	}
	if q.Instance, err = s.used(ctx, q.Tenant, in.Instance); err != nil {
		return q, nil, after, err
	}
	q.Parts = in.GroupBy == byUser || in.GroupBy == byTopic
	if len(meters) == 0 {
		for m := range metering.Meters {
			meters = append(meters, metering.Meter(m))
		}
	}
	return q, meters, after, nil
}

// view is what a caller sees of an item.
func (u *usageSum) view(i usageItem, meters []metering.Meter) api.UsageItem {
	end := min(u.end(i.start), u.query.To)
	v := api.UsageItem{
		Tenant: string(i.tenant), Instance: string(i.instance), Start: max(i.start, u.query.From).Begin(), End: end.Begin(),
		Sealed: end <= u.sealed, Meters: make(map[string]string, len(meters)),
	}
	switch u.group {
	case byPlan:
		v.Plan = i.group
	case byUser:
		v.User = &i.group
	case byTopic:
		v.Topic = &i.group
	}
	for _, m := range meters {
		v.Meters[m.String()] = i.sums[m].String()
	}
	return v
}

// cursor has the item's place in it.
func (i usageItem) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(
		[]string{string(i.tenant), string(i.instance), strconv.FormatInt(int64(i.start), 10), i.group}, "/")))
}

func parseUsageCursor(text string) (i usageItem, ok bool) {
	if text == "" {
		return i, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	parts := strings.SplitN(string(raw), "/", 4)
	if err != nil || len(parts) != 4 {
		return i, false
	}
	start, err := strconv.ParseInt(parts[2], 10, 64)
	return usageItem{
		tenant: tenancy.TenantID(parts[0]), instance: tenancy.InstanceID(parts[1]), start: metering.Hour(start), group: parts[3],
	}, err == nil
}
