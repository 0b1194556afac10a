// Package linearizability decides whether the contract explains a history:
// whether there is an order of atomic steps of the reference, consistent with
// real time and with the clocks, that gives exactly the answers that the clients
// of a registry were given. Package history records and keeps histories.
//
// [Check] gives the verdict, a [Stream] gives it while the history grows, [First]
// finds the first wrong answer. Package minimise makes a convicted history small,
// and package explain puts a conviction into words and draws its timeline.
//
// # The model
//
// The transition function is made of the guards and effects of package
// reference, the ones that carry the names of the specification's actions. It
// adds what a history leaves open:
//
//   - Clock readings. A grant reveals its reading, Expiry - TTL, which must be
//     one that the operation's handle made during the call. A refusal must be
//     explained by at least one reading of the call, by the very one if the
//     refusal tells it. For backends that take no clock a reading is only
//     known to lie in an interval; then every reading in it counts.
//   - Unknown outcomes. A settled one took effect between call and return or
//     never, an open or unfinished one at any time after its call or never. After
//     one that took effect the expiry is known only as an interval, until an
//     answer reveals it.
//
// Where the model must choose it always allows more, never less. So no history
// of a registry that keeps the contract is ever Illegal.
//
// # Partitions
//
// The search is per actor and per node. An actor's partition has all operations
// on it, and those membership operations that changed, or may have changed, who
// may claim: registrations, failures and deregistrations, answered or ambiguous,
// of the nodes that its claims and transfers name. Whether a failure was marked
// too early is not asked there; a node's own partition has all its membership
// operations and asks it.
//
// This is sound: take a linearization of the whole history and leave out the
// operations on other actors and nodes, those that changed nothing, and the
// last-seen times. What remains explains the partition, since no action reads
// what was left out. So if a partition has no linearization the history has none.
//
// It can miss little. Linearizability is local: were actors and nodes objects
// of their own, orders of the parts could always be merged into one of the whole.
// But a membership operation is in several partitions, and each may give it
// another place: one actor's claim is refused because the node had failed, a
// later claim of another actor succeeds because it had not yet, and the failure
// was in flight all the time. Whole-history mode ([Options.Whole]) keeps
// everything together and misses nothing, at the price of a search that only
// small histories can afford.
//
// # Listings
//
// A listing is not atomic. Each row becomes a read in its actor's or node's
// partition, within the call of its page. In a complete listing, one page or a
// chain of pages, an absent actor becomes a read too: at some instant between
// the first page's call and the last one's return it was not held by the node
// asked for. So does one that is listed twice.
//
// # Speed
//
// Most partitions need no search: a replay goes through their calls and returns
// once and finds an order that the model accepts (see replay.go). Only of the
// others is more asked, and only they are kept as events.
//
// First come checks that need no search, each a fact of every linearization:
// one record per version, tokens that never decrease, nothing older than what
// was answered before. Then versions serve as order hints: evidence tells which
// version each mutation made, and each partition is cut wherever every
// operation is known to stand before or after a version (see cut). The verdict
// is proved, and tested, to be the same as without. Porcupine searches the rest.
// Operations whose outcome is unknown are not ordered by it: they may take effect
// before any other that real time lets them precede (see unknown.go).
//
// A search that runs out of time, or in which unknown outcomes can have left more
// states than it can follow, ends in [Unknown], which is not a pass.
package linearizability
