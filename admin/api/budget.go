package api

import "time"

// Budget is what a tenant may spend.
type Budget struct {
	Tenant   string `json:"tenant" example:"t-acme"`
	Mode     string `json:"mode" enum:"soft,hard,prepaid" doc:"soft: thresholds are told. hard: when it is spent, action comes into force until the month ends. prepaid: as hard, of a balance that months use up."`
	Currency string `json:"currency" example:"EUR" doc:"What is priced in other ones does not count."`
	Amount   string `json:"amount,omitempty" example:"500.00" doc:"Of a month; absent of a prepaid one."`
	Action   string `json:"action,omitempty" enum:"throttle,stop" doc:"throttle: 64 KiB/s each way, of each instance. stop: no connections."`
	SetBy    string `json:"set_by" enum:"operator,tenant" doc:"What an operator set only an operator changes."`
}

// SetBudget is the body of PUT /v1/tenants/{tenant}/budget.
type SetBudget struct {
	_ struct{} `additionalProperties:"false"`

	Mode     string `json:"mode" enum:"soft,hard,prepaid"`
	Currency string `json:"currency" example:"EUR"`
	Amount   string `json:"amount,omitempty" maxLength:"32" example:"500.00" doc:"Of a month; not of a prepaid one."`
	Action   string `json:"action,omitempty" enum:"throttle,stop" doc:"When it is spent; throttle if absent, stop of a prepaid one. Not of a soft one."`

	Balance *AddBalance `json:"balance,omitempty" doc:"What was paid, of a prepaid one: added together with it, or neither is, so that a tenant whose month has cost something already goes on."`
}

// AddBalance is a first top-up.
type AddBalance struct {
	_ struct{} `additionalProperties:"false"`

	ID     string `json:"id" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9._-]+$" patternDescription:"letters, digits, . _ and -" doc:"Of the payment, chosen by the caller: sent again with the same id it counts once." example:"pay-20261122-7"`
	Amount string `json:"amount" maxLength:"32" example:"100.00"`
	Note   string `json:"note,omitempty" maxLength:"200"`
}

// ChangedBudget answers PUT /v1/tenants/{tenant}/budget.
type ChangedBudget struct {
	Budget
	Balance  *Balance `json:"balance,omitempty" doc:"Where the tenant stands with it, or would; absent if that is not known."`
	Tightens int      `json:"tightens" doc:"How many instances it restrains that were not, or not as much, before it: at once."`
	Counted  bool     `json:"counted_before,omitempty" doc:"The top-up was there already, and was not added again."`
	Warnings []string `json:"warnings,omitempty" doc:"What is allowed and probably not meant, a sentence each."`
	DryRun   bool     `json:"dry_run" doc:"Nothing was changed."`
	ReadyOn  *ReadyOn `json:"ready_on,omitempty" doc:"Where instances were restrained or set free by it; absent if none was."`
}

// TenantBudget is a budget, and where its tenant stands.
type TenantBudget struct {
	Budget
	Balance *Balance `json:"balance" doc:"Without top-ups; null if it is not known now."`
}

// Budgets is a page of GET /v1/budgets, in order of tenants.
type Budgets struct {
	Items []TenantBudget `json:"items" nullable:"false"`
	Next  *string        `json:"next" doc:"Pass as ?after= for the next page; null at the end."`
}

// Balance answers GET /v1/tenants/{tenant}/balance. Amounts are in the budget's currency.
type Balance struct {
	Tenant    string  `json:"tenant" example:"t-acme"`
	Month     string  `json:"month" example:"2026-11"`
	Mode      string  `json:"mode" enum:"soft,hard,prepaid"`
	Currency  string  `json:"currency" example:"EUR"`
	Available string  `json:"available" example:"500.00" doc:"The month's amount; of a prepaid budget what was left when the month began, and was added since."`
	Spent     string  `json:"spent" example:"123.45" doc:"In this month, up to now."`
	Left      string  `json:"left" example:"376.55" doc:"Less than 0 if more was spent."`
	Forecast  string  `json:"forecast,omitempty" example:"401.10" doc:"What will be spent when the month is over; absent on its first day."`
	Restraint string  `json:"restraint,omitempty" enum:"throttle,stop" doc:"In force, because it is spent; absent if none is."`
	Next      string  `json:"next_restraint,omitempty" enum:"none,throttle,stop" doc:"What is in force of all instances after the next look, within a minute; absent if that is so already. After a dry run: what would be, at once."`
	Instances int     `json:"instances" doc:"How many the tenant has."`
	Held      int     `json:"restrained" doc:"How many of them are restrained now."`
	TopUps    []TopUp `json:"top_ups,omitempty" doc:"The newest of a prepaid budget, at most 100, newest first."`
}

// TopUp adds to a prepaid balance.
type TopUp struct {
	ID       string    `json:"id" example:"pay-20261122-7"`
	Amount   string    `json:"amount" example:"100.00"`
	Currency string    `json:"currency" doc:"It counts while the budget is in it." example:"EUR"`
	At       time.Time `json:"at"`
	Note     string    `json:"note,omitempty"`
}

// AddTopUp is the body of POST /v1/tenants/{tenant}/balance.
type AddTopUp struct {
	_ struct{} `additionalProperties:"false"`

	ID       string `json:"id" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9._-]+$" patternDescription:"letters, digits, . _ and -" doc:"Of the payment, chosen by the caller: sent again with the same id it counts once." example:"pay-20261122-7"`
	Currency string `json:"currency" example:"EUR"`
	Amount   string `json:"amount" maxLength:"32" example:"100.00"`
	Note     string `json:"note,omitempty" maxLength:"200"`
}

// ChangedBalance answers POST /v1/tenants/{tenant}/balance.
type ChangedBalance struct {
	Balance
	Counted bool     `json:"counted_before,omitempty" doc:"The top-up was there already, and was not added again."`
	ReadyOn *ReadyOn `json:"ready_on,omitempty" doc:"Where instances were set free by it; absent if none was."`
}

// BudgetEvent says that a budget's threshold was crossed; once a month.
type BudgetEvent struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind" enum:"budget"`
	At        time.Time `json:"at"`
	Tenant    string    `json:"tenant"`
	Month     string    `json:"month" example:"2026-11"`
	Threshold string    `json:"threshold" enum:"50,80,100,forecast" doc:"Percent of what is available that were spent; forecast: the month will come to more than is available."`
	Mode      string    `json:"mode" enum:"soft,hard,prepaid"`
	Currency  string    `json:"currency"`
	Available string    `json:"available"`
	Spent     string    `json:"spent"`
	Forecast  string    `json:"forecast,omitempty"`
	Restraint string    `json:"restraint,omitempty" enum:"throttle,stop" doc:"What was done about it."`
}

// BudgetEvents is a page of GET /v1/tenants/{tenant}/events, newest first.
type BudgetEvents struct {
	Items []BudgetEvent `json:"items" nullable:"false"`
	Next  *string       `json:"next" doc:"Pass as ?after= for the next page; null at the end."`
}
