package redislock_test

import (
	"testing"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
	"github.com/kelpie-registry/registry/examples/clients/redislock"
)

// A lock that is refreshed until the library says that it is not held knows no end,
// and all that wait ask for it at once.
func TestLockIsConvicted(t *testing.T) {
	f := redislock.New(redislock.Options{})
	host.Convicted(t, f, "loss/one-link", conformance.ServesInTime)
	host.Convicted(t, f, "pauses/cut", conformance.ServesInTime)
	host.Convicted(t, f, "herd/lapse", conformance.ClientHerd)
}

// With a deadline of the user's own, and a look before each attempt, it passes.
func TestGuardedLockPasses(t *testing.T) {
	host.Passes(t, redislock.New(redislock.Options{Guarded: true}))
}
