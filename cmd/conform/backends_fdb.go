//go:build fdb

package main

import (
	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest"
)

// clusterFile is where fdbimpl is judged; "" for FDB_CLUSTER_FILE, or the
// stand-in in a binary built with the tag fdbsim.
var clusterFile string

func init() {
	shipped["fdbimpl"] = func() conformance.Backend { return fdbtest.New(clusterFile) }
	apart["fdbimpl-forgets"] = func() conformance.Backend { return fdbtest.Forgetting{Backend: fdbtest.New(clusterFile)} }
	moreFlags = append(moreFlags, func(fl *pflag.FlagSet) {
		fl.StringVar(&clusterFile, "cluster-file", "", "the FoundationDB cluster that fdbimpl is judged on")
	})
}
