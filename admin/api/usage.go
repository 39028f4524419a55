package api

import "time"

// UsageItem is what was used in a part of the period.
type UsageItem struct {
	Tenant   string            `json:"tenant"`
	Instance string            `json:"instance,omitempty" doc:"Id; absent when grouped by tenant."`
	Name     string            `json:"name,omitempty" doc:"The instance's display name, also of one that is deleted."`
	Plan     string            `json:"plan,omitempty" doc:"When grouped by plan."`
	User     *string           `json:"user,omitempty" doc:"When grouped by user; empty: those beyond the breakdown's cap."`
	Topic    *string           `json:"topic,omitempty" doc:"When grouped by topic; empty: those beyond the breakdown's cap."`
	Start    time.Time         `json:"start"`
	End      time.Time         `json:"end" doc:"The first moment after it."`
	Sealed   bool              `json:"sealed" doc:"It changes no more, but by corrections. Else more is still being counted."`
	Meters   map[string]string `json:"meters" doc:"Whole numbers by meter, such as produce_bytes, as texts because they may be beyond 2^53. With users and topics only those that are broken down are not 0."`
}

// Usage is a page of GET /v1/usage, in order of tenant, instance and time.
type Usage struct {
	Items       []UsageItem `json:"items" nullable:"false" doc:"None where nothing was used."`
	SealedUntil *time.Time  `json:"sealed_until" doc:"All hours before are sealed; null: none ever was."`
	Next        *string     `json:"next" doc:"Pass as ?after= for the next page; null at the end."`
}

// CreateExport is the body of POST /v1/exports.
type CreateExport struct {
	_ struct{} `additionalProperties:"false"`

	Format   string     `json:"format" enum:"jsonl,jsonl.gz,csv,parquet,focus" doc:"jsonl: usage as CloudEvents 1.0, a line each; csv, parquet: usage; focus: charges as FOCUS 1.2 CSV."`
	From     string     `json:"from" maxLength:"40" example:"2026-11-01" doc:"The first UTC hour, as 2026-11-22, 2026-11-22T19 or RFC 3339."`
	To       string     `json:"to" maxLength:"40" example:"2026-12-01" doc:"The hour up to which, without it. All hours must be sealed, which they are 15 minutes after their end."`
	Tenant   string     `json:"tenant,omitempty" maxLength:"32" doc:"Absent: the token's; all tenants of an operator."`
	Instance string     `json:"instance,omitempty" maxLength:"64" doc:"Id or display name, as in paths. Absent: all."`
	AsOf     *time.Time `json:"as_of,omitempty" doc:"Leaves out corrections that were sealed later, so that an export that was made then comes out the same. Absent: a minute ago."`
	Names    bool       `json:"names,omitempty" doc:"The breakdown by users and topics too; needs usage:names."`
}

// ExportFile is one file of an export.
type ExportFile struct {
	Name string    `json:"name" example:"usage-2026-11-22.jsonl"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	ETag string    `json:"etag" doc:"For If-Range; the same as long as the bytes are."`

	Rows   *int64            `json:"rows,omitempty" doc:"Without the header line of CSV."`
	Bytes  *int64            `json:"bytes,omitempty"`
	SHA256 string            `json:"sha256,omitempty" doc:"Of its bytes, in hex."`
	Meters map[string]string `json:"meters,omitempty" doc:"Of usage: the sum of each meter, without the breakdown."`
	Costs  map[string]string `json:"costs,omitempty" doc:"Of charges: the sum of BilledCost, by currency."`
}

// Export says what an export is made of. Nothing of it is stored: the id has it all.
type Export struct {
	ID       string       `json:"id"`
	Format   string       `json:"format"`
	Tenant   string       `json:"tenant,omitempty" doc:"Absent: of all."`
	Instance string       `json:"instance,omitempty" doc:"Id; absent: of all."`
	From     time.Time    `json:"from"`
	To       time.Time    `json:"to"`
	AsOf     time.Time    `json:"as_of"`
	Names    bool         `json:"names"`
	Files    []ExportFile `json:"files" nullable:"false" doc:"One for each UTC day of usage, for each UTC month of charges. Rows, sums, bytes and hashes are in the manifest only (GET)."`
}
