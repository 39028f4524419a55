package api

// Prices are what a plan costs, of each instance in each calendar month (UTC). All
// numbers are decimals as texts: "0.04", never with an exponent.
type Prices struct {
	Currency string        `json:"currency" example:"EUR" doc:"ISO 4217."`
	Minimum  string        `json:"minimum,omitempty" maxLength:"32" example:"5.00" doc:"What an instance costs at the least that used anything."`
	Meters   []MeterPrices `json:"meters" nullable:"false" maxItems:"32" doc:"What is not here is free."`
}

// MeterPrices are those of one meter.
type MeterPrices struct {
	_ struct{} `additionalProperties:"false"`

	Meter string       `json:"meter" maxLength:"64" example:"produce_bytes"`
	Unit  string       `json:"unit" maxLength:"16" example:"GiB" doc:"GiB or GB of bytes; GiB-Hours or GB-Hours of storage_byte_seconds; Hours of connection_seconds and partition_seconds; 1, 1K or 1M of the others."`
	Price string       `json:"price" maxLength:"32" example:"0.04" doc:"Of a unit."`
	Free  string       `json:"free,omitempty" maxLength:"32" example:"10" doc:"How many units cost nothing."`
	Tiers []TierPrices `json:"tiers,omitempty" maxItems:"20" doc:"Prices of what is used beyond so many units, the free ones counted; in order."`
}

// TierPrices is the price of a unit from so many units on.
type TierPrices struct {
	_ struct{} `additionalProperties:"false"`

	Above string `json:"above" maxLength:"32" example:"1024"`
	Price string `json:"price" maxLength:"32" example:"0.03"`
}

// SetPrices is the body of PUT /v1/plans/{plan}/prices.
type SetPrices struct {
	_ struct{} `additionalProperties:"false"`

	Prices
	From string `json:"from,omitempty" maxLength:"40" example:"2026-12" doc:"The month from which on they count; this one if absent. What was used in it already is billed by them too."`
}

// PlanPrices are prices with the month from which on they count.
type PlanPrices struct {
	Prices
	From  *string `json:"from" example:"2026-12" doc:"null: those of the gateway's file."`
	Unset bool    `json:"unset,omitempty" doc:"From that month on the gateway's file counts again; if it has no prices, there is no currency and nothing is billed."`
}

// ChangedPrices answers PUT and DELETE of them, as they are then.
type ChangedPrices struct {
	PricesOfPlan
	ChangedFrom string `json:"changed_from" example:"2026-12" doc:"The first month that changes."`
	Reprices    bool   `json:"reprices" doc:"That is the present one: what was used in it already is billed by these prices."`
	Instances   int    `json:"instances" doc:"How many have the plan."`
	DryRun      bool   `json:"dry_run" doc:"Nothing was changed."`
}

// PricesOfPlan answers GET /v1/plans/{plan}/prices: those of this month, if there are
// any, and those to come.
type PricesOfPlan struct {
	Plan  string       `json:"plan"`
	Items []PlanPrices `json:"items" nullable:"false"`
}
