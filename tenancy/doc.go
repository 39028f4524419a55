// Package tenancy holds the nouns that everything else is about: tenants'
// instances and their users, the namespace that keeps the instances of one pool
// apart, the [Store] that keeps them in Redis, and the [Directory], each
// gateway's in-memory copy that follows the store within milliseconds.
//
// It never speaks Kafka, never checks a password, never decides what anybody
// may do, and never touches the data path beyond [Directory.View].
//
// Redis is the source of truth while it has an opinion. It may be away, and it
// may come back empty; neither makes the directory forget an instance.
package tenancy
