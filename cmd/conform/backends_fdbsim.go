//go:build fdb && fdbsim

package main

import (
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest"
)

func init() {
	apart["fdbimpl-scheduled"] = func() conformance.Backend { return fdbtest.Scheduled{} }
}
