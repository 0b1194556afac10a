//go:build fdb

package fdbtest

import (
	"errors"
	"testing"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
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
		var concurrent []string
		for _, s := range conformance.Sections() {
			if s.Name != "edges" {
				concurrent = append(concurrent, s.Name)
			}
		}
		opts = append(opts, conformance.OnlySections(concurrent...), conformance.Histories(25))
	}
	conformance.Run(t, New(""), opts...)
}
