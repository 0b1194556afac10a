//go:build fdb && fdbsim && !race

package fdbimpl

const raceEnabled = false
