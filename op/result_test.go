package op_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// Every error of the contract has its Go name as its reason, and the reason
// names that error: one to one, in errors.go's order for the refusals.
func TestReasons(t *testing.T) {
	values := map[op.Reason]error{
		"ErrInvalid": registry.ErrInvalid, "ErrClosed": registry.ErrClosed,
		op.NodeUnknown: registry.ErrNodeUnknown, op.NodeFailed: registry.ErrNodeFailed,
		op.NodeExists: registry.ErrNodeExists, op.NodeAlive: registry.ErrNodeAlive,
		op.Fenced: registry.ErrFenced, op.NotHeld: registry.ErrNotHeld, op.Lapsed: registry.ErrLapsed, op.Held: registry.ErrHeld,
		"ErrConfigMismatch": registry.ErrConfigMismatch, "ErrUnavailable": registry.ErrUnavailable, "ErrAmbiguous": registry.ErrAmbiguous,
		"Canceled": context.Canceled, "DeadlineExceeded": context.DeadlineExceeded,
	}
	for reason, err := range values {
		require.Equal(t, reason, op.ReasonOf(err))
		require.Equal(t, reason, op.ReasonOf(fmt.Errorf("wrapped: %w", err)))
		require.Equal(t, err, reason.Err())
	}

	source, err := os.ReadFile("../errors.go")
	require.NoError(t, err)
	declared := regexp.MustCompile(`(?m)^\t(Err\w+) += errors\.New`).FindAllSubmatch(source, -1)
	require.Len(t, declared, len(values)-2, "and the two errors of contexts")
	var refusals []op.Reason
	for _, d := range declared {
		reason := op.Reason(d[1])
		require.Contains(t, values, reason)
		if reason.Refusal() {
			refusals = append(refusals, reason)
		}
	}
	require.Equal(t, refusals, op.Refusals())
	require.Len(t, refusals, 8)

	require.Empty(t, op.ReasonOf(nil))
	require.Equal(t, op.NotListed, op.ReasonOf(errors.New("boom")))
	for _, r := range []op.Reason{"", op.NotListed, "ErrNo", "errHeld"} {
		require.NoError(t, r.Err())
		require.False(t, r.Refusal())
	}
}

// An error says what it says about the effect. An ambiguous one may wrap
// anything, so it comes first, and only one that says that it is settled is.
func TestFailed(t *testing.T) {
	held := &registry.Refusal{Reason: registry.ErrHeld, Placement: registry.Placement{Token: 3, Version: 5}, Now: 7}
	alive := &registry.Refusal{Reason: registry.ErrNodeAlive, Node: registry.Node{LastSeen: 9}}
	for _, tc := range []struct {
		err  error
		want op.Result
	}{
		{nil, op.Result{Outcome: op.OK}},
		{held, op.Result{Outcome: op.Refused, Reason: op.Held, Record: held.Placement, Now: 7}},
		{fmt.Errorf("wrapped: %w", held), op.Result{Outcome: op.Refused, Reason: op.Held, Record: held.Placement, Now: 7}},
		{alive, op.Result{Outcome: op.Refused, Reason: op.NodeAlive, Node: alive.Node}},
		{registry.ErrLapsed, op.Result{Outcome: op.Refused, Reason: op.Lapsed}},
		{&registry.InvalidError{Field: "f"}, op.Result{Outcome: op.Invalid, Reason: "ErrInvalid"}},
		{registry.ErrClosed, op.Result{Outcome: op.Closed, Reason: "ErrClosed"}},
		{registry.ErrUnavailable, op.Result{Outcome: op.Unavailable, Reason: "ErrUnavailable"}},
		{errors.Join(registry.ErrUnavailable, context.Canceled), op.Result{Outcome: op.Cancelled, Reason: "Canceled"}},
		{context.Canceled, op.Result{Outcome: op.Cancelled, Reason: "Canceled"}},
		{context.DeadlineExceeded, op.Result{Outcome: op.Cancelled, Reason: "DeadlineExceeded"}},
		{&registry.AmbiguousError{Cause: held}, op.Result{Outcome: op.Settled, Reason: "ErrAmbiguous"}},
		{&registry.AmbiguousError{MayStillApply: true, Cause: context.Canceled}, op.Result{Outcome: op.Open, Reason: "ErrAmbiguous"}},
		{&registry.AmbiguousError{}, op.Result{Outcome: op.Settled, Reason: "ErrAmbiguous"}},
		{registry.ErrAmbiguous, op.Result{Outcome: op.Open, Reason: "ErrAmbiguous"}},
		{&registry.ConfigMismatchError{Field: "TTL"}, op.Result{Outcome: op.Unlisted, Reason: "ErrConfigMismatch"}},
		{errors.New("boom"), op.Result{Outcome: op.Unlisted, Reason: op.NotListed}},
	} {
		tc.want.Err = tc.err
		require.Equal(t, tc.want, op.Failed(tc.err), "%v", tc.err)
	}
}

// What an outcome says about the effect, as the contract has it.
func TestOutcomes(t *testing.T) {
	for _, o := range op.Outcomes() {
		require.Equal(t, o == op.Open || o == op.Pending || o == op.Unlisted, o.Unbounded(), o)
		require.Equal(t, o == op.Settled || o.Unbounded(), o.Ambiguous(), o)
	}
	require.Len(t, op.Outcomes(), 10)
}

// An outcome that is known without its error has one that ends so again.
func TestErrorsOfOutcomes(t *testing.T) {
	for _, o := range op.Outcomes() {
		err := o.Err("the text")
		switch o {
		case op.OK, op.Pending:
			require.NoError(t, err, o)
		case op.Refused:
		default:
			require.ErrorContains(t, err, "the text")
			require.Equal(t, o, op.Failed(err).Outcome)
		}
	}
	require.NoError(t, op.Outcome("fine").Err("x"))
}
