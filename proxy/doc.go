// Package proxy is the face that Kafka clients see: listeners, TLS, SASL, and
// the walk of every exchange from the client to a broker of the pool and back.
// It decides nothing about names (proxy/rewrite), passwords (auth) or brokers
// (upstream), and never looks into record bytes.
package proxy
