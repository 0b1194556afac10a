package client_test

import (
	"testing"

	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/plain"
)

// ExampleRun is the whole test of a client. In place of plain's factory stands yours: it
// makes a client of your own for the node's handle and clock, and tells when it serves.
func ExampleRun() {
	_ = func(t *testing.T) { client.Run(t, plain.New(plain.Policy{}), client.Seeds(1, 2, 3)) }
}
