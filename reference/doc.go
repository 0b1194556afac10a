// Package reference is the executable specification: the registry of
// spec/tla/Registry.tla as a pure state machine in Go.
//
// Every action of the specification is a pair of functions under the action's
// name: a guard, which names the first conjunct of the precondition that does
// not hold, and an effect, which returns the next value of the record. Both are
// pure: no I/O, no goroutines, and no clock but the reading they are given.
//
// [System] is the whole machine of the specification: the registry with nodes,
// clocks that disagree, crashes, lost answers and late writes, made of the same
// guards and effects. [System.Explore] searches it within bounds, and a test
// compares its graph with the one that TLC dumped, state by state and edge by
// edge.
//
// [Registry] puts the actions behind the contract's interfaces under one mutex,
// so that the conformance suite can judge the reference itself.
package reference
