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
// With [OnFile] a Store is what a registry file holds. Whatever was answered is on
// stable storage: not only what a write acknowledges but everything a lookup, a
// refusal, a listing or a watch tells, because a crash after the answer must not
// take it back. Operations that run at the same time share a sync. The file
// survives kill -9 at any point; it survives a power loss as far as the operating
// system and the disk keep the promise of fdatasync.
//
// The file is a log of changes. Every byte of it is covered by a checksum that
// includes all bytes before it, and the newest commit is marked apart from the log.
// A file that fails a check is refused with [ErrDamaged] and left as it is, never
// repaired by forgetting. What is not detected: a whole file put back to an older
// state, such as one restored from a backup, which takes tokens and epochs back with
// it; and damage to the newest commit alone in a file that was not closed, which
// looks like a crash in the middle of that commit.
//
// When it is opened the state is written into a fresh file and synced before the
// first answer, and again whenever the log has become twice as long as the state
// takes (at least 16 MiB); commits go on meanwhile. The file therefore needs a
// directory that the store may write to, with space for the state a second time.
//
// One store at a time can have the file open. The file holds the cluster's bounds,
// and cannot be opened with others. Every commit looks whether the file is still the
// one at its path, as long as it was left, and locked. One that was removed,
// replaced, truncated or overwritten ends the store: its changes are refused with
// [ErrChanged], and so is every later operation, reads included.
//
// When a commit fails before its sync (a full disk), it is taken back, its
// operations fail with [registry.ErrUnavailable], and the store goes on. When the
// sync itself fails, nobody can know its outcome: its operations fail with a settled
// [registry.ErrAmbiguous], and the store shows only what it knows to be on the file
// and refuses every change until it is closed and opened anew, which writes what the
// file shows then into a fresh one.
//
// docs/durability.md says what holds under which failure. Registry files need an
// operating system with flock: Linux, macOS or a BSD.
//
// # Cost
//
// An operation in memory takes well under a microsecond. What changes something takes
// one short lock, shared by few actors, and what only looks takes none. On a file a
// write takes one sync of the disk, however many share it; reading what is on the file
// already takes none.
//
// Records and registrations are never deleted, as the contract demands, unless [Retain]
// lets [Registry.Purge] forget records above a floor. So memory
// grows with the number of actors ever claimed: about 200 bytes and the name for
// each (measured with 200,000), on a file up to 170 more for each that was written
// since it was opened.
// Refused operations, lookups and abandoned waits leave nothing behind.
package memimpl
