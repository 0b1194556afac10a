package registry

import (
	"errors"
	"fmt"
	"time"
)

// The errors of the contract, to be matched with [errors.Is]. The first eleven
// stand in order of precedence where several apply.
var (
	ErrInvalid = errors.New("invalid argument") // detail: *InvalidError
	ErrClosed  = errors.New("handle is closed")

	// Refusals; detail: *Refusal. Nothing was changed.
	ErrNodeUnknown = errors.New("node is not registered")
	ErrNodeFailed  = errors.New("node is failed")
	ErrNodeExists  = errors.New("node is already registered")
	ErrNodeAlive   = errors.New("node was seen too recently to be failed")
	ErrFenced      = errors.New("fenced: a higher token was granted")
	ErrNotHeld     = errors.New("actor is not held under this lease")
	ErrLapsed      = errors.New("lease has run out")
	ErrHeld        = errors.New("actor is held")

	// ErrConfigMismatch refuses to open a handle; detail: *ConfigMismatchError.
	ErrConfigMismatch = errors.New("configuration differs from the store's")

	// ErrUnavailable: the store could not be asked, and nothing happened.
	ErrUnavailable = errors.New("registry is unavailable")

	// ErrAmbiguous: the operation may or may not have happened; detail:
	// *AmbiguousError, without which it may still apply. An error that matches a context's error but not
	// ErrAmbiguous says that nothing happened.
	ErrAmbiguous = errors.New("outcome is unknown")
)

// Refusal is the detail of a refusal by the state of the registry: the reason
// and what was found. It is atomic: Placement and Node are what the refusing
// step saw. ErrHeld always carries the placement; the other details may be zero
// where a backend cannot tell, but what is there is true.
type Refusal struct {
	Reason    error     // ErrNodeUnknown .. ErrHeld; what errors.Is matches
	Placement Placement // for ErrFenced, ErrNotHeld, ErrLapsed and ErrHeld: the actor's record; zero when there is none
	Node      Node      // for the ErrNode… reasons: the latest registration of the node; zero when there is none
	Now       Instant   // the clock reading of the refused attempt; 0 where none was read or the backend does not tell
}

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Error says what was found as well as what was wanted.
func (r *Refusal) Error() string {
	switch r.Reason {
	case ErrNodeUnknown, ErrNodeFailed, ErrNodeExists, ErrNodeAlive:
		if r.Node.Ref.IsZero() {
			return r.Reason.Error() + " (never registered)"
		}
		return fmt.Sprintf("%v (found %v %v, last seen %v)", r.Reason, r.Node.Ref, r.Node.Status, r.Node.LastSeen)
	}
	p := r.Placement
	if p.Version == 0 {
		return r.Reason.Error() + " (never claimed)"
	}
	return fmt.Sprintf("%v (found %v held by %v, token %d, version %d, expiry %v)", r.Reason, p.Actor, p.Holder, p.Token, p.Version, p.Expiry)
}

// InvalidError is the detail of ErrInvalid. It is reported before anything is touched.
type InvalidError struct {
	Field   string // what was wrong
	Problem string // in which way
}

// Error returns "invalid argument: field problem".
func (e *InvalidError) Error() string { return ErrInvalid.Error() + ": " + e.Field + " " + e.Problem }

// Unwrap returns ErrInvalid.
func (e *InvalidError) Unwrap() error { return ErrInvalid }

// ConfigMismatchError is the detail of ErrConfigMismatch.
type ConfigMismatchError struct {
	Field        string
	Store, Given time.Duration
}

// Error names the field and both values.
func (e *ConfigMismatchError) Error() string {
	return fmt.Sprintf("%v: %s is %v in the store, %v was given", ErrConfigMismatch, e.Field, e.Store, e.Given)
}

// Unwrap returns ErrConfigMismatch.
func (e *ConfigMismatchError) Unwrap() error { return ErrConfigMismatch }

// AmbiguousError is the detail of ErrAmbiguous. There are two kinds. A settled
// one has been decided by the time the error is returned, only the answer is
// missing: reading the record tells. One that may still apply can yet take
// effect at any later time, and reading the record proves nothing.
type AmbiguousError struct {
	MayStillApply bool
	Cause         error // what went wrong; may be a context's error
}

// Error names the kind and the cause.
func (e *AmbiguousError) Error() string {
	kind := "settled"
	if e.MayStillApply {
		kind = "may still apply"
	}
	return fmt.Sprintf("%v (%s): %v", ErrAmbiguous, kind, e.Cause)
}

// Unwrap returns ErrAmbiguous and the cause.
func (e *AmbiguousError) Unwrap() []error { return []error{ErrAmbiguous, e.Cause} }
