package tlc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing/fstest"
)

// warmUp makes TLC load the classes of every kind of check.
const warmUp = `---- MODULE WarmUp ----
EXTENDS Integers, Sequences, FiniteSets
VARIABLE x
Init == x = <<>>
Next == Len(x) < 2 /\ x' = Append(x, Cardinality({1, 2}))
Spec == Init /\ [][Next]_x /\ WF_x(Next)
Short == Len(x) <= 2
Grows == [][Len(x') > Len(x)]_x
Ends == <>(Len(x) = 2)
====
`

// shared returns the tool with an archive of TLC's classes that Java maps into
// memory instead of reading, checking and linking them again in each run. It is
// made once for each pair of a Java and a jar. Where that fails, runs only start
// more slowly.
func (t Tool) shared(ctx context.Context) Tool {
	cache, err := os.UserCacheDir()
	if err != nil {
		return t
	}
	key, err := t.key(ctx)
	if err != nil {
		return t
	}
	archive := filepath.Join(cache, "kelpie-registry", "tlc-"+key+".jsa")
	if _, err := os.Stat(archive); err != nil && t.archiveTo(ctx, archive) != nil {
		return t
	}
	t.archive = archive
	return t
}

// key tells apart what an archive depends on: Java refuses that of another.
func (t Tool) key(ctx context.Context) (string, error) {
	version, err := exec.CommandContext(ctx, t.Java, "-version").CombinedOutput()
	if err != nil {
		return "", err
	}
	jar, err := os.Stat(t.Jar)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %v %s", t.Java, t.Jar, jar.Size(), jar.ModTime().UnixNano(), version))
	return hex.EncodeToString(sum[:8]), nil
}

// archiveTo makes the archive under another name first, so that it is whole
// whenever it is there.
func (t Tool) archiveTo(ctx context.Context, archive string) error {
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(archive), "archive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "made.jsa")
	out, err := Run(ctx, t, Job{
		FS:     fstest.MapFS{"WarmUp.tla": {Data: []byte(warmUp)}},
		Module: "WarmUp",
		Config: Config{Specification: "Spec", Invariants: []string{"Short"}, Properties: []string{"Grows", "Ends"}, AllowDeadlock: true},
		JVM:    []string{"-XX:ArchiveClassesAtExit=" + made},
	})
	if err != nil {
		return err
	}
	if out.Verdict != OK {
		return fmt.Errorf("TLC: %s %s", out.Verdict, out.Message)
	}
	return os.Rename(made, archive)
}
