//go:build fdb && fdbsim && race

package fdbimpl

// raceEnabled: the race detector makes a schedule several times slower.
const raceEnabled = true
