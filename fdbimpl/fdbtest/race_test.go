//go:build fdb && race

package fdbtest

// raceEnabled: the race detector makes everything several times slower.
const raceEnabled = true
