// Package stategraph reads the state graphs that TLC dumps and keeps them as
// committed data, so that the equality of the reference with the specification
// can be shown without Java.
//
// A dump holds a ghost variable that carries the last action with its arguments
// (module RegistryGraph). [ReadDot] projects it away: the states that differ in
// the ghost alone become one, and the ghost of an edge's target becomes the
// edge's label. The result is canonical: values are printed in one way, states
// and edges are sorted, so that two dumps of one model give the same bytes.
package stategraph
