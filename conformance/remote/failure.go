package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelpie-registry/registry"
)

// reasons are the names of errors on the wire, the most telling first: an
// ambiguous error may also match its cause.
var reasons = []struct {
	name string
	err  error
}{
	{"ErrAmbiguous", registry.ErrAmbiguous},
	{"ErrInvalid", registry.ErrInvalid},
	{"ErrClosed", registry.ErrClosed},
	{"ErrNodeUnknown", registry.ErrNodeUnknown},
	{"ErrNodeFailed", registry.ErrNodeFailed},
	{"ErrNodeExists", registry.ErrNodeExists},
	{"ErrNodeAlive", registry.ErrNodeAlive},
	{"ErrFenced", registry.ErrFenced},
	{"ErrNotHeld", registry.ErrNotHeld},
	{"ErrLapsed", registry.ErrLapsed},
	{"ErrHeld", registry.ErrHeld},
	{"ErrConfigMismatch", registry.ErrConfigMismatch},
	{"ErrUnavailable", registry.ErrUnavailable},
	{"Canceled", context.Canceled},
	{"DeadlineExceeded", context.DeadlineExceeded},
}

// failureOf writes an error down. One that is none of the contract's keeps its
// text only.
func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Reason: "Error", Text: err.Error()}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			f.Reason = r.name
			break
		}
	}
	var ambiguous *registry.AmbiguousError
	var invalid *registry.InvalidError
	var refusal *registry.Refusal
	var mismatch *registry.ConfigMismatchError
	switch {
	case errors.As(err, &ambiguous):
		f.MayStillApply, f.Text = ambiguous.MayStillApply, ambiguous.Cause.Error()
	case errors.As(err, &invalid):
		f.Field, f.Text = invalid.Field, invalid.Problem
	case errors.As(err, &mismatch):
		f.Field, f.Store, f.Given = mismatch.Field, mismatch.Store, mismatch.Given
	case errors.As(err, &refusal):
		f.Record, f.Node, f.Now = recordOf(refusal.Placement), nodeOf(refusal.Node), refusal.Now
	}
	return f
}

// remoteError is an error that a child told: its own words, and the error of
// the contract that it named.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// err is the inverse of failureOf. The second result is a breach of the
// protocol.
func (f *failure) err() (error, error) {
	if f == nil {
		return nil, nil
	}
	kind, known := error(nil), f.Reason == "Error"
	for _, r := range reasons {
		if r.name == f.Reason {
			kind, known = r.err, true
		}
	}
	if !known {
		return nil, fmt.Errorf("unknown reason %q", f.Reason)
	}
	switch kind {
	case registry.ErrAmbiguous:
		return &registry.AmbiguousError{MayStillApply: f.MayStillApply, Cause: errors.New(f.Text)}, nil
	case registry.ErrInvalid:
		return &registry.InvalidError{Field: f.Field, Problem: f.Text}, nil
	case registry.ErrConfigMismatch:
		return &registry.ConfigMismatchError{Field: f.Field, Store: f.Store, Given: f.Given}, nil
	case registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive,
		registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed, registry.ErrHeld:
		p, err := f.Record.placement()
		return &registry.Refusal{Reason: kind, Placement: p, Node: f.Node.node(), Now: f.Now}, err
	}
	return &remoteError{f.Text, kind}, nil
}
