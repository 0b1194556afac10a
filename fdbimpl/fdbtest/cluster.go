//go:build fdb && !fdbsim

package fdbtest

import (
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/internal/serverctl"
)

// Declared implements [conformance.Declarer]: with a server that can be stopped,
// what needs one.
func (Backend) Declared() []conformance.Capability {
	declared := []conformance.Capability{conformance.ClockControl, conformance.BatchRenew, conformance.Watch}
	if _, ok := serverctl.FromEnv(); ok {
		declared = append(declared, conformance.Restart, conformance.Faulty)
	}
	return declared
}

// WhyNot implements [conformance.Excused].
func (Backend) WhyNot(c conformance.Capability) string {
	if c == conformance.Restart || c == conformance.Faulty {
		return serverctl.Missing
	}
	return ""
}

func newCluster(b base) conformance.Cluster {
	if server, ok := serverctl.FromEnv(); ok {
		return newControlled(b, server)
	}
	return b
}
