//go:build fdb && !fdbsim

package fdbtest

import (
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
)

// Declared implements [conformance.Declarer].
func (Backend) Declared() []conformance.Capability {
	return []conformance.Capability{conformance.ClockControl, conformance.BatchRenew, conformance.Watch}
}

func newCluster(d *testdb.DB) conformance.Cluster { return base{d} }
