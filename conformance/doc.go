// Package conformance judges whether an implementation of a single-activation
// actor registry keeps the contract of package registry.
//
// A backend's author writes one small factory, a [Backend], and one test:
//
//	func TestConformance(t *testing.T) { conformance.Run(t, mybackend{}) }
//
// [Run] makes every case a subtest; [Judge] does the same without package
// testing and returns a [Report]. A conviction names the rule of the contract,
// the action and guard of the specification, what was found and what would have
// been allowed, the shortest history that shows it, and the line that replays it.
//
// # What a verdict means
//
// No false convictions: a backend that keeps the contract, opened with clocks
// within the configured skew, is never convicted, whatever the schedule and
// whatever the seed. Every conviction is an answer that no execution of the
// specification can give, or a call that panicked or never came back. What the
// suite cannot decide (a store that is down, a search that ran out of time) is
// reported as unknown, and what it did not execute as skipped, each with its
// reason; neither counts as a pass.
//
// A pass proves less: no counterexample was found among the histories that ran.
// It says nothing about other configurations, longer histories, clocks that
// leave the configured bound, faults that the backend cannot inject, or
// what a store does to its disks. How far the histories went is in the report
// ([Report.Extent]): the highest token, the most records, the longest silence.
// [Level] sets how much is spent on it; go test -short means [Quick].
//
// # Powers
//
// What a cluster can do beyond opening handles is told by small optional
// interfaces ([Restarter], [FaultInjector], [Scheduled], [Seeder] on a Cluster; [RealTime],
// [Declarer] on a Backend; registry.BatchRenewer and registry.Watcher on a
// handle). Declared powers are tested, and undeclared ones that work are
// reported as well.
package conformance
