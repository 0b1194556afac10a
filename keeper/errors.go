package keeper

import (
	"errors"
	"fmt"

	"github.com/kelpie-registry/registry"
)

// Causes of a loss that the registry does not report itself; the others are
// the registry's errors (ErrFenced, ErrNotHeld, ErrLapsed, ErrClosed).
var (
	// ErrDeadline: the lease could not be renewed before the local deadline.
	ErrDeadline = errors.New("lease was not renewed before its deadline")
	// ErrReleased: the holder gave the tenure up, by Release or Transfer.
	ErrReleased = errors.New("tenure was given up")
	// ErrNodeOver: the node's registration is over (failed, superseded,
	// deregistered) or its keeper was closed.
	ErrNodeOver = errors.New("node's registration is over")
)

// ErrBadAnswer: the registry answered what the contract does not allow as an
// answer, such as a lease of another actor. Such an error matches
// registry.ErrAmbiguous as well: what happened is not known. It reaches observers
// and the logger; the keeper asks again.
var ErrBadAnswer = errors.New("registry gave an answer that cannot be one")

// ErrClockSetBack: the node's wall clock reads more than twice the clock skew less
// than an earlier reading plus the time elapsed since. The keeper, or agent, begins
// no tenure until the clock has caught up: of a clock that is wrong by more than
// the bound no lease can be judged. When the present reading is the right one and
// the earlier one was not, restart the process.
var ErrClockSetBack = errors.New("node's wall clock was set back")

// LostError says why a tenure ended. It is the [context.Cause] of the tenure's
// context. It matches [ErrLost] and the cause.
type LostError struct {
	Lease    registry.Lease // as last known
	Cause    error
	Degraded bool // it was reported as degraded, and never as healthy again
}

// ErrLost matches every [LostError].
var ErrLost = errors.New("tenure is over")

// Error names the tenure and the cause.
func (e *LostError) Error() string {
	return fmt.Sprintf("%v: %v token %d of %v: %v", ErrLost, e.Lease.Actor, e.Lease.Token, e.Lease.Holder, e.Cause)
}

// Unwrap returns ErrLost and the cause.
func (e *LostError) Unwrap() []error { return []error{ErrLost, e.Cause} }
