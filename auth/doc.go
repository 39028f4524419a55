// Package auth decides who a client is, whether it may come from where it is, and
// what it may do. It owns credentials (SCRAM keys and keyed hashes, never passwords),
// the SASL conversations PLAIN (passwords and API keys), SCRAM-SHA-256, SCRAM-SHA-512
// and OAUTHBEARER, what client certificates prove ([Authenticator.Certify]), the
// issuers' keys that tokens are checked with, the limits on failed attempts and
// unfinished handshakes, and what an instance's ACLs mean ([Rules]; a session asks
// its [Guard], which sees every change at once).
//
// Four rules hold everywhere in it:
//
//   - One failure. A user that does not exist, a suspended instance, a wrong
//     password and an exceeded limit all end in [ErrFailed] and [ClientText].
//     Whatever an account lacks is replaced by a phantom credential that costs
//     the same work and answers with bytes of the same shape (phantom.go says
//     how far that holds for credentials that were made elsewhere). The reason is in
//     a [*Failure], for our log and metrics only.
//   - No secret outlives the step that read it: no password is stored, cached,
//     logged or put into an error.
//   - A session lives as long as what let it in: the secret, key, token, certificate
//     and network. [Proof] is what of it must hold, [Authenticator.Check] asks.
//   - Every table is bounded, so that no peer can make the process grow.
//
// It never reads a client's socket, never answers a client and knows no Kafka frames:
// proxy carries the tokens. The one thing that it dials are the key sets of issuers
// that the operator allows ([AllowedIssuer]), never for what a token says. Which operations a request needs, and of what, is the
// table's to say (proxy/rewrite); the ACLs themselves are tenancy's.
package auth
