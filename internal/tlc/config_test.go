package tlc

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sampleConfig = `\* a comment
SPECIFICATION Spec
CONSTANTS
  Nodes = {n1, n2}   (* a (* nested *) comment *)
  Names = {"a", "b"}
  Low = -3
  Guard <- NoGuard
INVARIANTS A B
PROPERTY P
CONSTRAINT Small
ACTION_CONSTRAINT Step
SYMMETRY Sym
VIEW Shown
CHECK_DEADLOCK FALSE
`

func TestConfigIsReadAndWrittenBack(t *testing.T) {
	cfg, err := ParseConfig(sampleConfig)
	require.NoError(t, err)
	assert.Equal(t, Config{
		Specification: "Spec",
		Constants: []Assignment{
			{Name: "Nodes", Value: "{n1, n2}"},
			{Name: "Names", Value: `{"a", "b"}`},
			{Name: "Low", Value: "-3"},
			{Name: "Guard", Value: "NoGuard", Substitute: true},
		},
		Invariants: []string{"A", "B"}, Properties: []string{"P"},
		Constraints: []string{"Small"}, ActionConstraints: []string{"Step"},
		Symmetry: "Sym", View: "Shown", AllowDeadlock: true,
	}, cfg)
	again, err := ParseConfig(cfg.String())
	require.NoError(t, err)
	assert.Equal(t, cfg, again)
}

func TestConfigSetReplacesWithoutTouchingCopies(t *testing.T) {
	cfg, err := ParseConfig("CONSTANTS A = 1 B = 2")
	require.NoError(t, err)
	changed := cfg
	changed.Set("B", "<- Other")
	changed.Set("C", "3")
	assert.Equal(t, []Assignment{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}}, cfg.Constants)
	assert.Equal(t, []Assignment{
		{Name: "A", Value: "1"}, {Name: "B", Value: "Other", Substitute: true}, {Name: "C", Value: "3"},
	}, changed.Constants)
}

func TestConfigErrorsNameWhatWasFound(t *testing.T) {
	for text, want := range map[string]string{
		"INVARIANTT A":                    `"INVARIANTT" is not a keyword`,
		"CONSTANT A B = 1":                `after A: want = or <-, found "B"`,
		"CONSTANT A = {1 2}":              `want , or }, found "2"`,
		"CONSTANT A = {1":                 `want , or }, found ""`,
		"CONSTANT A =":                    `"" is not a value`,
		"CONSTANT A <- 3":                 `"3" does not name a definition`,
		"SPECIFICATION A SPECIFICATION B": `SPECIFICATION takes one name, once`,
		"CHECK_DEADLOCK maybe":            `"maybe" is neither TRUE nor FALSE`,
	} {
		_, err := ParseConfig(text)
		assert.ErrorContains(t, err, want, text)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(sampleConfig)
	f.Add("CONSTANT A = {{1, -2}, {}} INIT I NEXT N")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := ParseConfig(text)
		if err != nil {
			return
		}
		again, err := ParseConfig(cfg.String())
		require.NoError(t, err, cfg.String())
		require.Equal(t, cfg, again)
	})
}

func TestChoiceGoesDownOneBranch(t *testing.T) {
	assert.Equal(t, "a", Choice([]string{"a"}))
	assert.Equal(t, "IF i < 2 THEN a\nELSE IF i < 3 THEN b\nELSE c", Choice([]string{"a", "b", "c"}))
}
