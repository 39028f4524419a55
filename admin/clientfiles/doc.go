// Package clientfiles writes and reads the files with which stock Kafka clients
// connect to an instance: client.properties (Java), kcat.conf (librdkafka),
// client.env (everything else) and ca.pem.
//
// It owns their syntax and its escaping. It never opens a connection, and it
// never prints a password: errors name the file and the field only. The gateway
// calls Write for `weir dev`, cmd/weir for `weir instance create`; cmd/weir
// reads them back with Load.
package clientfiles
