// Package parts brings and starts the real parts that stories run on: Apache
// Kafka from Maven Central, Redis and HAProxy from Debian, clients from PyPI and npm. It is
// test machinery: nothing of Weir imports it, it imports nothing of Weir.
package parts
