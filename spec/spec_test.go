package spec_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec"
)

// What can be known of the manifest without Java: that every configuration fits
// its module, and that every property, conjunct and variant is accounted for.
func TestTheManifestIsSound(t *testing.T) {
	m, err := tlc.LoadManifest(spec.TLA())
	require.NoError(t, err)
	require.NotEmpty(t, m.Checks)
	require.NoError(t, tlc.Audit(spec.TLA(), m))
	require.Contains(t, m.Evaluated, "Registry", "everything rests on it")
}

var update = flag.Bool("update", false, "write the manifest in its format")

// One entry a line: go test ./spec -update brings the file into this form.
func TestTheManifestIsFormatted(t *testing.T) {
	m, err := tlc.LoadManifest(spec.TLA())
	require.NoError(t, err)
	want, err := m.Format()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("tla/"+tlc.ManifestFile, want, 0o644))
		return
	}
	have, err := fs.ReadFile(spec.TLA(), tlc.ManifestFile)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, have), "run: go test ./spec -update")
}

// A definition that no module, configuration or manifest names checks nothing. Who
// takes a property, a witness or a mistake out of the manifests has to take it out of
// its module as well.
func TestEveryDefinitionIsUsed(t *testing.T) {
	inGo := []string{"NoCalls", "NotAccepted", "TraceSpec"} // package trace and fdbimpl's tests
	names, err := fs.Glob(spec.TLA(), "*.*")
	require.NoError(t, err)
	mentions, definitions := map[string]int{}, map[string][]string{}
	for _, file := range names {
		text, err := fs.ReadFile(spec.TLA(), file)
		require.NoError(t, err)
		if strings.HasSuffix(file, ".tla") {
			m, err := tlc.ParseModule(string(text))
			require.NoError(t, err)
			for name := range m.Definitions {
				definitions[name] = append(definitions[name], m.Name)
			}
		}
		for _, found := range assumption.FindAllStringSubmatch(string(text), -1) {
			mentions[found[1]]++
		}
		for _, found := range identifier.FindAllStringSubmatch(remark.ReplaceAllString(string(text), ""), -1) {
			mentions[found[1]]++
		}
	}
	for name, modules := range definitions {
		if !slices.Contains(inGo, name) {
			assert.Greater(t, mentions[name], len(modules), "%s of %s is used nowhere", name, modules)
		}
	}
}

var (
	identifier = regexp.MustCompile(`(?:[WS]F_)?([A-Za-z]\w*)`)
	assumption = regexp.MustCompile(`ASSUME (\w+) ==`)
	// remark is a comment of a module or of a configuration, or a manifest's prose.
	remark = regexp.MustCompile(`\\\*.*|\(\*[^*]*(?:\*[^*)][^*]*)*\*+\)|"doc": "(?:[^"\\]|\\.)*"`)
)
