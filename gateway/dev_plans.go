package gateway

import "weir/billing"

// devPlans are the plans of `weir dev`, the default first: dev bounds nothing and costs
// nothing, the others are those of deploy/weir.yaml and the docs.
func devPlans() []PlanConfig {
	limit := func(value string) *LimitConfig { return &LimitConfig{Value: value} }
	return []PlanConfig{
		{Name: devPlan},
		{Name: "standard", Prices: devPrices("5.00"), Limits: PlanLimitsConfig{
			ProduceBytes: limit("10MiB"), FetchBytes: limit("20MiB"), Requests: limit("2000"), Connections: limit("500"),
			Topics: limit("200"), Partitions: limit("1000"), Groups: limit("200"), StorageBytes: limit("100GiB"),
		}},
		{Name: "large", Prices: devPrices("50.00"), Limits: PlanLimitsConfig{
			ProduceBytes: limit("100MiB"), FetchBytes: limit("200MiB"), Requests: limit("20000"), Connections: limit("5000"),
			Topics: limit("2000"), Partitions: limit("10000"), Groups: limit("2000"), StorageBytes: limit("1TiB"),
		}},
	}
}

// devPrices are those of deploy/weir.yaml, with a minimum.
func devPrices(minimum string) *billing.Prices {
	return &billing.Prices{Currency: "EUR", Minimum: minimum, Meters: []billing.MeterPrices{
		{Meter: "produce_bytes", Unit: "GiB", Price: "0.04", Free: "10", Tiers: []billing.TierPrices{{Above: "1024", Price: "0.03"}}},
		{Meter: "fetch_bytes", Unit: "GiB", Price: "0.02"},
		{Meter: "partition_seconds", Unit: "Hours", Price: "0.0015"},
		{Meter: "storage_byte_seconds", Unit: "GiB-Hours", Price: "0.000137"},
		{Meter: "requests", Unit: "1M", Price: "0.20"},
	}}
}
