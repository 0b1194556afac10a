package etcdsession_test

import (
	"testing"
	"time"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/clients/etcdsession"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
)

// A session ends a lease's length after the last answer, and up to a second later; and
// when the first keep-alive is not answered for five seconds.
func TestSessionIsConvicted(t *testing.T) {
	f := etcdsession.New(etcdsession.Options{})
	host.Convicted(t, f, "loss/one-link", conformance.ServesInTime)
	host.Convicted(t, f, "pauses/one", conformance.ServesInTime)
	host.Convicted(t, f, "renewal/outage", conformance.ClientRetries)
}

// A session of two thirds of the lease, and a patient first keep-alive, pass.
func TestSessionWithMarginPasses(t *testing.T) {
	host.Passes(t, etcdsession.New(etcdsession.Options{Margin: 10 * time.Second, DialTimeout: 15 * time.Second}))
}
