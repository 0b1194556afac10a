package sany

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/kelpie-registry/registry/internal/tlc"
)

// Exporter runs SANY: a [tlc.Tool], or [*tlc.Machines] for many modules.
type Exporter interface {
	Export(ctx context.Context, fsys fs.FS, module string) (tlc.Exported, error)
}

// Load has a module of a specification folder exported, and decodes it. The error
// of a module that SANY rejects has SANY's message; one that matches
// [tlc.ErrNoTLC] says that SANY could not be run.
func Load(ctx context.Context, x Exporter, fsys fs.FS, module string) (*Module, error) {
	e, err := x.Export(ctx, fsys, module)
	if err != nil {
		return nil, err
	}
	// For some errors the exporter prints the graph all the same and exits with 0.
	if e.Failed || !bytes.HasPrefix(e.XML, []byte("<?xml")) || reportsErrors(string(e.Log)) {
		return nil, fmt.Errorf("SANY rejects module %s: %s", module, complaint(string(e.Log)))
	}
	return Decode(e.XML)
}

func reportsErrors(log string) bool {
	return strings.Contains(log, "*** Errors:") || strings.Contains(log, "*** Abort messages:")
}

// complaint is what SANY says about the module, without its progress and
// without the exporter's own stack traces.
func complaint(log string) string {
	var kept []string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "failed for node") || strings.HasPrefix(line, "Exception in thread") || strings.HasPrefix(line, "tla2sany.xml.") {
			break
		}
		if line != "" && !strings.HasPrefix(line, "Semantic processing") && !strings.HasPrefix(line, "Parsing file") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, " ")
}
