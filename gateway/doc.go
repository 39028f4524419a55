// Package gateway is the composition root: it turns one configuration file, or
// the flags of `weir dev`, into a running process and stops it in order.
//
// It owns the configuration and its checks, the lifetime of every component,
// certificate reload, and what `weir dev` embeds (brokers, Redis, a CA, the
// files that clients read). It never speaks Kafka to a client, decides nothing
// about a tenant, and nothing below it knows that it exists. cmd/weir calls it.
package gateway
