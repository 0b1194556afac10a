// Package sany reads TLA+ modules through SANY, the parser and semantic analyser
// of the TLA+ tools.
//
// [Export] has SANY print the semantic graph of a module as XML; [Decode] turns
// that into typed expressions. Both know nothing of what a module is about, and
// neither interprets anything: names are resolved by SANY, every expression
// keeps its place in its module, and what [Decode] has no node for is an error
// that names the place.
package sany
