// Package e2e holds the stories: what people do with Weir, with the one binary,
// real Apache Kafka, real Redis and stock clients. The stories need the build
// tag real and what package parts brings; `./task test` runs them. What hostile
// people do needs neither: it runs on a gateway composed in process, and with
// the tag on real Kafka too.
//
// Stories that begin with t.Parallel run two at a time, after all others: they assert
// what is counted, not how long it takes.
package e2e
