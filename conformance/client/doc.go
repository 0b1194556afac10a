// Package client judges clients that keep leases: the part of a program that
// claims an actor, serves it, renews its lease, and stops in time. A right
// registry is given; the client is what may be wrong.
//
//	func TestClient(t *testing.T) {
//		client.Run(t, func(n client.Node) (client.Client, error) { return myclient.New(n) })
//	}
//
// A [Factory] makes a client for one node, from a handle, a clock and a function
// by which the client says that it serves. Several of them run in one bubble of
// virtual time ([testing/synctest]), on links that delay, lose, duplicate and
// reorder, a registry that is down, slow or gives no clear answer, clocks that
// step, processes that pause, die and come back. What they say that they serve is
// judged by package serving; how they keep their leases by the rules client.…
// of [conformance.ClientRules].
//
// # The promise
//
// No right client is convicted. The suite goes by what a client says and by the
// answers that it got; a stated time is longer than what any sensible client needs
// (see [Times]). What time cannot show is not judged: a process that was paused
// between its check of the clock and its write cannot know, and only the check of
// the token where the write lands helps.
//
// # What a client must keep to, to be judged
//
// It does all its waiting by package time, contexts and channels of its own, so
// that time can be virtual, and holds no mutex while it calls the handle: time
// does not pass in a bubble while a goroutine waits for a mutex. It asks the handle
// with contexts that end: a lost message is no error, it is silence.
//
// A pause of a process is not quite real: its timers run on. The answers of its
// calls wait until the process goes on, and so does what it says about serving;
// what it stops in the pause counts as stopped in the instant in which it wakes.
package client
