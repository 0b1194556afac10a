//go:build !fdb

package main

import "github.com/kelpie-registry/registry/examples/internal/counters"

// elsewhere are the backings that a store can have beside files.
var elsewhere []counters.Elsewhere
