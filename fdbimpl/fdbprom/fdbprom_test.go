package fdbprom

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl"
)

func TestMetrics(t *testing.T) {
	o := New("app")
	require.NoError(t, prometheus.NewPedanticRegistry().Register(o))
	for _, err := range []error{nil, &registry.Refusal{Reason: registry.ErrHeld}, &registry.AmbiguousError{},
		fmt.Errorf("%w: x", registry.ErrUnavailable), context.DeadlineExceeded, context.Canceled} {
		ctx, end := o.Begin(t.Context(), "Claim")
		o.Attempted(ctx, "Claim", time.Millisecond, 1020)
		o.Attempted(ctx, "Claim", time.Millisecond, 0)
		o.Settled(ctx, "Claim", time.Millisecond, fdbimpl.FateApplied)
		end(err)
	}
	assert.Equal(t, 6, testutil.CollectAndCount(o, "app_fdb_operation_seconds"), "one for each outcome")
	assert.Equal(t, 2, testutil.CollectAndCount(o, "app_fdb_attempt_seconds"), "one for each code")
	assert.Equal(t, 1, testutil.CollectAndCount(o, "app_fdb_settle_seconds"))
	problems, err := testutil.CollectAndLint(o)
	require.NoError(t, err)
	assert.Empty(t, problems)
}
