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

// The whole suite on the stand-in. Under the race detector, which is there to find races
// of the implementation, the enumeration of boundaries ("edges", one client at a time) is
// left to the run without it, and fewer histories are drawn.
//
// On a real cluster most of a case is waiting, and the whole suite is conform run's: here
// it is in short form, many cases at a time. With control the sections that stop the
// server follow, but the one that does nothing else: one case at a time, as it is stopped
// for everybody.
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
		opts = append(opts, conformance.Histories(25), conformance.OnlySections(without("edges", "extremes")...))
	}
	if !isReal {
		conformance.Run(t, New(""), opts...)
		return
	}
	conformance.Run(t, New(""), append(opts, onReal("edges")...)...)
	if _, ok := serverctl.FromEnv(); ok {
		stop := slices.DeleteFunc(stopping(), func(section string) bool { return section == "durable" })
		conformance.Run(t, New(""), conformance.OnlySections(stop...), conformance.Parallel(1), conformance.Histories(1), conformance.Level(conformance.Quick))
	}
}

// onReal judges by all sections but those left out and, with control, those that would
// stop the server under the others.
func onReal(leftOut ...string) []conformance.Option {
	if _, ok := serverctl.FromEnv(); ok {
		leftOut = append(leftOut, stopping()...)
	}
	return []conformance.Option{conformance.Level(conformance.Quick), conformance.Parallel(8), conformance.OnlySections(without(leftOut...)...)}
}

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
// the contract otherwise. The enumeration of boundaries is left to TestConformance, and
// what stops a real server to conform run.
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
	forgetting := Forgetting{New("")}
	if _, isReal := testdb.Store(""); isReal { // where, with control, conform run judges the section purge
		conformance.Run(t, forgetting, append(opts, onReal("edges", "extremes")...)...)
		return
	}
	conformance.Run(t, forgetting, append(opts, conformance.OnlySections("purge"))...)
	if testing.Short() {
		return
	}
	conformance.Run(t, forgetting, append(opts, conformance.OnlySections(without("edges", "extremes", "schedules", "purge")...))...)
}
