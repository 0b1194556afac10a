// Package explain puts a wrong history into words: what was found, what would have
// been right, the rule that is broken and its place in the specification, the usual
// cause, and the operations as a table. The suite, the checker of saved histories and
// replays use it, so the same history is told in the same way.
//
// [Of] explains what a check has found; [New] begins a conviction that something
// else has found.
package explain
