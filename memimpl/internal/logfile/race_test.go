//go:build race

package logfile_test

// stride is which of the second faults are tried. Under the race detector, which has
// nothing to find here, it is every 31st; make test runs all without it.
const stride = 31
