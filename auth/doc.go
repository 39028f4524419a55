// Package auth decides who a client is and what it may do. It owns credentials
// (SCRAM keys and keyed hashes, never passwords), the SASL conversations PLAIN, SCRAM-SHA-256 and
// SCRAM-SHA-512, the limit on failed attempts, and what an instance's ACLs mean
// ([Rules]; a session asks its [Guard], which sees every change at once).
//
// Three rules hold everywhere in it:
//
//   - One failure. A user that does not exist, a suspended instance, a wrong
//     password and an exceeded limit all end in [ErrFailed] and [ClientText].
//     Whatever an account lacks is replaced by a phantom credential that costs
//     the same work and answers with bytes of the same shape (phantom.go says
//     how far that holds for credentials that were made elsewhere). The reason is in
//     a [*Failure], for our log and metrics only.
//   - No secret outlives the step that read it: no password is stored, cached,
//     logged or put into an error.
//   - Every table is bounded, so that no peer can make the process grow.
//
// It never reads a socket, never answers a client and knows no Kafka frames:
// proxy carries the tokens. Which operations a request needs, and of what, is the
// table's to say (proxy/rewrite); the ACLs themselves are tenancy's.
package auth
