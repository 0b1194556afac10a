//go:build !fdb

package main

import (
	"github.com/kelpie-registry/registry/internal/usage"
	"github.com/spf13/pflag"
)

// fdbFlags are the flags of FoundationDB, of which this binary has none.
type fdbFlags struct{}

func (fdbFlags) add(*pflag.FlagSet) {}
func (fdbFlags) named() bool        { return false }
func (fdbFlags) open() (store, func(), error) {
	return nil, nil, usage.Errorf("--file names no registry (this binary is built without the tag fdb)")
}
