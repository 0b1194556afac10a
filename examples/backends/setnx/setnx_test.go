package setnx_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/backends/internal/redistest"
	"github.com/kelpie-registry/registry/examples/backends/internal/storetest"
	"github.com/kelpie-registry/registry/examples/backends/setnx"
)

// lock is a client of package redis whose handles lock instead.
type lock struct{ redistest.Client }

func (c lock) Open(cluster string, cfg registry.Config, _ registry.Clock) (registry.Handle, error) {
	members, err := c.Client.Open(cluster, cfg, registry.SystemClock())
	if err != nil {
		return nil, err
	}
	return setnx.Open(c.Client.Client, cluster, cfg, members), nil
}

// TestTheLockIsConvicted: the lock has no token, and its record does not outlive
// the tenure; the suite must find both. It is judged in real time: the lock's time
// is Redis's own.
func TestTheLockIsConvicted(t *testing.T) {
	store := redistest.Store("setnx", redistest.Durable...)
	dial := store.Dial
	store.Dial = func(addr string) (storetest.Client, error) {
		c, err := dial(addr)
		return lock{c.(redistest.Client)}, err
	}
	short := registry.Config{
		TTL: 200 * time.Millisecond, Grace: 80 * time.Millisecond, MaxClockSkew: 20 * time.Millisecond,
		FailureTimeout: 150 * time.Millisecond, AllowShortTTL: true,
	}
	report := storetest.Judge(t, storetest.RealTime(t, store, short), conformance.OnlySections("contract", "membership", "fencing"))
	broken := map[conformance.RuleID]bool{}
	for _, result := range report.Cases {
		if result.Conviction != nil {
			broken[result.Conviction.Rule] = true
		}
	}
	require.Contains(t, broken, conformance.TokenMonotonic)
	require.Contains(t, broken, conformance.RuleID("Release.granted"))
}
