// Package metering counts what instances use, keeps the counts through any crash,
// and seals them hour by hour into usage records that nobody can change unseen.
//
// It owns the meters, the counters of this gateway (a shared memory-mapped file, and
// the spool on disk behind it), their copies in Redis, and the sealed records. It
// never knows what anything costs (package billing), never reads a record's bytes
// (package rewrite counts them), and never waits for Redis or a disk on the data path.
//
// The promise: acknowledged to the client ≤ metered ≤ appended to the log.
package metering
