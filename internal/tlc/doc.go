// Package tlc runs the TLA+ model checker TLC and reads what it says.
//
// It has three layers. [Find] locates a pinned TLC, fetching it through the
// Maven client when there is none, and reports [ErrNoTLC] where a machine cannot
// run it, so that a caller says what was not run. [Run] checks one module under
// one [Config] and returns a typed [Output]: which verdict, which property, how
// many states, which actions fired, and the counterexample. [CheckManifest]
// runs every configuration that a specification folder's manifest lists and
// compares each verdict exactly with the one expected.
//
// A model checker that ran the wrong thing agrees with everybody. The package
// therefore refuses whatever TLC would let pass in silence: [Lint] rejects an
// assignment to a constant that the module does not declare (TLC ignores it, so
// that a mutation would test nothing), a success needs both exit code 0 and
// TLC's own message, and a manifest must refute every property it relies on and
// every guard conjunct and bug variant that its modules name.
//
// # Conventions of the modules
//
// A module whose guards can be dropped one at a time declares
//
//	CONSTANTS Dropped, Bugs
//	Guard(name, P) == name \in Dropped \/ P
//	Bug(name)      == name \in Bugs
//
// and writes each conjunct as Guard("Name", ...) and each variant as
// Bug("F1"). A manifest entry with "drop" or "bug" sets the constant; every such
// name in a module must have an entry that refutes it.
package tlc
