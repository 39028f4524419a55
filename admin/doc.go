// Package admin is the management face: REST under /v1, metrics and health.
//
// It owns bearer tokens and roles, the codes that a failed request answers with
// (problem.go), and the reaper that finishes deletions. Instances and users live
// in tenancy.Store; admin never keeps state of its own, never speaks Kafka to a
// client, and never lets a password or a token into a log, an error or a metric.
//
// A caller sees the instances of its own tenant only: anything else is answered
// as if it did not exist. The HTTP library (huma) is known to huma.go alone.
// The gateway composes it (New, NewReaper, NewToken); cmd/weir shares its bodies
// (admin/api) and the client files (admin/clientfiles).
//
//go:generate env WEIR_GOLDEN=1 go test -count=1 .
package admin
