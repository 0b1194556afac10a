//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbsim"
	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec"
)

const dataModule = "ClaimTxnTraceData"

// traced are the operations that ClaimTxn has: all but listings.
var traced = []operation{
	claimB, renew, release, transfer, lookup, validate, heartbeatB, failB, supersedeB, leaveB, getB,
}

// check has TLC follow every behaviour through ClaimTxn. It returns "" when all are
// behaviours of ClaimTxn, and otherwise the first event that is no step.
func (b *behaviours) check(t *testing.T, cfg registry.Config) string {
	t.Helper()
	if testing.Short() {
		t.Skip("not checked with TLC: short mode")
	}
	tool, err := tlc.Find(t.Context())
	if errors.Is(err, tlc.ErrNoTLC) {
		t.Skip("not checked with TLC: ", err)
	}
	require.NoError(t, err)
	started := time.Now()
	out, err := tlc.Run(t.Context(), tool, tlc.Job{
		FS: os.DirFS(b.lay(t)), Module: dataModule, Config: b.config(cfg), JVM: []string{"-Xss64m", "-XX:TieredStopAtLevel=1"},
	})
	require.NoError(t, err)
	t.Logf("TLC: %d behaviours of %d schedules, %d states, in %v: %s",
		len(b.traces), b.runs, out.Distinct, time.Since(started).Round(100*time.Millisecond), kindsSorted(b.kinds()))
	if out.Verdict == tlc.Deadlock && len(out.Trace) > 0 {
		last, err := stategraph.ParseState(out.Trace[len(out.Trace)-1].Text)
		require.NoError(t, err)
		return b.describe(int(last.Get("trace").Num), int(last.Get("at").Num))
	}
	if out.Verdict != tlc.OK {
		return fmt.Sprintf("%s %s: %s", out.Verdict, out.Violated, out.Message)
	}
	require.Equal(t, int64(b.steps()), out.Distinct, "every event of every behaviour is a state")
	return ""
}

// lay writes the modules and the behaviours into a folder.
func (b *behaviours) lay(t *testing.T) string {
	dir := t.TempDir()
	modules, err := fs.Glob(spec.TLA(), "*.tla")
	require.NoError(t, err)
	for _, name := range modules {
		text, err := fs.ReadFile(spec.TLA(), name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, dataModule+".tla"), []byte(b.module(dataModule)), 0o644))
	return dir
}

// config is a cluster's configuration in ticks, with the bounds of no experiment.
func (b *behaviours) config(cfg registry.Config) tlc.Config {
	scale := scaleOfTraces(cfg)
	number := func(d time.Duration) string { return fmt.Sprint(scale.Ticks(d)) }
	calls := make([]string, b.calls)
	for i := range calls {
		calls[i] = fmt.Sprint(i + 1)
	}
	c := tlc.Config{Specification: "TraceSpec", Properties: []string{"TokenMonotonic", "VersionBump", "NoStaleWrite", "EpochMonotonic"}}
	for _, set := range [][2]string{
		{"Calls", "{" + strings.Join(calls, ", ") + "}"},
		{"Nodes", `{"` + strings.Join(nodesOfTraces, `", "`) + `"}`}, {"Actors", `{"` + actorOfTraces + `"}`},
		{"TTL", number(cfg.TTL)}, {"Grace", number(cfg.Grace)}, {"Skew", number(cfg.MaxClockSkew)},
		{"Margin", number(2 * cfg.MaxClockSkew)}, {"FailureTimeout", number(cfg.FailureTimeout)},
		{"Window", "1000"}, {"MaxDelay", "0"}, {"Evidence", `"fence"`}, {"MaxFaults", "99"}, {"MaxTraffic", "0"}, {"MaxTime", "0"},
		{"Ops", "{}"}, {"ClaimIDs", "{}"}, {"Tokens", "{}"}, {"Epochs", "{}"}, {"Instances", "{}"}, {"Begin", "{}"},
		{"Dropped", "{}"}, {"Bugs", "{}"},
		{"Traces", fmt.Sprint(len(b.traces))}, {"Trace", "<- TheTrace"}, {"StoreAt", "<- TheStore"}, {"EventAt", "<- TheEvent"},
	} {
		c.Set(set[0], set[1])
	}
	return c
}

// Every schedule that the explorer runs is a behaviour of ClaimTxn: every order of
// two operations, drawn orders with up to two faults, one operation with two faults at
// every step, so that fences time out too, and writes under a guard.
func TestSchedulesAreBehavioursOfClaimTxn(t *testing.T) {
	e := newExplorer(t)
	e.record = &behaviours{}
	seed := seedOf(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	for _, phase := range phases {
		for _, ops := range pairs(traced) {
			sc := scenario{name: phase.name + ": " + ops[0].name + " and " + ops[1].name, before: phase.before, ops: ops}
			e.sample(sc, 0, 10, seed, rng)
			e.sample(sc, 2, 16, seed, rng)
		}
		for _, op := range traced {
			e.all(scenario{name: phase.name + ": " + op.name, before: phase.before, ops: []operation{op}}, 1)
		}
	}
	e.only = []string{"1031", "1021 applied", "1021 not applied", "1020"}
	e.all(scenario{name: "renewal with two faults", before: live, ops: []operation{renew}}, 2)
	e.sample(handOver((*Registry).Guard), 2, 200, seed, rng)
	require.Empty(t, e.record.check(t, e.cfg))
	for _, do := range []string{"reads", "sends", "fences", "again", "answers", "processed", "refused", "unknown", "timesout", "recovers", "ends"} {
		assert.NotZero(t, e.record.kinds()[do], "no behaviour has an event %q", do)
	}
}

// brokenSettle is the shipped renewal with another search for the fate of a commit.
type brokenSettle struct {
	*Registry
	settle func(*attempt, fate) verdict
}

func (v brokenSettle) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	for {
		a, err := v.begin(ctx, "Claim", v.opts.TransactionTimeout)
		if err != nil {
			return registry.Lease{}, err
		}
		next, err := a.renewBatch([]registry.Lease{lease}, []int{0})
		if err != nil {
			return registry.Lease{}, a.readError(ctx, err)
		}
		err = a.tr.Commit().Get()
		if next[0].Err != nil || err == nil {
			return next[0].Lease, next[0].Err
		}
		if how := commitFate(errorCode(err)); how == settled || how == pending {
			switch verdict := v.settle(a, how); verdict {
			case applied:
				return next[0].Lease, nil
			case refuted:
			default:
				return registry.Lease{}, &registry.AmbiguousError{MayStillApply: how == pending && verdict != overtaken, Cause: err}
			}
		}
	}
}

// fencedElsewhere is the shipped search with its fence on another key.
func fencedElsewhere(a *attempt, how fate) verdict {
	probe, err := a.r.begin(context.Background(), a.op, a.r.opts.SettleTimeout)
	if err != nil {
		return untouched
	}
	v, _, err := a.evidence(probe.tr)
	if err != nil || v != untouched {
		return v
	}
	if how == pending {
		if probe.tr.AddWriteConflictKey(a.r.keys.tenure(actorID(actorOfTraces))) != nil || probe.tr.Commit().Get() != nil {
			return untouched
		}
	}
	return refuted
}

// observe runs every schedule of a scenario for its behaviour alone.
func (e *explorer) observe(sc scenario, budget int) {
	e.onNewCluster(func() {
		_, all := fdbsim.Explore(1e5, func(c *fdbsim.Choices) {
			e.run(sc, budget, func(n, f int) int { return c.Choose(n + f) })
		})
		require.True(e.t, all)
	})
}

// A search for evidence that is wrong is no behaviour of ClaimTxn, whether or not a
// caller can see it in that schedule; the shipped one, in the same place, is.
func TestBrokenSettleIsRejected(t *testing.T) {
	for _, c := range []struct {
		name   string
		settle func(*attempt, fate) verdict
		event  string // the first that is no step, "" for none
	}{
		{"the shipped search", (*attempt).settle, ""},
		{"a read that shows nothing ends the doubt", func(a *attempt, how fate) verdict { return a.settle(settled) }, "again"},
		{"the fence is on a key that the commit may not have read", fencedElsewhere, "fences"},
		{"a search that came to nothing ends the doubt", func(a *attempt, how fate) verdict {
			if v := a.settle(how); v != untouched {
				return v
			}
			return refuted
		}, "sends"},
		{"an own write is taken for another's", func(a *attempt, how fate) verdict {
			a.mark = a.r.marks.next()
			return a.settle(how)
		}, "again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExplorer(t)
			e.record = &behaviours{}
			e.wrap = func(r *Registry) registry.Handle { return brokenSettle{r, c.settle} }
			e.only = []string{"1031", "1021 applied", "1021 not applied"}
			e.observe(scenario{name: "a renewal", before: live, ops: []operation{renew}}, 2)
			rejected := e.record.check(t, e.cfg)
			if c.event == "" {
				require.Empty(t, rejected)
				return
			}
			require.Contains(t, rejected, "is not a step of ClaimTxn")
			assert.Regexp(t, `(?m)^> \[do \|-> "`+c.event+`"`, rejected)
			t.Log(rejected)
		})
	}
}
