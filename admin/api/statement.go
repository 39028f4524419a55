package api

import "time"

// StatementHead is what a tenant owes for a month in one currency, without its lines.
// Amounts are decimals as texts.
type StatementHead struct {
	ID          string     `json:"id" example:"t-acme-2026-11-EUR"`
	Tenant      string     `json:"tenant" example:"t-acme"`
	Month       string     `json:"month" example:"2026-11" doc:"Calendar month, UTC."`
	Currency    string     `json:"currency" example:"EUR"`
	State       string     `json:"state" enum:"open,final" doc:"open: so far, of hours that are sealed. final: it never changes again."`
	Total       string     `json:"total" example:"33.99"`
	Forecast    string     `json:"forecast,omitempty" example:"61.20" doc:"What the month will come to if it goes on as it did so far. Absent once it is over."`
	Through     *time.Time `json:"through,omitempty" doc:"Hours before that are in it."`
	FinalizedAt *time.Time `json:"finalized_at,omitempty"`
	SHA256      string     `json:"sha256,omitempty" doc:"Of its CSV, in hex; of a final one."`
}

// Statement answers GET /v1/statements/{statement}.
type Statement struct {
	StatementHead
	Lines []StatementLine `json:"lines" nullable:"false" doc:"Their amounts add up to the total."`
}

// StatementLine is what one meter of an instance on a plan costs at one price, or what
// the plan's minimum adds.
type StatementLine struct {
	Instance   string `json:"instance" example:"i-7k2m9x4q"`
	Plan       string `json:"plan" example:"standard"`
	Kind       string `json:"kind" enum:"usage,minimum"`
	Correction bool   `json:"correction,omitempty" doc:"Of an earlier month, whose statement was final when this was found: used_in."`
	UsedIn     string `json:"used_in" example:"2026-11"`
	Meter      string `json:"meter,omitempty" example:"produce_bytes" doc:"Absent of a minimum."`
	Tier       int    `json:"tier" doc:"Which of the meter's prices, from 0; the free allowance is the first, if there is one."`
	Used       string `json:"used,omitempty" example:"912345678901" doc:"The meter's own number: exact."`
	Quantity   string `json:"quantity" example:"849.7"`
	Unit       string `json:"unit" example:"GiB"`
	UnitPrice  string `json:"unit_price" example:"0.04"`
	Amount     string `json:"amount" example:"33.99" doc:"Rounded half to even, once."`
}

// Statements is a page of GET /v1/statements, newest month first.
type Statements struct {
	Items []StatementHead `json:"items" nullable:"false"`
	Next  *string         `json:"next" doc:"Pass as ?after= for the next page; null at the end."`
}
