package conformance_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/sound"
)

func only(id string) conformance.Option {
	return conformance.OnlyCases(regexp.MustCompile("^" + id + "$"))
}

// judgeOne returns the result of one case.
func judgeOne(t *testing.T, b conformance.Backend, id string, opts ...conformance.Option) conformance.CaseResult {
	t.Helper()
	r, err := conformance.Judge(t.Context(), b, append(opts, only(id))...)
	require.NoError(t, err)
	require.Len(t, r.Cases, 1)
	return r.Cases[0]
}

// A panic of the backend is a conviction with its trace, not a crash of the suite:
// in the case's goroutine and in a client's.
func TestPanicIsConvicted(t *testing.T) {
	b := twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.release = func(context.Context, registry.Lease) error { panic("no such lease, boom") }
	})}}
	for _, id := range []string{"contract/release", "concurrent/hot-actor"} {
		c := judgeOne(t, b, id)
		require.Equal(t, conformance.Convicted, c.Verdict, id)
		assert.Equal(t, conformance.CallsReturn, c.Conviction.Rule)
		assert.Contains(t, c.Conviction.Found, "panic: no such lease, boom")
		assert.Contains(t, c.Conviction.Found, "twist_test.go", "the trace leads to the backend")
	}
}

// A call that does not return is left behind and convicted.
func TestHangIsConvicted(t *testing.T) {
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	b := twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.renew = func(context.Context, registry.Lease) (registry.Lease, error) {
			<-forever
			return registry.Lease{}, registry.ErrClosed
		}
	})}}
	for _, id := range []string{"contract/renew-grants", "concurrent/hot-actor"} {
		c := judgeOne(t, b, id, conformance.CallTimeout(time.Second)) // a busy machine is slow
		require.Equal(t, conformance.Convicted, c.Verdict, id)
		assert.Equal(t, conformance.CallsReturn, c.Conviction.Rule)
		assert.Regexp(t, `Renew\(.* token 1\) has not returned after 2s`, c.Conviction.Found)
	}
}

// A store that is down convicts nobody and passes nothing.
func TestUnavailableIsUndecided(t *testing.T) {
	b := twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.claim = func(context.Context, registry.ActorID, registry.NodeRef, registry.ClaimID) (registry.Lease, error) {
			return registry.Lease{}, fmt.Errorf("dialling: %w", registry.ErrUnavailable)
		}
	})}}
	c := judgeOne(t, b, "contract/claim-grants")
	assert.Equal(t, conformance.Unknown, c.Verdict)
	assert.Contains(t, c.Reason, "dialling: registry is unavailable (tried 3 times)")
}

// Of a store that never answers a call of some kind, every case that needs one says so in
// the same words, and only the first of them tries again.
func TestSilenceIsToldOnce(t *testing.T) {
	b := twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.renew = func(context.Context, registry.Lease) (registry.Lease, error) {
			return registry.Lease{}, fmt.Errorf("dialling: %w", registry.ErrUnavailable)
		}
	})}}
	r, err := conformance.Judge(t.Context(), b, only("(contract/(claim-grants|renew-grants|renew-boundaries)|fencing/after-reclaim)"), conformance.Parallel(1))
	require.NoError(t, err)
	var reasons []string
	for _, c := range r.Cases {
		reasons = append(reasons, c.Reason)
	}
	const silent = "the store answers no call of Renew: all that were made failed, the last with: dialling: registry is unavailable"
	assert.Equal(t, []string{"", silent + " (tried 3 times)", silent, silent}, reasons)
}

// ErrUnavailable promises that nothing happened; the promise is checked.
func TestUnavailableMustBeTrue(t *testing.T) {
	b := twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
			_, _ = b.Handle.Claim(ctx, a, n, id)
			return registry.Lease{}, registry.ErrUnavailable
		}
	})}}
	c := judgeOne(t, b, "contract/claim-grants")
	require.Equal(t, conformance.Convicted, c.Verdict)
	assert.Equal(t, conformance.AmbiguousTruth, c.Conviction.Rule)
}

// declaring declares what it is told to.
type declaring struct {
	referenceBackend
	declared []conformance.Capability
}

func (d declaring) Declared() []conformance.Capability { return d.declared }

// Capabilities are compared both ways.
func TestCapabilities(t *testing.T) {
	r, err := conformance.Judge(t.Context(), declaring{declared: []conformance.Capability{conformance.Watch}}, only("contract/watch"))
	require.NoError(t, err)
	problems, notes := map[conformance.Capability]string{}, map[conformance.Capability]string{}
	for _, c := range r.Capabilities {
		problems[c.Capability], notes[c.Capability] = c.Problem, c.Note
	}
	assert.Equal(t, "declared, but the handles do not implement registry.Watcher", problems[conformance.Watch])
	assert.Empty(t, problems[conformance.ClockControl], "an undeclared power fails nothing")
	assert.Equal(t, "found, but not declared", notes[conformance.ClockControl])
	assert.Empty(t, notes[conformance.Restart])
	declared := r.Rules[slices.IndexFunc(r.Rules, func(rule conformance.RuleResult) bool { return rule.Rule == conformance.Declared })]
	assert.Equal(t, conformance.Convicted, declared.Verdict)
	assert.False(t, r.Passed(), "a contradiction is no pass")
	assert.Equal(t, conformance.Skipped, r.Cases[0].Verdict)
	assert.Equal(t, "the handles do not implement registry.Watcher", r.Cases[0].Reason)
}

// What a store in trouble can do is found out all the same, where it cannot be opened at
// once as where the first answer is lost: what it declares is no contradiction.
func TestTroubleHidesNoCapability(t *testing.T) {
	for _, name := range []string{"first-calls-fail", "opens-at-the-second-try"} {
		v, found := sound.Find(name)
		require.True(t, found)
		b := declaringToo{v.Backend(), []conformance.Capability{conformance.Instances, conformance.Watch}}
		r, err := conformance.Judge(t.Context(), b, only("membership/register-repeats"))
		require.NoError(t, err)
		for _, c := range r.Capabilities {
			assert.Empty(t, c.Problem, "%s %s", name, c.Capability)
		}
		assert.Equal(t, conformance.Pass, r.Cases[0].Verdict, "%s: %s", name, r.Cases[0].Reason)
	}
}

// declaringToo declares what another backend can do.
type declaringToo struct {
	conformance.Backend
	declared []conformance.Capability
}

func (d declaringToo) Declared() []conformance.Capability { return d.declared }

// A backend that ignores its clock without saying so is found out.
func TestClockControlIsTested(t *testing.T) {
	b := twistedBackend{twist: twist{clock: func() func(registry.Clock) registry.Clock {
		return func(registry.Clock) registry.Clock { return registry.SystemClock() }
	}}}
	c := judgeOne(t, b, "contract/own-clock")
	assert.Equal(t, conformance.Convicted, c.Verdict)
}

// The seed of a conviction replays it in the first history.
func TestReplayBySeed(t *testing.T) {
	b := twistedBackend{twist: twist{config: func(c *registry.Config) { c.FailureTimeout = max(c.FailureTimeout-1, 2*c.MaxClockSkew+1) }}}
	c := judgeOne(t, b, "random/everything", conformance.Seeds(7))
	require.Equal(t, conformance.Convicted, c.Verdict)
	again := judgeOne(t, b, "random/everything", conformance.Seeds(c.Conviction.Seed), conformance.Histories(1))
	require.Equal(t, conformance.Convicted, again.Verdict)
	assert.Equal(t, 1, again.Conviction.HistoryNo)
	assert.Equal(t, c.Conviction.History, again.Conviction.History, "the same minimal history")
	assert.Contains(t, c.Conviction.Reproduce, fmt.Sprintf("--seed %d", c.Conviction.Seed))
}

func TestOptions(t *testing.T) {
	for _, o := range []conformance.Option{
		conformance.Seeds(), conformance.Histories(-1), conformance.OnlySections("contrakt"), conformance.Parallel(0),
		conformance.CallTimeout(0), conformance.Config(registry.Config{}), conformance.Duration(-1),
	} {
		_, err := conformance.Judge(t.Context(), referenceBackend{}, o)
		assert.ErrorIs(t, err, registry.ErrInvalid)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := conformance.Judge(ctx, referenceBackend{})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, len(r.Cases), r.Count(conformance.Skipped)+r.Count(conformance.Unknown), "what was not executed is no pass")
	assert.Positive(t, r.Count(conformance.Unknown), "nor is what was to be executed a skip")
	assert.True(t, errors.Is(err, context.Canceled))
}

// Every case is announced once and reported once, and the counts add up.
func TestProgress(t *testing.T) {
	started, done := map[string]int{}, map[string]int{}
	last := 0
	r, err := conformance.Judge(t.Context(), referenceBackend{}, conformance.OnlySections("contract", "fencing"), conformance.Progress(func(e conformance.Event) {
		if e.Result == nil {
			started[e.Section+"/"+e.Case]++
			return
		}
		done[e.Result.ID()]++
		assert.Equal(t, last+1, e.Done)
		last = e.Done
	}))
	require.NoError(t, err)
	assert.Len(t, started, len(r.Cases))
	assert.Equal(t, started, done)
	assert.Equal(t, len(r.Cases), last)
	for _, c := range r.Cases {
		assert.Positive(t, c.Duration, c.ID())
		if c.Verdict == conformance.Pass {
			assert.Positive(t, c.Histories, c.ID())
			assert.Positive(t, c.Operations, c.ID())
		}
	}
}

// A drawing case goes on with further seeds until the duration is over.
func TestDuration(t *testing.T) {
	once := judgeOne(t, referenceBackend{}, "random/tenures", conformance.Histories(3))
	more := judgeOne(t, referenceBackend{}, "random/tenures", conformance.Histories(3), conformance.Duration(500*time.Millisecond))
	assert.Equal(t, 3, once.Histories)
	assert.Greater(t, more.Histories, once.Histories)
}

func TestReportRoundTrip(t *testing.T) {
	r, err := conformance.Judge(t.Context(), troubledBackend{liar: true}, conformance.OnlySections("membership", "faults"))
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, r.WriteJSON(&b))
	back, err := conformance.ReadReport(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, r, back)
	_, err = conformance.ReadReport(strings.NewReader(`{"schema": 99}`))
	assert.ErrorContains(t, err, "schema 99")
	_, err = conformance.ReadReport(strings.NewReader(b.String() + "{}"))
	assert.Error(t, err, "a report is one value")
	_, err = conformance.ReadReport(strings.NewReader(`{`))
	assert.Error(t, err)
}

// countingBackend counts the clusters that were made and not freed.
type countingBackend struct {
	conformance.Backend
	open *atomic.Int64
}

func (b countingBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	c, err := b.Backend.New(cfg)
	b.open.Add(1)
	return countingCluster{c, b.open}, err
}

type countingCluster struct {
	conformance.Cluster
	open *atomic.Int64
}

func (c countingCluster) Close() error {
	c.open.Add(-1)
	return c.Cluster.Close()
}

// Every cluster is freed, also those whose histories were cut short by a
// conviction, in minimising it, or by a store in trouble.
func TestClustersAreFreed(t *testing.T) {
	var open atomic.Int64
	for _, b := range []conformance.Backend{twistNamed(t, "no margin for skew"), twistNamed(t, "claim ids are ignored"), twistedBackend{twist: twist{bend: bend(func(b *bent) {
		b.claim = func(context.Context, registry.ActorID, registry.NodeRef, registry.ClaimID) (registry.Lease, error) {
			return registry.Lease{}, registry.ErrUnavailable
		}
	})}}} {
		r, err := conformance.Judge(t.Context(), countingBackend{b, &open}, conformance.OnlySections("contract", "random", "concurrent"), conformance.Histories(30))
		require.NoError(t, err)
		assert.Positive(t, r.Count(conformance.Convicted)+r.Count(conformance.Unknown))
		assert.Zero(t, open.Load(), "clusters that were not freed")
	}
}

// standsStill watches by polling, on a machine that stood still for longer than a call
// may take, once, when a watch was to answer at once.
type standsStill struct {
	registry.Handle
	stood *atomic.Bool
}

func (h standsStill) Watch(ctx context.Context, a registry.ActorID, seen registry.Version) (registry.Placement, error) {
	_, limited := ctx.Deadline()
	for {
		p, _, err := h.Lookup(ctx, a)
		switch {
		case err != nil:
			return registry.Placement{}, err
		case p.Version == seen:
			time.Sleep(time.Millisecond)
		case limited && h.stood.CompareAndSwap(false, true):
			<-ctx.Done()
			return registry.Placement{}, ctx.Err()
		default:
			return p, nil
		}
	}
}

// Contract, Watch: it returns as soon as the version differs. A machine may stand still
// for once.
func TestAWatchIsLateTwiceBeforeItIsConvicted(t *testing.T) {
	var stood atomic.Bool
	b := twistedBackend{twist: twist{wrap: func(h registry.Handle) registry.Handle { return standsStill{h, &stood} }}}
	c := judgeOne(t, b, "contract/watch", conformance.CallTimeout(500*time.Millisecond))
	assert.Equal(t, conformance.Pass, c.Verdict, "%s %v", c.Reason, c.Conviction)
	assert.True(t, stood.Load())
}
