// Package proxy is the face that Kafka clients see: listeners, what load balancers say
// (PROXY protocol), TLS with the certificates of instances' own host names, SASL, and
// the walk of every exchange from the client to a broker of the pool and back. It
// gathers refused connections and says what each reason means ([Explain]).
//
// It decides nothing about names (proxy/rewrite), proofs and networks (auth) or
// brokers (upstream), and never looks into record bytes. A session asks
// auth.Authenticator.Check at every change of its instance and every other second;
// it never finds out for itself whether a client may stay.
package proxy
