package conformance_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/memimpl/memtest"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

func TestReference(t *testing.T) { conformance.Run(t, referenceBackend{}) }

// allBut leaves sections out.
func allBut(names ...string) conformance.Option {
	var rest []string
	for _, s := range conformance.Sections() {
		if !slices.Contains(names, s.Name) {
			rest = append(rest, s.Name)
		}
	}
	return conformance.OnlySections(rest...)
}

// innocent fails the test when a backend that keeps the contract is convicted
// or a case is undecided.
func innocent(t *testing.T, b conformance.Backend, opts ...conformance.Option) *conformance.Report {
	t.Helper()
	r, err := conformance.Judge(t.Context(), b, opts...)
	require.NoError(t, err)
	acquits(t, r)
	return r
}

func acquits(t *testing.T, r *conformance.Report) {
	t.Helper()
	for _, c := range r.Cases {
		switch c.Verdict {
		case conformance.Convicted:
			t.Errorf("%s\n%v", c.ID(), c.Conviction)
		case conformance.Unknown:
			t.Errorf("%s: %s", c.ID(), c.Reason)
		}
	}
	assert.True(t, r.Passed())
}

// The written promise: right registries are never convicted, whatever the seed.
func TestNoFalseConvictions(t *testing.T) {
	for _, b := range []conformance.Backend{referenceBackend{}, memtest.Volatile{}} {
		innocent(t, b, conformance.Seeds(2, 3, 5), conformance.Level(conformance.Quick), conformance.OnlySections("random", "concurrent", "fencing"))
	}
}

// The optional powers: a store that crashes and one in trouble, both honest.
func TestHonestTrouble(t *testing.T) {
	r := innocent(t, troubledBackend{}, conformance.Seeds(1, 2), conformance.OnlySections("durable", "faults"))
	for _, c := range r.Cases {
		if c.Verdict == conformance.Skipped {
			assert.Contains(t, []string{"durable/batches-under-way", "durable/shown-watches", "faults/watches"}, c.ID(), "it has neither batches nor watches")
		}
	}
}

// A backend that reads its own clock: what needs exact readings is reported as
// not executed, the rest really waits. What a machine too busy left undecided beside
// fifteen others is judged alone.
func TestRealTime(t *testing.T) {
	r, err := conformance.Judge(t.Context(), clocklessBackend{}, conformance.Parallel(16), conformance.Histories(2))
	require.NoError(t, err)
	for i, c := range r.Cases {
		if c.Verdict == conformance.Unknown {
			t.Logf("%s, and is judged alone: %s", c.ID(), c.Reason)
			alone := innocent(t, clocklessBackend{}, conformance.Parallel(1), conformance.Histories(2),
				conformance.OnlyCases(regexp.MustCompile("^"+c.ID()+"$")))
			r.Cases[i] = alone.Cases[0]
		}
	}
	acquits(t, r)
	for _, c := range r.Cases {
		if c.Verdict == conformance.Skipped && c.ID() == "contract/claim-boundaries" {
			assert.Equal(t, "needs exact clock readings, and the backend is RealTime", c.Reason)
		}
	}
	assert.Greater(t, r.Count(conformance.Pass), 30)
	assert.Positive(t, r.Count(conformance.Skipped))
	saysMargins(t, r)
}

// saysMargins: which margins the judgement allowed for is in each form of its report.
func saysMargins(t *testing.T, r *conformance.Report) {
	want := conformance.Margins{
		Store: 8 * time.Millisecond, Reading: 8 * time.Millisecond, Boundary: 16 * time.Millisecond,
		Call: 50 * time.Millisecond, Expiry: 108 * time.Millisecond,
	}
	require.NotNil(t, r.RealTime)
	assert.Equal(t, want, *r.RealTime)
	var page, text bytes.Buffer
	require.NoError(t, r.WriteHTML(&page))
	assert.Contains(t, page.String(), "<dt>In real time</dt><dd>a claim waits 8ms after expiry and grace; readings are within 8ms")
	require.NoError(t, r.WriteJSON(&text))
	again, err := conformance.ReadReport(&text)
	require.NoError(t, err)
	assert.Equal(t, r.RealTime, again.RealTime)
}

// slowBatches is a clocklessBackend on a machine that is so busy that a lease lapses
// between the call of a batch and the reading by which it is decided.
type slowBatches struct{ clocklessBackend }

func (b slowBatches) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := b.clocklessBackend.New(cfg)
	return slowCluster{c}, err
}

type slowCluster struct{ conformance.Cluster }

func (c slowCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.Cluster.Open(cfg, clock)
	return slowHandle{h, cfg}, err
}

type slowHandle struct {
	registry.Handle
	cfg registry.Config
}

func (h slowHandle) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	<-time.After(h.cfg.TTL + 2*h.cfg.Grace)
	return h.Handle.(registry.BatchRenewer).RenewBatch(ctx, leases)
}

func TestSlowBatchIsUndecided(t *testing.T) {
	r := judgeOne(t, slowBatches{}, "handles/arguments")
	assert.Equal(t, conformance.Unknown, r.Verdict, "%v", r.Conviction)
	assert.Contains(t, r.Reason, "too long beside a TTL of 400ms")
}

// busy is a store with a clock of its own, on a machine that keeps some of the calls
// waiting, before their step or after it, for up to half of a lease. Its margin is the ε
// that one clock needs, and not 2ε.
type busy struct{ clocklessBackend }

func (busy) Dialect() dialect.Dialect { return dialect.Dialect{StoreClock: true} }

func (b busy) New(cfg registry.Config) (conformance.Cluster, error) {
	own := cfg
	own.MaxClockSkew /= 2
	s, err := reference.NewStore(own)
	return busyCluster{s, own, new(atomic.Uint64)}, err
}

type busyCluster struct {
	store *reference.Store
	own   registry.Config
	calls *atomic.Uint64
}

func (busyCluster) Close() error { return nil }

func (c busyCluster) Open(cfg registry.Config, _ registry.Clock) (registry.Handle, error) {
	own := cfg
	own.MaxClockSkew /= 2
	inner, err := c.store.Open(own, registry.SystemClock())
	if err != nil {
		return nil, err
	}
	waits := func() {
		if rng := rand.New(rand.NewPCG(c.calls.Add(1), 0)); rng.IntN(12) == 0 {
			<-time.After(time.Duration(rng.IntN(200)) * time.Millisecond)
		}
	}
	return op.Handle(func(ctx context.Context, call op.Call) op.Result {
		waits()
		r := op.Do(ctx, inner, &call)
		waits()
		return r
	}, op.Powers{}), nil
}

// A busy machine convicts nobody: what came too near a boundary, or took too long, is
// not decided. A registry that is idle is decided.
func TestABusyMachineConvictsNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for many leases")
	}
	r, err := conformance.Judge(t.Context(), busy{}, conformance.Parallel(32), conformance.Histories(1), conformance.Level(conformance.Quick),
		conformance.OnlySections("contract", "membership", "fencing", "concurrent"))
	require.NoError(t, err)
	for _, c := range r.Cases {
		if c.Conviction != nil {
			t.Errorf("%s\n%s", c.ID(), c.Conviction)
		}
	}
	t.Logf("%d passed, %d not decided, %d not executed", r.Count(conformance.Pass), r.Count(conformance.Unknown), r.Count(conformance.Skipped))
	assert.Positive(t, r.Count(conformance.Unknown), "it was busy enough")
	assert.Positive(t, r.Count(conformance.Pass))
}
