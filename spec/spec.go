// Package spec holds the specification's modules and configurations, so that a
// program can check something against them wherever it is installed.
package spec

import (
	"embed"
	"io/fs"
)

//go:embed tla/*.tla tla/*.cfg tla/manifest.json tla/proofs.json
var files embed.FS

// TLA returns the folder with the TLA+ modules, their configurations and the
// manifest.
func TLA() fs.FS {
	sub, err := fs.Sub(files, "tla")
	if err != nil {
		panic(err) // only for an invalid path
	}
	return sub
}
