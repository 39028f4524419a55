package api

// DefaultEntity stands for the default user or client id, in paths and answers: the
// one that every user (client id) has who has none of its own (Kafka's ConfigEntityName).
const DefaultEntity = "<default>"

// LimitValue is one limit to set.
type LimitValue struct {
	_ struct{} `additionalProperties:"false" nullable:"true"`

	Limit float64 `json:"limit" doc:"Units in a second for a rate, else units; bytes for bytes." example:"10485760"`
	Burst float64 `json:"burst,omitempty" doc:"How much of a rate may be used at once after a rest; a quarter of a second's if absent."`
}

// ChangeLimits is the body of PUT and PATCH of limits: by name. With PATCH, null
// removes one and what is absent stays; with PUT, nothing else stays.
type ChangeLimits struct {
	_ struct{} `additionalProperties:"false"`

	Limits map[string]*LimitValue `json:"limits" nullable:"false" doc:"By name, such as produce_bytes_per_second; GET lists all. null removes one."`
}

// Bound is what counts for a limit, and by what.
type Bound struct {
	Limit  *float64 `json:"limit" doc:"null: not bounded."`
	Burst  *float64 `json:"burst,omitempty" doc:"Of a rate."`
	Source string   `json:"source" enum:"plan,instance,budget,file,override,none,user,client_id,user_and_client_id" doc:"Who says so: of an instance's limit its plan, itself, the budget of its tenant while that is spent, or none; of a plan's the file, an override or none; of a sub-quota whom it is for."`
}

// QuotaLimit is a limit of an instance and what is used of it.
type QuotaLimit struct {
	Bound
	Unit    string   `json:"unit" example:"bytes/s"`
	Used    *float64 `json:"used" doc:"Now, over all gateways; null: not known."`
	Peak24h *float64 `json:"peak_24h" doc:"The most of the last 24 hours; null: not known."`
	Else    *Bound   `json:"else,omitempty" doc:"What counts when a budget no longer holds it lower; absent if none does."`
}

// SubQuota is what one user, client id or both are held to within an instance.
type SubQuota struct {
	User     *string          `json:"user,omitempty" doc:"Absent: of any user. <default>: each user without one of its own."`
	ClientID *string          `json:"client_id,omitempty" doc:"Absent: of any client id. <default>: each client id without one of its own."`
	Limits   map[string]Bound `json:"limits"`
}

// Quotas answers GET /v1/instances/{i}/quotas: every limit by its name, and the
// sub-quotas.
type Quotas struct {
	Tenant              string                `json:"tenant"`
	Plan                string                `json:"plan"`
	Limits              map[string]QuotaLimit `json:"limits"`
	SubQuotas           []SubQuota            `json:"sub_quotas" nullable:"false"`
	ThrottledSeconds24h *float64              `json:"throttled_seconds_24h" doc:"How long connections waited, added up; null: not known."`
	TopReason           *TopReason            `json:"top_reason" doc:"Who waited longest; null: nobody, or not known."`
}

// TopReason is who was throttled most, and by which limit.
type TopReason struct {
	Limit    string  `json:"limit"`
	User     string  `json:"user"`
	ClientID string  `json:"client_id"`
	Share    float64 `json:"share" doc:"Of all that was waited, 0 to 1."`
}

// LimitChange is what a write does, or would do, to one limit.
type LimitChange struct {
	Limit         string   `json:"limit"`
	User          *string  `json:"user,omitempty" doc:"Of a sub-quota."`
	ClientID      *string  `json:"client_id,omitempty" doc:"Of a sub-quota."`
	Old           Bound    `json:"old"`
	New           Bound    `json:"new"`
	InForce       *Bound   `json:"in_force,omitempty" doc:"What counts in place of new while the tenant's budget is spent; absent if that holds nothing lower."`
	Unit          string   `json:"unit"`
	Used          *float64 `json:"used" doc:"Now, over all gateways; null: not known."`
	WouldThrottle bool     `json:"would_throttle" doc:"More than the new limit is used now."`
	WouldRefuse   bool     `json:"would_refuse" doc:"As much as the new limit is there already, so that one more is refused; nothing is taken away."`
}

// ChangedQuotas answers writes of an instance's limits and sub-quotas.
type ChangedQuotas struct {
	Changes []LimitChange `json:"changes" nullable:"false" doc:"Those that count from now on where others did before."`
	DryRun  bool          `json:"dry_run" doc:"Nothing was changed."`
	ReadyOn *ReadyOn      `json:"ready_on,omitempty"`

	BudgetOf string `json:"budget_of,omitempty" example:"t-acme" doc:"The tenant whose spent budget is in force in place of a new limit; absent if none is."`
}

// ChangeInstance is the body of PATCH /v1/instances/{i}.
type ChangeInstance struct {
	_ struct{} `additionalProperties:"false"`

	Plan string `json:"plan"`
}

// ChangedInstance answers PATCH /v1/instances/{i}.
type ChangedInstance struct {
	Instance
	ChangedQuotas
}

// Plan is what bounds each of its instances.
type Plan struct {
	Name      string               `json:"name"`
	Limits    map[string]PlanLimit `json:"limits"`
	Instances int                  `json:"instances" doc:"How many have it; of the caller's tenant, but for operators."`
	Prices    *Prices              `json:"prices" doc:"Of this month; null: nothing is billed. GET /v1/plans/{plan}/prices has those to come."`
}

// PlanLimit is one limit of a plan.
type PlanLimit struct {
	Bound
	Unit string `json:"unit"`
}

// Plans answers GET /v1/plans, the default plan first.
type Plans struct {
	Items []Plan `json:"items" nullable:"false"`
}

// ChangedPlan answers PATCH /v1/plans/{p}.
type ChangedPlan struct {
	ChangedQuotas
	Affected      []AffectedInstance `json:"affected" nullable:"false" doc:"Instances that use more than a new limit now, at most 100; asked for by a dry run only."`
	AffectedCount int                `json:"affected_count" doc:"How many there are."`
	Unknown       int                `json:"unknown" doc:"Of how many nobody could say in time."`
}

// AffectedInstance is one that a plan's new limit would hold back.
type AffectedInstance struct {
	Instance string `json:"instance"`
	LimitChange
}
