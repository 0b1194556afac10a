//go:build !fdb

package infdb

import "github.com/kelpie-registry/registry/examples/internal/counters"

// Elsewhere are the backings that a store can have beside files.
var Elsewhere []counters.Elsewhere
