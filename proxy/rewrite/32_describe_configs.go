package rewrite

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeConfigs (32). 1: synonyms; 3: types and documentation; 4: flexible.
// Topics and groups are the broker's to answer, less what is hidden; brokers are
// the gateway's and want DESCRIBE_CONFIGS on the cluster; all else (loggers,
// client metrics) belongs to the operator.
func describeConfigs(x *Exchange, req *kmsg.DescribeConfigsRequest) (outcome[*kmsg.DescribeConfigsResponse], error) {
	asked := make([]kmsg.DescribeConfigsRequestResource, 0, len(req.Resources))
	var rows []placed[kmsg.DescribeConfigsResponseResource]
	brokers := make(map[string]bool) // those that have been described
	for i := range req.Resources {
		r := req.Resources[i]
		if r.ResourceType == kmsg.ConfigResourceTypeBroker {
			if brokers[r.ResourceName] {
				// No client asks twice, and an answer is hundreds of times its question.
				place(&rows, i, refuseDescribe(&r, codeInvalidRequest))
				continue
			}
			brokers[r.ResourceName] = true
			if code := x.cluster(x.needs.Cluster); code != 0 {
				place(&rows, i, refuseDescribe(&r, code))
				continue
			}
			place(&rows, i, describeBroker(x, &r))
			continue
		}
		physical, code := x.physicalResource(r.ResourceType, r.ResourceName)
		if code != 0 {
			place(&rows, i, refuseDescribe(&r, code))
			continue
		}
		r.ResourceName = physical
		asked = append(asked, r)
	}
	unmap := func(resp *kmsg.DescribeConfigsResponse) error {
		for i := range resp.Resources {
			if err := unmapDescribed(x, &resp.Resources[i]); err != nil {
				return err
			}
		}
		resp.Resources = splice(resp.Resources, rows)
		return nil
	}
	if len(asked) == 0 && len(rows) > 0 {
		resp := kmsg.NewPtrDescribeConfigsResponse()
		return answer(resp), unmap(resp)
	}
	req.Resources = asked
	return forward(unmap), nil
}

func refuseDescribe(r *kmsg.DescribeConfigsRequestResource, code int16) kmsg.DescribeConfigsResponseResource {
	row := kmsg.NewDescribeConfigsResponseResource()
	row.ResourceType, row.ResourceName = r.ResourceType, r.ResourceName
	row.ErrorCode, row.ErrorMessage = code, standardText(code)
	return row
}

// unmapDescribed maps one resource, hides what is not for tenants and marks as
// read-only what they cannot set.
func unmapDescribed(x *Exchange, r *kmsg.DescribeConfigsResponseResource) error {
	virtual, err := x.virtualName(configKind(r.ResourceType), r.ResourceName)
	if err != nil {
		return err
	}
	r.ResourceName = virtual
	r.ErrorMessage = x.Text(r.ErrorCode, r.ErrorMessage)
	kept := r.Configs[:0]
	for _, c := range r.Configs {
		if _, settable, visible := config(r.ResourceType, c.Name); visible {
			c.ReadOnly = c.ReadOnly || !settable
			kept = append(kept, c)
		}
	}
	r.Configs = kept
	return nil
}

// describeBroker is what a tenant is told of a broker: Kafka's defaults for
// what clients and tools ask for, and nothing of the pool's. The empty name is
// the default of all brokers, which nobody has changed.
func describeBroker(x *Exchange, r *kmsg.DescribeConfigsRequestResource) kmsg.DescribeConfigsResponseResource {
	row := refuseDescribe(r, codeInvalidRequest)
	live := x.liveNodes()
	if r.ResourceName != "" {
		node, err := strconv.ParseInt(r.ResourceName, 10, 32)
		if err != nil || !slices.Contains(live, int32(node)) {
			return row
		}
	}
	row.ErrorCode, row.ErrorMessage = 0, nil
	row.Configs = []kmsg.DescribeConfigsResponseResourceConfig{}
	if r.ResourceName == "" {
		return row
	}
	for _, c := range brokerConfigs(x.AutoCreate, len(live)) {
		if r.ConfigNames == nil || slices.Contains(r.ConfigNames, c.Name) {
			row.Configs = append(row.Configs, c)
		}
	}
	return row
}

// brokerConfigs are Kafka 4.4's defaults (ReplicationConfigs, ServerLogConfigs,
// GroupCoordinatorConfig, TransactionStateManagerConfig), read-only.
func brokerConfigs(autoCreate bool, brokers int) []kmsg.DescribeConfigsResponseResourceConfig {
	const unset = "" // null: the hours say it
	var all []kmsg.DescribeConfigsResponseResourceConfig
	add := func(name, value string, kind kmsg.ConfigType) {
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.ConfigType = name, kind
		if value != unset {
			c.Value = &value
		}
		c.ReadOnly, c.IsDefault, c.Source = true, true, kmsg.ConfigSourceDefaultConfig
		all = append(all, c)
	}
	add("auto.create.topics.enable", strconv.FormatBool(autoCreate), kmsg.ConfigTypeBoolean)
	add("default.replication.factor", strconv.Itoa(max(1, min(3, brokers))), kmsg.ConfigTypeInt)
	add("delete.topic.enable", "true", kmsg.ConfigTypeBoolean)
	add("log.retention.bytes", "-1", kmsg.ConfigTypeLong)
	add("log.retention.hours", "168", kmsg.ConfigTypeInt)
	add("log.retention.minutes", unset, kmsg.ConfigTypeInt)
	add("log.retention.ms", unset, kmsg.ConfigTypeLong)
	add("message.max.bytes", "1048588", kmsg.ConfigTypeInt)
	add("min.insync.replicas", "1", kmsg.ConfigTypeInt)
	add("num.partitions", "1", kmsg.ConfigTypeInt)
	add("offsets.retention.minutes", "10080", kmsg.ConfigTypeInt)
	add("transaction.max.timeout.ms", "900000", kmsg.ConfigTypeInt)
	return all
}
