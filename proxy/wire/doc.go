// Package wire owns Kafka's frames and headers: how bytes on a connection
// become requests and responses. It knows sizes and positions, never tenants.
package wire
