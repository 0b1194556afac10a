// Package reference is the executable specification: the registry of
// spec/tla/Registry.tla as a pure state machine in Go.
//
// Every action of the specification is a pair of functions under the action's
// name: a guard, which names the first conjunct of the precondition that does
// not hold, and an effect, which returns the next value of the record. Both are
// pure: no I/O, no goroutines, and no clock but the reading they are given.
//
// [Registry] puts the actions behind the contract's interfaces under one mutex,
// so that the conformance suite can judge the reference itself.
package reference
