package sany

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kelpie-registry/registry/internal/tlc"
)

const exporter = "tla2sany.xml.XMLExporter"

// Export runs SANY on a module of a specification folder, in a folder of its
// own, and returns its semantic graph as XML. The error of a module that SANY
// rejects has SANY's message; one that matches [tlc.ErrNoTLC] says that SANY
// could not be run.
func Export(ctx context.Context, tool tlc.Tool, fsys fs.FS, module string) ([]byte, error) {
	closure, err := tlc.Load(fsys, module)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sany-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, text := range closure.Files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	// -o: without the validation against a schema that the exporter would look for.
	cmd := exec.CommandContext(ctx, tool.Java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Djava.io.tmpdir="+dir, "-cp", tool.Jar, exporter, "-o", module+".tla")
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	switch exit := (*exec.ExitError)(nil); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.As(err, &exit):
		return nil, fmt.Errorf("%w: %w", tlc.ErrNoTLC, err)
	// For some errors the exporter prints the graph all the same and exits with 0.
	case err != nil || !bytes.HasPrefix(out.Bytes(), []byte("<?xml")) || reportsErrors(log.String()):
		return nil, fmt.Errorf("SANY rejects module %s: %s", module, complaint(log.String()))
	}
	return out.Bytes(), nil
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
		if strings.HasPrefix(line, "failed for node") || strings.HasPrefix(line, "Exception in thread") {
			break
		}
		if line != "" && !strings.HasPrefix(line, "Semantic processing") && !strings.HasPrefix(line, "Parsing file") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, " ")
}

// Load exports and decodes a module.
func Load(ctx context.Context, tool tlc.Tool, fsys fs.FS, module string) (*Module, error) {
	data, err := Export(ctx, tool, fsys, module)
	if err != nil {
		return nil, err
	}
	return Decode(data)
}
