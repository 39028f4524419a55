// Package e2e holds the stories: what people do with Weir, with the one binary,
// real Apache Kafka, real Redis and stock clients. The stories need the build
// tag real and what package parts brings; `./task test` runs them.
package e2e
