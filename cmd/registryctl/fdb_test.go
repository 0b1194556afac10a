//go:build fdb && fdbsim

package main

import (
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl"
	"github.com/kelpie-registry/registry/fdbsim"
	_ "github.com/kelpie-registry/registry/fdbsim/libfdb"
)

// onFDB makes a registry under the prefix a/b of a simulated cluster.
func onFDB(t *testing.T) (where []string, h registry.Handle) {
	c := fdbsim.NewCluster(fdbsim.Config{Seed: 1})
	t.Cleanup(c.Close)
	require.NoError(t, fdb.APIVersion(730))
	db := fdb.MustOpenDatabase(c.ClusterFile())
	t.Cleanup(db.Close)
	open := func(clock registry.Clock) registry.Handle {
		h, err := fdbimpl.Open(t.Context(), db, registry.DefaultConfig(), clock, fdbimpl.Options{Prefix: tuple.Tuple{"a", "b"}})
		require.NoError(t, err)
		return h
	}
	use(t, open)
	return []string{"--cluster-file", c.ClusterFile(), "--prefix", "a/b"}, open(registry.SystemClock())
}

func TestShowsFoundationDB(t *testing.T) {
	where, _ := onFDB(t)
	showing(t, where...)
}

func TestMovesFoundationDB(t *testing.T) {
	where, _ := onFDB(t)
	moving(t, where, []string{where[0], where[1], "--prefix", "elsewhere"})
}

// An export moves from one kind of store to the other.
func TestMovesBetweenStores(t *testing.T) {
	path, _ := onFile(t)
	where, _ := onFDB(t)
	moving(t, []string{"--file", path}, []string{where[0], where[1], "--prefix", "elsewhere"})
}

func TestForceRelease(t *testing.T) {
	where, h := onFDB(t)
	force := func(token string) outcome {
		return ctl(t, "", append([]string{"force-release-breaking-grace", "ns", "a", "--token", token, "--holder-is-dead", "ns/a"}, where...)...)
	}
	p, _, err := h.Lookup(t.Context(), registry.ActorID{Namespace: "ns", Name: "a"})
	require.NoError(t, err)
	assert.Equal(t, exitFailed, force("2").code, "a tenure that is not there yet")
	o := force("1")
	require.Equal(t, 0, o.code, o.err)
	assert.Regexp(t, `^ns/a\tnobody\ttoken 2\tversion 2\t`, o.out)
	assert.Equal(t, exitFailed, force("1").code, "a tenure that is over")
	assert.Equal(t, 0, ctl(t, "", append([]string{"verify"}, where...)...).code)

	_, err = h.Renew(t.Context(), p.Lease())
	require.ErrorIs(t, err, registry.ErrFenced)
	require.ErrorIs(t, h.Validate(t.Context(), p.Actor, p.Token), registry.ErrFenced)
	require.ErrorIs(t, h.Release(t.Context(), p.Lease()), registry.ErrFenced)
	next, err := h.Claim(t.Context(), p.Actor, registry.NodeRef{ID: "n2", Epoch: 1}, registry.NewClaimID())
	require.NoError(t, err)
	assert.EqualValues(t, 3, next.Token)
}

func TestNoRegistryThere(t *testing.T) {
	where, _ := onFDB(t)
	elsewhere := []string{where[0], where[1], "--prefix", "elsewhere"}
	assert.Equal(t, exitFailed, ctl(t, "", append([]string{"lookup", "ns", "a"}, elsewhere...)...).code)
	assert.Equal(t, exitFound, ctl(t, "", append([]string{"verify"}, elsewhere...)...).code)
}
