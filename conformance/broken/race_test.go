//go:build race

package broken_test

// raceEnabled: schedules run one goroutine at a time, so the race detector finds
// nothing in them and makes them ten times slower; make unit runs them without.
const raceEnabled = true
