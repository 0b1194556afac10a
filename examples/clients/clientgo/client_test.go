package clientgo_test

import (
	"testing"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/clients/clientgo"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
)

// By default the lease of who gives up is left to run out, and a leader that claims
// anew in the middle goes on as if nothing had been.
func TestElectorIsConvicted(t *testing.T) {
	f := clientgo.New(clientgo.Options{})
	host.Convicted(t, f, "handover/drop", conformance.ClientGivesUp)
	host.Convicted(t, f, "loss/ended", conformance.ServesInTime)
}

// With ReleaseOnCancel the work goes on while a leader that has lost tries to release,
// and after it has released.
func TestReleasingElectorIsConvicted(t *testing.T) {
	f := clientgo.New(clientgo.Options{ReleaseOnCancel: true})
	host.Convicted(t, f, "pauses/one", conformance.StopsFirst)
	host.Convicted(t, f, "loss/one-link", conformance.ServesInTime)
}

// The guard makes it pass.
func TestGuardedElectorPasses(t *testing.T) {
	host.Passes(t, clientgo.New(clientgo.Options{ReleaseOnCancel: true, Guarded: true}))
}
