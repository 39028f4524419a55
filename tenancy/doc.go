// Package tenancy holds the nouns that everything else is about: tenants'
// instances with their users, ACLs and quotas, how they are reached and by what their
// clients prove themselves ([Access]: networks, issuers, client CAs, host names, API
// keys), the namespace that keeps the instances of one pool apart and the aliases
// that are its exceptions, the [Store] that keeps them in Redis, with the secrets
// among them sealed ([Sealer]), and the [Directory], each gateway's in-memory copy
// that follows the store within milliseconds.
//
// It never speaks Kafka, never checks a proof, never decides what anybody
// may do (package auth reads the ACLs and compiles an Access), and never touches the data path beyond
// [Directory.View].
//
// Redis is the source of truth while it has an opinion. It may be away, and it
// may come back empty; neither makes the directory forget an instance.
package tenancy
