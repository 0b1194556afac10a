//go:build fdb && fdbsim

package main

import "testing"

func TestNoIncrementIsLostInFoundationDB(t *testing.T) { run(t, "fdbsim") }
