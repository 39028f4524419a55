// Package rewrite says what each Kafka API means for a tenant. It owns the one
// table of request keys and versions that a tenant may send (table.go), and for
// each key how every field that names something is treated, on the way to the
// broker and back: names get and lose the instance's prefix, topic ids are held
// against the pool's id map, addresses and the cluster id become the gateway's,
// error texts are cleaned, "all" becomes a list. What is not in the table does
// not exist for a client; what a rewrite does not know how to treat is refused.
// A name is authorised where it is mapped (access.go), and every answer passes the
// tripwire before it leaves (tripwire.go).
//
// There is one file per API key, NN_name.go; keys that no tenant may use and that
// are only answered are in denied.go. Produce, Fetch and ShareFetch walk the body
// and copy the records; all others go through kmsg (typed.go), after the body
// has been walked by its layout (layout.go). fields.tsv classifies every field of
// every key, and a test fails for a field that has no line. ACLs, users and quotas
// (29 to 31, 48 to 51) are answered from the Store and never reach the pool.
//
// It never opens a connection, never reads a record batch, never decides who a
// client is, what the ACLs mean (package auth) or whether it may proceed now, and
// never writes a log: package proxy does what a Plan says and closes the connection
// upon an Error.
//
//go:generate env WEIR_GOLDEN=1 go test -count=1 -run TestCompatibilityPage .
package rewrite
