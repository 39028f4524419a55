// Package quota decides whether one piece of work may proceed now, and how long
// the next has to wait. It owns buckets, leases, decisions and the account of who
// was throttled and why. It never answers a client and knows no Kafka: package
// proxy turns a Decision into throttle_time_ms and a pause in reading.
//
// Quotas hold for an instance over all gateways together. A gateway spends from
// local buckets, by atomics alone; in the background it fills them by leases from
// one bucket for each limit in Redis (operations.md D.4).
package quota
