package tlc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Exported is what SANY's exporter made of a module. For some errors it writes
// the module all the same, and says so in its log alone.
type Exported struct {
	XML    []byte
	Log    []byte
	Failed bool
}

const exporter = "tla2sany.xml.XMLExporter"

// Export has SANY write a module of a specification folder as XML, in a folder
// and a Java process of its own. The error matches [ErrNoTLC] when SANY could not be
// run. Who has many modules uses [Machines].
func (t Tool) Export(ctx context.Context, fsys fs.FS, module string) (Exported, error) {
	return export(fsys, module, func(dir string) (Exported, error) {
		// -o: without the validation against a schema that the exporter would look for.
		cmd := exec.CommandContext(ctx, t.Java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
			"-Djava.io.tmpdir="+dir, "-cp", t.Jar, exporter, "-o", module+".tla")
		cmd.Dir = dir
		cmd.WaitDelay = 5 * time.Second
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		err := cmd.Run()
		if ctx.Err() != nil {
			return Exported{}, ctx.Err()
		}
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			return Exported{}, fmt.Errorf("%w: %w", ErrNoTLC, err)
		}
		return Exported{XML: out.Bytes(), Log: log.Bytes(), Failed: err != nil}, nil
	})
}

// export lays the module and what it needs into a folder for sany, which gets its path.
func export(fsys fs.FS, module string, sany func(dir string) (Exported, error)) (Exported, error) {
	closure, err := Load(fsys, module)
	if err != nil {
		return Exported{}, err
	}
	dir, err := os.MkdirTemp("", "sany-")
	if err != nil {
		return Exported{}, err
	}
	defer os.RemoveAll(dir)
	for name, text := range closure.Files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return Exported{}, err
		}
	}
	return sany(dir)
}
