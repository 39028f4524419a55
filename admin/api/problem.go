package api

import "strings"

// Problem is an error as RFC 9457 (application/problem+json) writes it, with
// Weir's members. It is an error to Go.
type Problem struct {
	Type      string       `json:"type" format:"uri" doc:"Where the code is explained."`
	Title     string       `json:"title" doc:"The code in words; the same for every occurrence."`
	Status    int          `json:"status" doc:"HTTP status."`
	Code      string       `json:"code" doc:"What failed. Never changes its meaning: programs may rely on it."`
	Detail    string       `json:"detail" doc:"What failed this time, in one sentence."`
	Errors    []FieldError `json:"errors,omitempty" doc:"Every mistake that was found in the request."`
	Retryable bool         `json:"retryable" doc:"Whether the same request may succeed later."`
	Try       string       `json:"try,omitempty" doc:"A command that helps."`
	RequestID string       `json:"request_id,omitempty" doc:"Names this request in the gateway's log."`
}

// FieldError is one mistake. What was sent is not repeated: it may be a secret.
type FieldError struct {
	Location string `json:"location" doc:"Where, e.g. body.admin_user.name."`
	Message  string `json:"message"`
}

// ProblemBase and a code are the type of a Problem: where the code is explained.
const ProblemBase = "https://weir.example/errors/"

// ProblemContentType is the media type of a Problem.
const ProblemContentType = "application/problem+json"

// Error is the detail with every mistake.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	for _, e := range p.Errors {
		b.WriteString("; " + e.Location + ": " + e.Message)
	}
	return b.String()
}

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType replaces the media type of JSON by the problem's own.
func (p *Problem) ContentType(string) string { return ProblemContentType }
