package rewrite

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/tenancy"
)

// ListConfigResources (74) names what has configs. 0 (ListClientMetricsResources
// then): client metrics, of which a tenant has none; 1: all types (KIP-1142).
// The order of types is Kafka's (KafkaApis.handleListConfigResources).
func listConfigResources(x *Exchange, req *kmsg.ListConfigResourcesRequest) (outcome[*kmsg.ListConfigResourcesResponse], error) {
	resp := kmsg.NewPtrListConfigResourcesResponse()
	if resp.ErrorCode = x.cluster(x.needs.Cluster); resp.ErrorCode != 0 || x.Version == 0 {
		return answer(resp), nil
	}
	for _, t := range req.ResourceTypes {
		if !listableType(t) {
			resp.ErrorCode = kerr.UnsupportedVersion.Code
			return answer(resp), nil
		}
	}
	add := func(kind kmsg.ConfigResourceType, names []string) {
		for _, name := range names {
			row := kmsg.NewListConfigResourcesResponseConfigResource()
			row.Name, row.Type = name, int8(kind)
			resp.ConfigResources = append(resp.ConfigResources, row)
		}
	}
	for _, kind := range []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeTopic} {
		if len(req.ResourceTypes) > 0 && !slices.Contains(req.ResourceTypes, int8(kind)) {
			continue
		}
		names, err := resourcesOf(x, kind)
		if err != nil {
			return outcome[*kmsg.ListConfigResourcesResponse]{}, &Error{Reason: ReasonNoUpstream, Err: fmt.Errorf("listing resources with configs: %w", err)}
		}
		add(kind, names)
	}
	return answer(resp), nil
}

// listableType reports the types that v1 may ask for. Of client metrics and
// loggers a tenant has none.
func listableType(t int8) bool {
	switch kmsg.ConfigResourceType(t) {
	case kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger,
		kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig:
		return true
	}
	return false
}

// resourcesOf lists the virtual names of one type: every topic, every broker, and
// the groups that configs have been set on.
func resourcesOf(x *Exchange, kind kmsg.ConfigResourceType) (names []string, err error) {
	self := func(name *string) *string { return name }
	switch kind {
	case kmsg.ConfigResourceTypeBroker:
		for _, node := range x.liveNodes() {
			names = append(names, strconv.Itoa(int(node)))
		}
	case kmsg.ConfigResourceTypeTopic:
		names, err = x.listTopics()
		names = own(x, tenancy.KindTopic, names, self)
	case kmsg.ConfigResourceTypeGroupConfig:
		names, err = configuredGroups(x)
		names = own(x, tenancy.KindGroup, names, self)
	}
	return names, err
}

// configuredGroups are all groups of the pool that have configs. A broker before
// 4.1 knows client metrics only, and answers with those.
func configuredGroups(x *Exchange) (names []string, err error) {
	req := kmsg.NewPtrListConfigResourcesRequest()
	req.ResourceTypes = []int8{int8(kmsg.ConfigResourceTypeGroupConfig)}
	raw, err := x.Pool.Request(x.Ctx, req)
	if err != nil {
		return nil, err
	}
	resp, ok := raw.(*kmsg.ListConfigResourcesResponse)
	if !ok {
		return nil, fmt.Errorf("ListConfigResources was answered with %T", raw)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for _, r := range resp.ConfigResources {
		if r.Type == int8(kmsg.ConfigResourceTypeGroupConfig) {
			names = append(names, r.Name)
		}
	}
	return names, nil
}
