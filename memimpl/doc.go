// Package memimpl is a registry in the memory of one process, for production use
// where that scope is enough: one process that hosts several nodes' worth of work,
// a single-machine runtime, or tests that need a fast and right registry.
//
// # Scope
//
// All handles opened on one [Store] see one registry: every operation is
// linearizable among them, under any concurrency and any clocks within the bound.
// A Store is known only to the process that made it. Two processes, each with a
// Store of its own, have two registries that know nothing of each other and will
// both grant the same actor: in a cluster of processes the registry must live in
// one of them and be served to the others, or be one on a shared database.
//
// A Store is volatile: it ends with its process, and tokens, versions and epochs
// then begin again. Whatever outlives the process (actor state in a database
// guarded by tokens, a node on another machine that still believes in a lease)
// must not be guarded by tokens of a volatile store.
//
// # Cost
//
// Records and registrations are never deleted, as the contract demands, so memory
// grows with the number of actors ever claimed: about 350 bytes and the name for each.
// Refused operations, lookups and abandoned waits leave nothing behind.
package memimpl
