// Package keeper is the client side of a single-activation registry: it keeps
// the leases of a node, loses them loudly, and waits for others' without
// stampeding.
//
// A registry alone cannot keep two nodes from serving an actor at once: the
// node that loses a lease must notice, and stop, before anybody else can hold
// it. The keeper's rules for that are
//
//   - the local deadline is counted from a clock reading made before the request
//     was sent, so that it is never later than what the registry recorded;
//   - a lease is renewed every third of its length, and retried sooner, with
//     backoff, when that fails;
//   - at the deadline, or when the registry says that the tenure is over, the
//     tenure's context is cancelled with the cause. The deadline lies a safety
//     margin before the lease's end, and nobody else can claim the actor before
//     the end plus grace plus twice the clock skew;
//   - a belief must hold by two clocks: the wall clock, in which expiries are
//     written, and one that never steps. Both parts of a deadline are reckoned from
//     the recorded expiry by one reading, and a reading that proves that the wall
//     clock was set back beyond its bound is not believed;
//   - an answer that the contract rules out is an unknown outcome: it is logged
//     and asked for again, never acted upon;
//   - contexts are cancelled first. Observers, loggers and callbacks are told
//     afterwards, in order, on a goroutine of their own: however slow, they delay
//     nothing but what they are told next;
//   - whatever asks the registry pauses between two calls, bounds each call, and
//     ends with its context.
//
// What no client can promise is that its own process runs: a goroutine may be
// paused between [Tenure.Check] and the write that follows. Writes that must
// never be stale carry the tenure's token and are checked where they land
// (Registry.Validate, or a guard inside the caller's transaction).
//
// Package keepertest is a registry that answers wrongly, for tests.
package keeper
