//go:build fdb

package main

import "github.com/kelpie-registry/registry/fdbimpl/fdbtest"

func init() { backends["fdbimpl"] = fdbtest.New("") }
