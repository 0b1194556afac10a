//go:build fdb

package fdbtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
	"github.com/kelpie-registry/registry/internal/serverctl"
)

// The whole suite. Under the race detector, which is there to find races of the
// implementation, the enumeration of boundaries ("edges", one client at a time) is
// left to the run without it, and fewer histories are drawn.
func TestConformance(t *testing.T) {
	switch d, err := testdb.Open(""); {
	case errors.Is(err, testdb.ErrNoCluster):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	default:
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	store, isReal := testdb.Store("")
	t.Logf("fdbimpl on %s (real: %v)", store, isReal)
	var opts []conformance.Option
	if raceEnabled {
		opts = append(opts, conformance.OnlySections(without("edges")...), conformance.Histories(25))
	}
	if isReal {
		opts = append(opts, onReal...)
	}
	if _, ok := serverctl.FromEnv(); ok && isReal {
		// What stops the server stops it for everybody: one case at a time, in real time.
		stop := stopping()
		conformance.Run(t, New(""), conformance.OnlySections(stop...), conformance.Parallel(1), conformance.Histories(1), conformance.Level(conformance.Quick))
		opts = append(opts, conformance.OnlySections(without(append(stop, "edges")...)...))
	}
	conformance.Run(t, New(""), opts...)
}

// onReal is for a real cluster, on which most of a case is waiting. The whole suite on
// one is conform run's.
var onReal = []conformance.Option{conformance.Level(conformance.Quick), conformance.Parallel(8)}

// stopping lists the sections that have a case which stops the server.
func stopping() (names []string) {
	for _, s := range conformance.Sections() {
		if slices.ContainsFunc(s.Cases, func(c conformance.Case) bool {
			return slices.Contains(c.Needs, conformance.Restart) || slices.Contains(c.Needs, conformance.Faulty)
		}) {
			names = append(names, s.Name)
		}
	}
	return names
}

// without lists the other sections.
func without(names ...string) (others []string) {
	for _, s := range conformance.Sections() {
		if !slices.Contains(names, s.Name) {
			others = append(others, s.Name)
		}
	}
	return others
}

// A registry that forgets, asked to by the suite, and by all other cases that it keeps
// the contract otherwise. The enumeration of boundaries is left to TestConformance.
func TestConformanceOfForgetting(t *testing.T) {
	d, err := testdb.Open("")
	if errors.Is(err, testdb.ErrNoCluster) {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.NoError(t, d.Close())
	opts := []conformance.Option{conformance.Level(conformance.Quick)}
	if raceEnabled {
		opts = append(opts, conformance.Histories(10))
	}
	if _, isReal := testdb.Store(""); isReal {
		opts = append(opts, onReal...)
	}
	forgetting := Forgetting{New("")}
	conformance.Run(t, forgetting, append(opts, conformance.OnlySections("purge"), conformance.Parallel(1))...)
	if testing.Short() {
		return
	}
	conformance.Run(t, forgetting, append(opts, conformance.OnlySections(without("edges", "extremes", "schedules", "purge")...))...)
}
