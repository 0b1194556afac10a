// Package linearizability records what clients asked of a registry and what
// they were answered, and decides whether some order of atomic steps of the
// reference explains it.
//
// A [Recorder] wraps handles and clocks and yields a [History]; [WriteHistory]
// and [ReadHistory] keep one as JSON Lines; [Check] gives the verdict.
package linearizability
