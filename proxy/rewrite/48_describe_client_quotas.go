package rewrite

import (
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// DescribeClientQuotas (48, KIP-546) shows the instance's own sub-quotas; what
// the instance as a whole is held to is not among them. As Kafka's
// ClientQuotasImage.describe, but for ip, which no entity here has. 1: flexible.
func describeClientQuotas(x *Exchange, req *kmsg.DescribeClientQuotasRequest) (outcome[*kmsg.DescribeClientQuotasResponse], error) {
	resp := kmsg.NewPtrDescribeClientQuotasResponse()
	fail := func(code int16, text string) (outcome[*kmsg.DescribeClientQuotasResponse], error) {
		resp.ErrorCode, resp.ErrorMessage, resp.Entries = code, &text, nil
		return answer(resp), nil
	}
	if code := x.cluster(x.needs.Cluster); code != 0 {
		return fail(code, *standardText(code))
	}
	filter, code, text := newQuotaFilter(req)
	if code != 0 {
		return fail(code, text)
	}
	quotas, err := x.Store.Quotas(x.Ctx, x.Instance)
	if code := storeCode(err); code != 0 {
		return fail(code, *standardText(code))
	}
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
	for _, q := range quotas {
		if filter.matches(q.Entity) {
			resp.Entries = append(resp.Entries, describedQuota(q))
		}
	}
	return answer(resp), nil
}

func describedQuota(q tenancy.Quota) kmsg.DescribeClientQuotasResponseEntry {
	entry := kmsg.NewDescribeClientQuotasResponseEntry()
	for _, part := range partsOf(q.Entity) {
		e := kmsg.NewDescribeClientQuotasResponseEntryEntity()
		e.Type, e.Name = part.kind, part.name
		entry.Entity = append(entry.Entity, e)
	}
	for _, key := range slices.Sorted(maps.Keys(q.Values)) {
		v := kmsg.NewDescribeClientQuotasResponseEntryValue()
		v.Key, v.Value = key, q.Values[key]
		entry.Values = append(entry.Values, v)
	}
	return entry
}

// quotaFilter is what entities must have: a part of each kind, of that name if
// one is given.
type quotaFilter struct {
	strict bool                          // and no other part
	kinds  map[string]func(*string) bool // kind → whether the part's name fits; nil: the default
}

func newQuotaFilter(req *kmsg.DescribeClientQuotasRequest) (f quotaFilter, code int16, text string) {
	f = quotaFilter{strict: req.Strict, kinds: map[string]func(*string) bool{}}
	for _, c := range req.Components {
		switch {
		case c.EntityType == "":
			return f, codeInvalidRequest, "Invalid empty entity type."
		case f.kinds[c.EntityType] != nil:
			return f, codeInvalidRequest, "Entity type " + c.EntityType + " cannot appear more than once in the filter."
		case c.EntityType != quotaUser && c.EntityType != quotaClient && c.EntityType != quotaIP:
			return f, kerr.UnsupportedVersion.Code, "Unsupported entity type " + c.EntityType
		}
		fits, text := nameFits(c)
		if text != "" {
			return f, codeInvalidRequest, text
		}
		f.kinds[c.EntityType] = fits
	}
	if f.kinds[quotaIP] != nil {
		if len(f.kinds) > 1 {
			return f, codeInvalidRequest, "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component."
		}
		return f, codeInvalidRequest, textNoIP
	}
	return f, 0, ""
}

// nameFits is the test of one component, or why there is none.
func nameFits(c kmsg.DescribeClientQuotasRequestComponent) (fits func(*string) bool, text string) {
	switch {
	case c.MatchType == kmsg.QuotasMatchTypeExact && c.Match == nil:
		return nil, "Request specified MATCH_TYPE_EXACT, but set match string to null."
	case c.MatchType == kmsg.QuotasMatchTypeExact:
		return func(name *string) bool { return name != nil && *name == *c.Match }, ""
	case c.MatchType == kmsg.QuotasMatchTypeDefault && c.Match != nil:
		return nil, "Request specified MATCH_TYPE_DEFAULT, but also specified a match string."
	case c.MatchType == kmsg.QuotasMatchTypeDefault:
		return func(name *string) bool { return name == nil }, ""
	case c.MatchType == kmsg.QuotasMatchTypeAny && c.Match != nil:
		return nil, "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string."
	case c.MatchType == kmsg.QuotasMatchTypeAny:
		return func(*string) bool { return true }, ""
	}
	return nil, "Unknown match type " + strconv.Itoa(int(c.MatchType))
}

func (f quotaFilter) matches(e tenancy.QuotaEntity) bool {
	parts := partsOf(e)
	if f.strict && len(parts) != len(f.kinds) {
		return false
	}
	fit := 0
	for _, part := range parts {
		if fits := f.kinds[part.kind]; fits != nil && fits(part.name) {
			fit++
		}
	}
	return fit == len(f.kinds)
}
