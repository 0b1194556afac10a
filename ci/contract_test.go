package ci

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/kelpie-registry/registry/spec"
)

// Each sentence of docs/contract.md names the rules, the definitions of the
// specification and the tests that hold it. All of them exist, and every rule of
// the suite that cites a section is under one of its sentences.
func TestTheContractsCitationsExist(t *testing.T) {
	text, err := os.ReadFile("../docs/contract.md")
	require.NoError(t, err)
	rules := map[string]string{} // id to section
	for _, r := range slices.Concat(conformance.Rules(), conformance.ClientRules()) {
		rules[string(r.ID)] = r.Section
	}
	definitions, tests := definitions(t), tests(t)
	cited := map[string]bool{}
	sentences := citations(string(text))
	require.Greater(t, len(sentences), 40)
	for _, c := range sentences {
		fields := strings.Split(c.text, " · ")
		if !assert.Len(t, fields, 3, "section %s: rules · specification · tests: %s", c.section, c.text) {
			continue
		}
		if fields[0] != "no rule" {
			for _, name := range names(t, fields[0]) {
				assert.NotEmpty(t, rules[name], "section %s cites the rule %s, which does not exist", c.section, name)
				cited[name] = cited[name] || rules[name] == c.section
			}
		}
		for _, name := range names(t, fields[1]) {
			assert.True(t, definitions[name], "section %s cites %s, which no module defines", c.section, name)
		}
		for _, name := range names(t, fields[2]) {
			assert.True(t, tests[name], "section %s cites %s, which is no test", c.section, name)
		}
	}
	for id, section := range rules {
		if section != "-" {
			assert.True(t, cited[id], "no sentence of section %s cites rule %s", section, id)
		}
	}
}

type citation struct{ section, text string }

var heading = regexp.MustCompile(`^## (\d)\.`)

// citations finds what stands from a line that begins with a dash to the end of
// its item.
func citations(text string) []citation {
	var out []citation
	section, open := "", false
	for line := range strings.Lines(text) {
		if m := heading.FindStringSubmatch(line); m != nil {
			section = m[1]
		}
		body := strings.TrimSpace(line)
		begin, found := strings.CutPrefix(body, "— ")
		switch {
		case found:
			out = append(out, citation{section, begin})
			open = true
		case body == "" || !strings.HasPrefix(line, "   "):
			open = false
		case open:
			out[len(out)-1].text += " " + body
		}
	}
	return out
}

var quoted = regexp.MustCompile("`([^`]+)`")

func names(t *testing.T, text string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	require.NotEmpty(t, out, text)
	return out
}

func definitions(t *testing.T) map[string]bool {
	files, err := fs.Glob(spec.TLA(), "*.tla")
	require.NoError(t, err)
	out := map[string]bool{}
	for _, f := range files {
		text, err := fs.ReadFile(spec.TLA(), f)
		require.NoError(t, err)
		m, err := tlc.ParseModule(string(text))
		require.NoError(t, err)
		for name := range m.Definitions {
			out[name] = true
		}
	}
	return out
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

func tests(t *testing.T) map[string]bool {
	out := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			out[string(m[1])] = true
		}
		return err
	})
	require.NoError(t, err)
	return out
}
