//go:build fdb && !race

package fdbtest

const raceEnabled = false
