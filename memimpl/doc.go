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
// Without a file a Store is volatile: it ends with its process, and tokens,
// versions and epochs then begin again. Whatever outlives the process (actor state
// in a database guarded by tokens, a node on another machine that still believes
// in a lease) must not be guarded by tokens of a volatile store.
//
// # Durability
//
// With [OnFile] a Store is what a bbolt file holds. Whatever was answered is on
// stable storage: not only what a write acknowledges but everything a lookup, a
// refusal, a listing or a watch tells, because a crash after the answer must not
// take it back. Operations that run at the same time share a sync. The file
// survives kill -9 at any point; it survives a power loss as far as the operating
// system and the disk keep the promise of fdatasync.
//
// One store at a time can have the file open. The file holds the cluster's bounds,
// and cannot be opened with others. When it is opened, every page and every value
// that is in use is checked, and the values together against a sum of them all; a
// file that fails is refused with [ErrDamaged] and left as it is, never repaired
// by forgetting. What is not detected: a whole file put back to an older state,
// such as one restored from a backup, which takes tokens and epochs back with it.
//
// When a commit fails and nothing was written (a full disk), what it was to hold
// is undone, its operations fail with [registry.ErrUnavailable], and the store
// goes on. When the very last step of a commit fails, nobody can know its outcome:
// its operations fail with a settled [registry.ErrAmbiguous], and the store shows
// only what it knows to be on the file and refuses every change until it is closed
// and opened anew. After an error of a sync, the operating system may hold in
// memory what the disk has not; the machine should be restarted first.
//
// # Cost
//
// An operation in memory takes well under a microsecond and one or two short
// locks, shared by few actors. On a file a write takes two syncs of the disk,
// however many share them; reading what is on the file already takes none.
//
// Records and registrations are never deleted, as the contract demands, so memory
// grows with the number of actors ever claimed: about 230 bytes and the name for
// each (measured with 200,000), on a file up to 170 more for each that was written
// since it was opened.
// Refused operations, lookups and abandoned waits leave nothing behind.
package memimpl
