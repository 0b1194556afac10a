//go:build !race

package broken_test

const raceEnabled = false
