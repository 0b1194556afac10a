//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/directory"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/fdbsim"
)

// told is an observer that writes down what it is told.
type told struct {
	mu    sync.Mutex
	lines []string
}

type operationKey struct{}

func (o *told) add(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, fmt.Sprintf(format, args...))
}

func (o *told) Begin(ctx context.Context, op string) (context.Context, func(error)) {
	return context.WithValue(ctx, operationKey{}, op), func(err error) { o.add("%s ends: %v", op, err != nil) }
}

func (o *told) Attempted(ctx context.Context, op string, _ time.Duration, code int) {
	o.add("%s: %d", ctx.Value(operationKey{}), code)
}

func (o *told) Settled(ctx context.Context, op string, _ time.Duration, fate Fate) {
	o.add("%s settled: %s", ctx.Value(operationKey{}), fate)
}

// The observer is told of every operation, transaction and settled outcome, under the
// operation's own context.
func TestObserver(t *testing.T) {
	d, err := testdb.Open("")
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	o := new(told)
	r, err := Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), Options{Prefix: d.Prefix, Observer: o})
	require.NoError(t, err)
	n, err := r.RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	verdicts := []fdbsim.Verdict{fdbsim.Fail(1020), fdbsim.CommitUnknown(false), fdbsim.CommitUnknown(true)}
	d.Cluster.SetIntercept(func(req *fdbsim.Request) fdbsim.Verdict {
		if req.Kind != fdbsim.KindCommit || len(verdicts) == 0 {
			return fdbsim.Deliver
		}
		v := verdicts[0]
		verdicts = verdicts[1:]
		return v
	})
	actor := registry.ActorID{Namespace: "ns", Name: "a"}
	l, err := r.Claim(t.Context(), actor, n.Ref, registry.NewClaimID())
	require.NoError(t, err)
	require.NoError(t, r.Validate(t.Context(), actor, l.Token))
	_, err = r.Claim(t.Context(), actor, registry.NodeRef{ID: "n2", Epoch: 1}, registry.NewClaimID())
	require.ErrorIs(t, err, registry.ErrNodeUnknown)
	require.Equal(t, []string{
		"Open: 0", "Open ends: false", "RegisterNode: 0", "RegisterNode ends: false",
		"Claim: 1020", "Claim settled: refuted", "Claim: 1021", "Claim settled: applied", "Claim: 0", "Claim ends: false",
		"Validate: 0", "Validate ends: false", "Claim: 0", "Claim ends: true",
	}, o.lines)
}

// Priority and tag are set on transactions, and checked before.
func TestPriorityAndTag(t *testing.T) {
	d, err := testdb.Open("")
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	open := func(o Options) error {
		o.Prefix = d.Prefix
		r, err := Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), o)
		if err == nil {
			_, _, err = r.GetNode(t.Context(), "n1")
		}
		return err
	}
	for _, p := range []Priority{PriorityDefault, PriorityBatch, PriorityImmediate} {
		require.NoError(t, open(Options{Priority: p, Tag: strings.Repeat("t", maxTag)}))
	}
	set := d.Cluster.Stats().Options
	require.Positive(t, set[fdbsim.OptionAutoThrottleTag])
	require.Positive(t, set[fdbsim.OptionPriorityBatch])
	require.Positive(t, set[fdbsim.OptionPriorityImmediate])
	require.Equal(t, set[fdbsim.OptionPriorityBatch], set[fdbsim.OptionPriorityImmediate])
	for _, o := range []Options{{Priority: -1}, {Priority: 3}, {Tag: strings.Repeat("t", maxTag+1)}} {
		require.ErrorIs(t, open(o), registry.ErrInvalid)
	}
}

// A directory is a prefix that the directory layer gives: the same for all who name
// it, apart from all others, and moved with its contents.
func TestDirectory(t *testing.T) {
	d, err := testdb.Open("")
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	open := func(o Options) *Registry {
		r, err := Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), o)
		require.NoError(t, err)
		return r
	}
	known := func(r *Registry) bool {
		_, found, err := r.GetNode(t.Context(), "n1")
		require.NoError(t, err)
		return found
	}
	path := []string{"apps", "kelpie"}
	_, err = open(Options{Directory: path}).RegisterNode(t.Context(), "n1", registry.NodeInfo{}, registry.IfAbsent)
	require.NoError(t, err)
	require.True(t, known(open(Options{Directory: path})))
	require.False(t, known(open(Options{Directory: []string{"apps", "other"}})))
	require.False(t, known(open(Options{})))

	_, err = directory.Move(d.Database, path, []string{"moved"})
	require.NoError(t, err)
	require.True(t, known(open(Options{Directory: []string{"moved"}})))
	i, err := NewInspector(d.Database, Options{Directory: []string{"moved"}})
	require.NoError(t, err)
	kinds, seen := verified(t, i)
	require.Empty(t, kinds)
	require.Equal(t, 1, seen)

	_, err = directory.CreateOrOpen(d.Database, []string{"queue"}, []byte("another layer"))
	require.NoError(t, err)
	_, err = Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), Options{Directory: []string{"queue"}})
	require.ErrorIs(t, err, registry.ErrUnavailable)
	_, err = Open(t.Context(), d.Database, registry.DefaultConfig(), registry.SystemClock(), Options{Directory: path, Prefix: tuple.Tuple{"p"}})
	require.ErrorIs(t, err, registry.ErrInvalid)
}

// The application's API version is taken as it is. A process selects one, so each is
// tried in a process of its own.
func TestAPIVersionIsTheApplications(t *testing.T) {
	if v := os.Getenv("FDBIMPL_API_VERSION"); v != "" {
		var version int
		_, err := fmt.Sscan(v, &version)
		require.NoError(t, err)
		if version > 0 {
			require.NoError(t, fdb.APIVersion(version))
		}
		var db fdb.Database
		if version >= minAPIVersion {
			db = fdb.MustOpenDefault()
		}
		_, err = Open(t.Context(), db, registry.DefaultConfig(), registry.SystemClock(), Options{})
		if version < minAPIVersion {
			require.ErrorIs(t, err, registry.ErrInvalid)
		} else {
			require.NoError(t, err)
		}
		return
	}
	for _, version := range []string{"0", "620", "630", "710", "730"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		again := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestAPIVersionIsTheApplications$")
		again.Env = append(os.Environ(), "FDBIMPL_API_VERSION="+version)
		out, err := again.CombinedOutput()
		cancel()
		require.NoError(t, err, "%s: %s", version, out)
	}
}
