//go:build fdb

package fdbtest

import (
	"testing"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbimpl/internal/testdb"
)

func TestConformance(t *testing.T) {
	d, err := testdb.Open("")
	if err == testdb.ErrNoCluster {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("fdbimpl on %s", testdb.Name)
	conformance.Run(t, New(""))
}
