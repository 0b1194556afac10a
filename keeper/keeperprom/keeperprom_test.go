package keeperprom_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/keeper"
	"github.com/kelpie-registry/registry/keeper/keeperprom"
	"github.com/kelpie-registry/registry/reference"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := keeperprom.New("app")
		require.NoError(t, prometheus.NewPedanticRegistry().Register(o))
		cfg := registry.DefaultConfig()
		store, err := reference.NewStore(cfg)
		require.NoError(t, err)
		h, err := store.Open(cfg, registry.SystemClock())
		require.NoError(t, err)
		n, err := h.RegisterNode(t.Context(), "n", registry.NodeInfo{}, registry.IfAbsent)
		require.NoError(t, err)
		k, err := keeper.New(h, cfg, n.Ref, keeper.Options{Observer: o, Seed: 1})
		require.NoError(t, err)
		defer k.Close()
		a, b := registry.ActorID{Namespace: "a", Name: "a"}, registry.ActorID{Namespace: "a", Name: "b"}
		first, err := k.Acquire(t.Context(), a)
		require.NoError(t, err)
		_, err = k.TryAcquire(t.Context(), a)
		require.ErrorIs(t, err, registry.ErrHeld)
		_, err = k.Acquire(t.Context(), b)
		require.NoError(t, err)
		require.NoError(t, first.Release(t.Context()))
		time.Sleep(12 * time.Second) // one renewal of b
		require.NoError(t, h.Close())
		time.Sleep(cfg.TTL)
		require.NoError(t, testutil.CollectAndCompare(o, strings.NewReader(`
# HELP app_keeper_tenures_degraded Tenures whose renewals keep failing.
# TYPE app_keeper_tenures_degraded gauge
app_keeper_tenures_degraded 0
# HELP app_keeper_tenures_ended_total Tenures that ended, by cause.
# TYPE app_keeper_tenures_ended_total counter
app_keeper_tenures_ended_total{cause="closed"} 1
app_keeper_tenures_ended_total{cause="released"} 1
`), "app_keeper_tenures_degraded", "app_keeper_tenures_ended_total"))
		require.Equal(t, 2, testutil.CollectAndCount(o, "app_keeper_claim_seconds"), "ok and held")
		require.Equal(t, 2, testutil.CollectAndCount(o, "app_keeper_renewal_seconds"), "ok and closed")
	})
}
