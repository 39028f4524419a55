// Package upstream owns the pools: which brokers a physical Kafka cluster has,
// what all of them speak, whether they are well, authenticated connections to
// them, and the map from topic ids to names.
//
// It never sees a tenant's request or answer: the connections that Dial returns
// belong to the caller. It knows no namespaces, never retries anything that a
// broker may have received, and never lets one broker's silence delay what
// concerns another: no lock is held over I/O, and only a background probe
// waits for a broker that is known to be down.
//
// proxy dials and reads versions, ids and brokers; admin purges; gateway runs
// the pools. All methods of Pool may be called by any goroutine.
//
// Who does what at run time: Pool.Run owns one monitor (monitor.go), which is
// the only writer of the snapshot (snapshot.go), and one resolver of topic ids
// (topics.go). Control requests go through a kgo client of the pool's own
// (control.go); dials, SASL and probes are this package's (dial.go, sasl.go).
package upstream
