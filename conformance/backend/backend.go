// Package backend describes what a registry implements to be judged by package
// conformance, which has the same names: [Backend] and [Cluster], and the optional
// powers beside them, each a small interface that the suite looks for.
package backend

import (
	"fmt"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
)

// Backend makes empty clusters of the implementation under judgement. New may
// be called many times and from several goroutines.
type Backend interface {
	// Name identifies the implementation in reports, for example "memimpl".
	Name() string

	// New returns a cluster that has never seen an actor or a node. The
	// configuration is valid; it may allow a TTL below registry.MinTTL.
	New(cfg registry.Config) (Cluster, error)
}

// Cluster is one registry service and the way to open handles on it.
type Cluster interface {
	// Open returns a handle for one node. The handle must take every reading
	// of the time from clock. A cfg that does not match the cluster's is
	// refused with registry.ErrConfigMismatch; one that is out of bounds
	// (Config.Validate) with registry.ErrInvalid before that.
	Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error)

	// Close frees the cluster. The suite has stopped using its handles.
	Close() error
}

// Restarter is a Cluster that can crash and come back on the same store:
// Restart ends every process at once, as kill -9 would, without a chance to
// flush, and starts again. Handles opened before are dead; the suite opens new ones.
// It may be called while operations are under way, as a process may be killed at any
// moment: these return soon or when their contexts end, and what they answer counts for
// nothing. Operations that had returned before the call must be found again.
type Restarter interface {
	Restart() error
}

// FaultInjector is a Cluster that can make its operations fail. SetFaults
// applies to the attempts that begin afterwards, on every handle; the zero
// Faults ends the trouble.
type FaultInjector interface {
	SetFaults(Faults)
}

// Faults are the probabilities, 0 to 1 per attempt of a mutating operation,
// of the troubles a store can have. Their sum is at most 1. The backend must
// make of each what the contract says: an error that tells the truth about
// the outcome, or an answer that it found out by evidence. Of attempts that read it may
// refuse as many: then it is seen that none is answered as if it had been looked.
type Faults struct {
	Seed        uint64  // decides which attempts suffer
	Unavailable float64 // the store refuses to work; nothing happened
	LostRequest float64 // nothing happened, but the caller cannot know
	LostAnswer  float64 // it happened, but the caller cannot know
	Late        float64 // it may still happen after the caller was told that the outcome is unknown
}

// String tells the faults in words, with their probabilities.
func (f Faults) String() string {
	var list []string
	for _, kind := range []struct {
		p    float64
		what string
	}{{f.Unavailable, "are refused"}, {f.LostRequest, "lose the request"}, {f.LostAnswer, "lose the answer"}, {f.Late, "are late"}} {
		if kind.p > 0 {
			list = append(list, fmt.Sprintf("%.0f %% %s", 100*kind.p, kind.what))
		}
	}
	if list == nil {
		return "no faults"
	}
	return "faults: of the attempts to write " + strings.Join(list, ", ")
}

// Seeder is a Cluster that can be given state which operations would take too
// long to reach: tokens, versions and epochs near the end of their range.
//
// Seed enters registrations and records as the latest of their node and actor,
// durable where the cluster is. The cluster has none under these names, and no
// operation is in flight. Each record's holder, if it has one, is among the nodes, in
// that epoch. An error that matches errors.ErrUnsupported says that the store
// cannot hold these numbers; what they are for is then not looked at.
type Seeder interface {
	Seed(nodes []registry.Node, records []registry.Placement) error
}

// Stored is a Backend whose registry keeps its state in a store that the report
// names. Store is asked once, after the last case.
type Stored interface {
	Store() Store
}

// Store is what a judgement ran on.
type Store struct {
	Name string `json:"name"` // with its version and address, as "FoundationDB 7.3.79, cluster file /etc/fdb.cluster"
	Real bool   `json:"real"` // the store itself, and not a stand-in for it
}

// RealTime is a Backend whose handles do not take the time from the clock they
// are given, for example because a server reads its own. Cases that need exact
// readings are then reported as not executable, and the others really wait:
// RealTimeConfig returns the short times to do it with.
type RealTime interface {
	RealTimeConfig() registry.Config
}

// Speaker is a Backend whose contract differs from the registry's: a lock, a lease
// server, an actor directory. It is judged in its dialect. Operations that the dialect
// does not have are not called; they return errors.ErrUnsupported.
//
// What is declared and not there is told as "could be stricter", and fails nothing.
// What is there and not declared is convicted, and the text names the difference that
// would allow it.
type Speaker interface {
	Dialect() dialect.Dialect
}

// Capability is a power beyond the required interfaces.
type Capability string

// The capabilities. ClockControl and the two of the handle need no interface
// of this package: a Backend that is not [RealTime] has ClockControl, a handle
// that is a registry.BatchRenewer or registry.Watcher has BatchRenew or Watch.
const (
	ClockControl Capability = "clock-control" // handles read the clock they are given
	BatchRenew   Capability = "batch-renew"   // registry.BatchRenewer
	Watch        Capability = "watch"         // registry.Watcher
	Restart      Capability = "restart"       // Restarter
	Faulty       Capability = "faults"        // FaultInjector
	YieldPoints  Capability = "yield-points"  // Scheduled
	Instances    Capability = "instances"     // RegisterNode knows a repetition by NodeInfo.Instance; the suite tries it
	Seeding      Capability = "seed"          // Seeder
	Purging      Capability = "purge"         // registry.Purger, of a store that forgets; the suite tries it
)

// Capabilities lists all of them.
func Capabilities() []Capability {
	return []Capability{ClockControl, BatchRenew, Watch, Restart, Faulty, YieldPoints, Instances, Seeding, Purging}
}

// Excused is a Backend that says why it is without a capability: a reason for the
// report, "" for the usual one. It excuses nothing that is declared.
type Excused interface {
	WhyNot(Capability) string
}

// Declarer is a Backend that says what it can do. The suite compares the
// declaration with what it finds: a declared power that is missing breaks rule
// capability.declared and fails the run; a power found but not declared is tested
// and noted, and fails nothing. A Backend that does not implement Declarer counts
// as declaring what it has.
type Declarer interface {
	Declared() []Capability
}

// Scheduled is a Cluster whose operations can be stopped on their way, so that
// the suite decides who goes on.
//
// SetYield gives every handle of the cluster a function to call at its yield
// points, with the point's name; nil, as in the beginning, means that nothing is
// called. It is called before any operation of the schedule begins.
//
// A yield point is where another operation may come in between: the gap after a
// read, before a lock, around a transaction. It must be reached in the goroutine
// that made the call, and with no lock held and no transaction open that another
// operation waits for: yield returns only when the suite lets the operation go
// on, and the suite lets one operation run at a time. A backend that yields
// under a lock is not convicted, the case ends undecided and says who waited.
type Scheduled interface {
	SetYield(yield func(point string))
}
