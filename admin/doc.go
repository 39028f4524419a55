// Package admin is the management face: REST under /v1, metrics and health.
//
// It owns bearer tokens and roles, the codes that a failed request answers with
// (problem.go), the reaper that finishes deletions, and the instances' principals in
// pools that want them ([Identities]). Instances, users and their settings live in
// tenancy.Store; admin never keeps state of its own, never speaks Kafka to a
// client, and never lets a password, a token or a private key into a log, an error or a metric.
//
// A caller sees the instances of its own tenant only: anything else is answered
// as if it did not exist. The HTTP library (huma) is set up by huma.go; the files of
// one noun each only list their routes with it.
// The gateway composes it (New, NewReaper, NewToken); cmd/weir shares its bodies
// (admin/api) and the client files (admin/clientfiles).
//
//go:generate env WEIR_GOLDEN=1 go test -count=1 .
package admin
