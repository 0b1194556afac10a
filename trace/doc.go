// Package trace checks a recorded history against the specification itself: it
// orders the history's operations, replays them through the reference, and has
// TLC replay the same sequence through Registry.tla.
//
// [Linearize] finds the order. [Trace.Check] walks it through package reference
// and needs nothing else; [Trace.CheckTLC] writes it as a TLA+ module and asks
// TLC. Both say the same: which step is impossible, and what the specification
// answers there. A trace without operations is refused, never accepted.
package trace
