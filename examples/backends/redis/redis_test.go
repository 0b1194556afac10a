package redis_test

import (
	"testing"

	client "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/backends/internal/redistest"
	"github.com/kelpie-registry/registry/examples/backends/internal/storetest"
	"github.com/kelpie-registry/registry/examples/backends/redis"
)

func TestConformance(t *testing.T) {
	storetest.Passes(t, storetest.Conformance(t, redistest.Store("redis", redistest.Durable...)))
}

func TestDurable(t *testing.T) {
	storetest.Passes(t, storetest.Durable(t, redistest.Store("redis", redistest.Durable...), conformance.Histories(20)))
}

func TestKilledUnderLoad(t *testing.T) {
	storetest.KilledUnderLoad(t, redistest.Store("redis", redistest.Durable...), 20)
}

func TestFaults(t *testing.T) {
	storetest.Passes(t, storetest.Faults(t, redistest.Store("redis", redistest.Durable...)))
}

// TestUnsettled: a script cannot be asked for; what was lost may still come
// (contract, section 3, on ErrAmbiguous).
func TestUnsettled(t *testing.T) {
	storetest.Settles(t, redistest.Store("redis", redistest.Durable...),
		storetest.Wanted{LostRequest: storetest.MayApply, LostAnswer: storetest.MayApply, ServerGone: storetest.MayApply})
}

// TestSnapshotsAreConvicted: by default Redis writes a snapshot every now and then,
// and what it acknowledged since is lost in a crash (contract, section 4,
// Durability). The same scripts, the same keys; only the server is set up otherwise.
func TestSnapshotsAreConvicted(t *testing.T) {
	report := storetest.Durable(t, redistest.Store("redis, snapshots only", "--save", "1 1"))
	for _, c := range report.Cases {
		require.Equal(t, conformance.Convicted, c.Verdict, c.ID())
	}
	require.Equal(t, conformance.Durability, report.Cases[0].Conviction.Rule)
}

// TestOpenRefusesClientsThatRetry: a repetition that the registry does not know
// of applies an operation twice. No server is asked.
func TestOpenRefusesClientsThatRetry(t *testing.T) {
	for _, o := range []*client.Options{
		{ContextTimeoutEnabled: true},
		{MaxRetries: -1},
	} {
		c := client.NewClient(o)
		_, err := redis.Open(t.Context(), c, "refused", registry.DefaultConfig(), registry.SystemClock())
		require.ErrorIs(t, err, registry.ErrInvalid)
		require.NoError(t, c.Close())
	}
}
