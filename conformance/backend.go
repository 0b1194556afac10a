package conformance

import (
	"context"

	"github.com/kelpie-registry/registry/conformance/backend"
)

// What a registry implements to be judged; package backend describes it. Backend
// and Cluster are required, the others are optional powers.
type (
	// Backend makes empty clusters of the implementation under judgement.
	Backend = backend.Backend
	// Cluster is one registry service and the way to open handles on it.
	Cluster = backend.Cluster
	// Restarter is a Cluster that can crash and come back on the same store.
	Restarter = backend.Restarter
	// FaultInjector is a Cluster that can make its operations fail.
	FaultInjector = backend.FaultInjector
	// Faults are the probabilities of the troubles that a store can have.
	Faults = backend.Faults
	// Fault is one of the troubles of Faults.
	Fault = backend.Fault
	// Seeder is a Cluster that can be given state which operations would take too long to reach.
	Seeder = backend.Seeder
	// Scheduled is a Cluster whose operations can be stopped on their way.
	Scheduled = backend.Scheduled
	// Stored is a Backend whose registry keeps its state in a store that the report names.
	Stored = backend.Stored
	// Store is what a judgement ran on.
	Store = backend.Store
	// RealTime is a Backend whose handles do not take the time from the clock they are given.
	RealTime = backend.RealTime
	// Speaker is a Backend whose contract differs from the registry's, and says how.
	Speaker = backend.Speaker
	// Excused is a Backend that says why it is without a capability.
	Excused = backend.Excused
	// Declarer is a Backend that says what it can do.
	Declarer = backend.Declarer
	// Capability is a power beyond the required interfaces.
	Capability = backend.Capability
)

// The capabilities.
const (
	ClockControl = backend.ClockControl // handles read the clock they are given
	BatchRenew   = backend.BatchRenew   // registry.BatchRenewer
	Watch        = backend.Watch        // registry.Watcher
	Restart      = backend.Restart      // Restarter
	Faulty       = backend.Faulty       // FaultInjector
	YieldPoints  = backend.YieldPoints  // Scheduled
	Instances    = backend.Instances    // RegisterNode knows a repetition by NodeInfo.Instance
	Seeding      = backend.Seeding      // Seeder
	Purging      = backend.Purging      // registry.Purger, of a store that forgets
)

// The faults.
const (
	FaultUnavailable = backend.FaultUnavailable
	FaultLostRequest = backend.FaultLostRequest
	FaultLostAnswer  = backend.FaultLostAnswer
	FaultLate        = backend.FaultLate
)

// Suffers tells the suite that the call made with ctx suffers the fault, so that texts
// name it.
func Suffers(ctx context.Context, f Fault) { backend.Suffers(ctx, f) }

// HearFaults returns a context of which hear is told what [Suffers] says.
func HearFaults(ctx context.Context, hear func(Fault)) context.Context {
	return backend.HearFaults(ctx, hear)
}

// Capabilities lists all of them.
func Capabilities() []Capability { return backend.Capabilities() }
