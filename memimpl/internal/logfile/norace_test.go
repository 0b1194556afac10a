//go:build !race

package logfile_test

// stride is which of the second faults are tried: all.
const stride = 1
