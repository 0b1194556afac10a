package etcdsession_test

import (
	"testing"
	"time"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/examples/clients/etcdsession"
	"github.com/kelpie-registry/registry/examples/clients/internal/host"
)

// An election ends when its session does, too late; and a campaign that is given up does
// not return before its resignation is answered, whatever its context says.
func TestElectionIsConvicted(t *testing.T) {
	f := etcdsession.NewElection(etcdsession.Options{})
	host.Convicted(t, f, "loss/one-link", conformance.ServesInTime)
	host.Convicted(t, f, "renewal/outage", conformance.ClientRetries)
	host.Convicted(t, f, "close/cut", conformance.ClientCloses)
}

// Observe hears nothing over a link that is cut, and says nothing.
func TestObserveIsNoEnd(t *testing.T) {
	f := etcdsession.NewElection(etcdsession.Options{Margin: 10 * time.Second, DialTimeout: 15 * time.Second, GiveUp: 5 * time.Second, Observes: true})
	host.Convicted(t, f, "loss/one-link", conformance.ServesInTime)
}

// What makes a session pass, and a client that is closed some seconds after it was told
// to give up, make an election pass.
func TestElectionWithMarginPasses(t *testing.T) {
	host.Passes(t, etcdsession.NewElection(etcdsession.Options{Margin: 10 * time.Second, DialTimeout: 15 * time.Second, GiveUp: 5 * time.Second}))
}
