//go:build fdb && !fdbsim

package infdb

import "github.com/apple/foundationdb/bindings/go/src/fdb"

func open(file string) (fdb.Database, error) { return fdb.OpenDatabase(file) }
