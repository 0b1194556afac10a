// Package prove shows that invariants of TLA+ modules are inductive and imply
// properties, without a bound on anything: for any sets of nodes and actors and
// any values of the numbers.
//
// A folder's [ManifestFile] lists the proofs. For each, SANY exports the module
// (package sany), the translator evaluates the initial predicate, the actions,
// the invariant and the properties symbolically, and a solver (package smt) is
// asked for a countermodel of every obligation:
//
//	the initial states satisfy the invariant
//	the invariant implies each state predicate
//	a step from a state that satisfies it leads to one that does
//	a step from a state that satisfies it is one that each step property allows
//
// An obligation is proved when the solver says unsat. A proof is worth what its
// premises are, so that an entry also says what must fail: with a thinner
// margin, and without each conjunct of the guards and of the invariant, a
// countermodel is looked for and must be found. Every action must have a step, and of
// what a table of steps says nothing can be left out ([Proof.Tables]).
//
// # What is trusted
//
// SANY, that its export is the module; the translator in this package, that a
// formula means what the module says; the solver, when it says unsat. The
// translator is compared with TLC: evaluated in the states of the committed
// state graphs, its formulas give the same steps. What it finds satisfiable is
// checked by nobody else, and needs to be by nobody: a countermodel is shown.
//
// # What the translator knows
//
// Numbers, strings, truth values, records, tuples, functions and sets; the
// bounded quantifiers, LET, IF, CASE, EXCEPT with @, set and function
// constructors, UNCHANGED, [A]_v, INSTANCE with substitutions, operators with
// parameters, also recursive ones whose end is evident; +, -, *, comparisons, ..
// and Cardinality; sequences of a known length; CHOOSE of constants. Everything
// else is an error with its place in the module, such as recursive functions,
// temporal operators but the outer [] of a step property, and operators as
// arguments.
package prove
