package rewrite

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterConfigs (33) replaces all configs of a resource. 2: flexible. What the
// operator has set and a tenant may not (a throttle, tiered storage) would be
// reset by it: the broker is asked for those first and they are sent along.
//
// An operator's change between the two requests is lost; KIP-339 replaced this
// request by IncrementalAlterConfigs because every caller of it has that race.
func alterConfigs(x *Exchange, req *kmsg.AlterConfigsRequest) (outcome[*kmsg.AlterConfigsResponse], error) {
	operators, err := operatorConfigs(x, req)
	if err != nil {
		return outcome[*kmsg.AlterConfigsResponse]{}, err
	}
	asked := make([]kmsg.AlterConfigsRequestResource, 0, len(req.Resources))
	var refused []placed[kmsg.AlterConfigsResponseResource]
	for i, r := range req.Resources {
		physical, code := x.physicalResource(r.ResourceType, r.ResourceName)
		msg := standardText(code)
		if code == 0 {
			found := operators[resource{r.ResourceType, physical}]
			if code, msg = found.code, found.msg; code == 0 {
				r.Configs, code, msg = x.mergeConfigs(&r, found.configs)
			}
		}
		if code != 0 {
			row := kmsg.NewAlterConfigsResponseResource()
			row.ResourceType, row.ResourceName = r.ResourceType, r.ResourceName
			row.ErrorCode, row.ErrorMessage = code, msg
			place(&refused, i, row)
			continue
		}
		r.ResourceName = physical
		asked = append(asked, r)
	}
	unmap := func(resp *kmsg.AlterConfigsResponse) error {
		for i := range resp.Resources {
			r := &resp.Resources[i]
			virtual, err := x.virtualName(configKind(r.ResourceType), r.ResourceName)
			if err != nil {
				return err
			}
			r.ResourceName = virtual
			r.ErrorMessage = x.Text(r.ErrorCode, r.ErrorMessage)
		}
		resp.Resources = splice(resp.Resources, refused)
		return nil
	}
	if len(asked) == 0 && len(refused) > 0 {
		resp := kmsg.NewPtrAlterConfigsResponse()
		return answer(resp), unmap(resp)
	}
	req.Resources = asked
	return forward(unmap), nil
}

// resource is what configs belong to, by its physical name.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

// described is what the broker says of a resource: the configs that somebody
// set on it and a tenant may not touch, or why it says nothing.
type described struct {
	configs map[string]*string
	code    int16
	msg     *string
}

// operatorConfigs asks the pool for what must survive on each resource of req.
// A resource that the pool does not answer for is UNKNOWN_TOPIC_OR_PARTITION.
func operatorConfigs(x *Exchange, req *kmsg.AlterConfigsRequest) (map[resource]described, error) {
	found := make(map[resource]described)
	ask := kmsg.NewPtrDescribeConfigsRequest()
	for _, r := range req.Resources {
		physical, code := x.physicalResource(r.ResourceType, r.ResourceName)
		key := resource{r.ResourceType, physical}
		if _, asked := found[key]; code != 0 || asked {
			continue
		}
		found[key] = described{code: codeUnknownTopic, msg: standardText(codeUnknownTopic)}
		d := kmsg.NewDescribeConfigsRequestResource()
		d.ResourceType, d.ResourceName = r.ResourceType, physical
		ask.Resources = append(ask.Resources, d)
	}
	if len(ask.Resources) == 0 {
		return found, nil
	}
	raw, err := x.Pool.Request(x.Ctx, ask)
	if err != nil {
		return nil, &Error{Reason: ReasonNoUpstream, Err: fmt.Errorf("describing what AlterConfigs must keep: %w", err)}
	}
	resp, ok := raw.(*kmsg.DescribeConfigsResponse)
	if !ok {
		return nil, &Error{Reason: ReasonBadUpstream, Err: fmt.Errorf("DescribeConfigs was answered with %T", raw)}
	}
	for _, r := range resp.Resources {
		d := described{code: r.ErrorCode, configs: map[string]*string{}}
		if r.ErrorCode != 0 {
			d.msg = standardText(r.ErrorCode)
		}
		for _, c := range r.Configs {
			own := c.Source == kmsg.ConfigSourceDynamicTopicConfig || c.Source == kmsg.ConfigSourceGroupConfig
			if _, settable, _ := config(r.ResourceType, c.Name); own && !settable {
				d.configs[c.Name] = c.Value
			}
		}
		found[resource{r.ResourceType, r.ResourceName}] = d
	}
	return found, nil
}

// mergeConfigs is the new set of a resource's configs: the tenant's and the
// operator's. A tenant who repeats an operator's value, as tools do that send
// back what they have read, changes nothing and is not refused.
func (x *Exchange) mergeConfigs(r *kmsg.AlterConfigsRequestResource, operators map[string]*string) (all []kmsg.AlterConfigsRequestResourceConfig, code int16, msg *string) {
	for _, c := range r.Configs {
		if value, ok := operators[c.Name]; ok && value != nil && c.Value != nil && *value == *c.Value {
			continue
		}
		if code, msg := x.checkConfig(r.ResourceType, c.Name, c.Value); code != 0 {
			return nil, code, msg
		}
		all = append(all, c)
	}
	for _, name := range slices.Sorted(maps.Keys(operators)) {
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, operators[name]
		all = append(all, c)
	}
	return all, 0, nil
}
