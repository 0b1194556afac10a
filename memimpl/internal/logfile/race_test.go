//go:build race

package logfile_test

// stride is how many of the second faults are tried. Under the race detector, which
// has nothing to find here, it is every seventh; make test runs all without it.
const stride = 7
