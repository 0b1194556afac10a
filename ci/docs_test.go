package ci

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// document is a Markdown file of this repository.
type document struct {
	path  string // from the root
	lines []string
}

func documents(t *testing.T) []document {
	t.Helper()
	var docs []document
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != ".github":
			return fs.SkipDir
		case d.IsDir() && (path == "../report" || path == "../bin"):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			docs = append(docs, document{path, strings.Split(string(text), "\n")})
		}
		return err
	}))
	require.Greater(t, len(docs), 20)
	return docs
}

// block is fenced code.
type block struct {
	line     int // of its fence, from 1
	language string
	text     string
}

// blocks returns a document's fenced code, and its prose with the code's lines empty.
func (d document) blocks() (code []block, prose []string) {
	prose = make([]string, len(d.lines))
	var open *block
	for i, line := range d.lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &block{line: i + 1, language: strings.TrimPrefix(strings.TrimSpace(line), "```")}
		case fence:
			code = append(code, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case !strings.HasPrefix(line, "    ") || listItem.MatchString(line):
			prose[i] = line
		}
	}
	return code, prose
}

var listItem = regexp.MustCompile(`^\s*([-*]|\d+\.) `)

// Lines of prose are under 120 characters, so that a change of a sentence is a small
// difference. Tables and headings cannot be broken.
func TestMarkdownLinesAreShort(t *testing.T) {
	for _, d := range documents(t) {
		_, prose := d.blocks()
		for i, line := range prose {
			if strings.HasPrefix(strings.TrimSpace(line), "|") || strings.HasPrefix(line, "#") {
				continue
			}
			assert.Less(t, utf8.RuneCountInString(line), 120, "%s:%d", d.path, i+1)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Links within the repository lead to files and headings that exist.
func TestMarkdownLinksLeadSomewhere(t *testing.T) {
	for _, d := range documents(t) {
		_, prose := d.blocks()
		for i, line := range prose {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "://") {
					continue
				}
				assert.NoError(t, follow(d.path, m[1]), "%s:%d", d.path, i+1)
			}
		}
	}
}

func follow(from, to string) error {
	path, anchor, _ := strings.Cut(to, "#")
	target := filepath.Join(filepath.Dir(from), path)
	if path == "" {
		target = from
	}
	text, err := os.ReadFile(target)
	if info, statErr := os.Stat(target); statErr == nil && info.IsDir() && anchor == "" {
		return nil
	}
	if err != nil {
		return err
	}
	if anchor == "" {
		return nil
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, "#") && slug(line) == anchor {
			return nil
		}
	}
	return fmt.Errorf("%s has no heading #%s", target, anchor)
}

// slug is the anchor of a heading.
func slug(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(strings.TrimLeft(heading, "#"))) {
		switch {
		case r == ' ':
			b.WriteRune('-')
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Snippets of Go are Go: files, declarations, statements or expressions.
func TestMarkdownSnippetsAreGo(t *testing.T) {
	n := 0
	for _, d := range documents(t) {
		code, _ := d.blocks()
		for _, b := range code {
			if b.language == "go" {
				n++
				assert.NoError(t, isGo(b.text), "%s:%d", d.path, b.line)
			}
		}
	}
	assert.Greater(t, n, 4)
}

func isGo(text string) error {
	var first error
	for _, form := range []string{"%s", "package p\n%s", "package p\nfunc f() {\n%s\n}", "package p\nvar _ = %s"} {
		_, err := parser.ParseFile(token.NewFileSet(), "", fmt.Sprintf(form, text), parser.SkipObjectResolution)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// What the tutorial shows is what its tests run: its Go is in the files of
// examples/tutorial, and the convictions are those in its testdata.
func TestTutorialShowsWhatIsTested(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"../examples/tutorial/*.go", "../examples/tutorial/testdata/*.txt"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, paths, pattern)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			source.Write(text)
		}
	}
	shown := 0
	for _, d := range documents(t) {
		if d.path != "../docs/tutorial.md" {
			continue
		}
		code, _ := d.blocks()
		for _, b := range code {
			if b.language == "go" || b.language == "text" {
				shown++
				assert.True(t, strings.Contains(source.String(), b.text), "%s:%d is in no file of examples/tutorial", d.path, b.line)
			}
		}
	}
	assert.Greater(t, shown, 5)
}

// The examples of the guide are those that adapt's tests run.
func TestGuideShowsWhatIsTested(t *testing.T) {
	source, err := os.ReadFile("../adapt/example_test.go")
	require.NoError(t, err)
	shown := 0
	for _, d := range documents(t) {
		if d.path != "../docs/guide.md" {
			continue
		}
		code, _ := d.blocks()
		for _, b := range code {
			if b.language == "go" && strings.Contains(b.text, "adapt.") {
				shown++
				assert.True(t, strings.Contains(string(source), b.text), "%s:%d is not in adapt/example_test.go", d.path, b.line)
			}
		}
	}
	assert.Equal(t, 3, shown)
}
