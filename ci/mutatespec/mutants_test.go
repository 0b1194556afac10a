package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/tlc"
)

const toy = `---- MODULE Toy ----
(* Not this: a < b *)
EXTENDS Integers
VARIABLES x, y
Before == x < 1
Low == x <= 2 \* nor this: a < b
Move ==
  /\ Low
  /\ x' = x + 1
  /\ y' = [y EXCEPT !.a = x, !.b = IF Low THEN 1 ELSE 0]
Stay ==
  \/ x > 3
     /\ "a < b" # y
  \/ y.a = 0
Idle == Move /\ UNCHANGED <<x, y>>
Prop == x < 4
====
`

// Each kind of change is made where it can be, and nowhere else: not in comments
// and strings, not outside the machine, not where a variable gets its next value.
func TestEachKindOfMutantIsMade(t *testing.T) {
	mutants, err := target{module: "Toy", from: "Low", until: "Prop", reset: map[string]string{"y": "0"}, slips: []slip{{"Stay", "y.a = 0", "y.b = 0"}}}.Mutants(toy)
	require.NoError(t, err)
	made := map[string]Mutant{}
	for _, m := range mutants {
		_, twice := made[m.ID()]
		require.False(t, twice, m.ID())
		made[m.ID()] = m
		assert.NotEqual(t, toy, m.Text, m.ID())
		assert.Contains(t, m.Text, "Before == x < 1")
		assert.Contains(t, m.Text, "Prop == x < 4")
		_, err := tlc.ParseModule(m.Text)
		assert.NoError(t, err)
	}
	for id, text := range map[string]string{
		"Toy\tLow\t== x <= 2: <= => <":                    `Low == x < 2 \*`,
		"Toy\tLow\tx <= 2: 2 => 3":                        `Low == x <= 3 \*`,
		"Toy\tMove\tdrop Low":                             "  /\\ TRUE\n  /\\ x' = x + 1",
		"Toy\tMove\tno x' = x + 1":                        "  /\\ x' = x\n",
		"Toy\tMove\t= x + 1 /\\: + => -":                  "x' = x - 1",
		"Toy\tMove\tno !.a = x":                           "[y EXCEPT !.b = IF",
		"Toy\tMove\tno !.b = IF Low THEN 1 ELSE 0":        "[y EXCEPT !.a = x]",
		"Toy\tMove\tIF Low => FALSE":                      "IF FALSE THEN 1",
		"Toy\tStay\tdrop x > 3 /\\ \"a < b\" # y":         "  \\/ FALSE\n  \\/ y.a = 0",
		"Toy\tStay\tdrop \"a < b\" # y":                   "/\\ TRUE\n",
		"Toy\tStay\tdrop y.a = 0":                         "\\/ FALSE\nIdle",
		"Toy\tIdle\t== Move /\\ UNCHANGED <<: /\\ => \\/": "Idle == Move \\/ UNCHANGED <<x, y>>",
		"Toy\tStay\ty.a = 0 => y.b = 0":                   "\\/ y.b = 0\n",
		"Toy\tIdle\tUNCHANGED without y":                  "Idle == Move /\\ y' = 0 /\\ UNCHANGED <<x>>",
	} {
		if _, ok := made[id]; assert.True(t, ok, id) {
			assert.Contains(t, made[id].Text, text, id)
		}
	}
	for id := range made {
		assert.NotContains(t, id, "x ' =: = => #")
		assert.NotContains(t, id, "a < b: ")
	}
}

func TestTargetsAreInTheModules(t *testing.T) {
	for _, j := range targets {
		mutants, err := choose(j, flags{})
		require.NoError(t, err)
		assert.Greater(t, len(mutants), 40, j.module)
	}
	whole, err := target{module: "Toy", from: "Low"}.Mutants(toy)
	require.NoError(t, err)
	assert.Equal(t, "Prop", whole[len(whole)-1].Def, "up to the module's end")
	_, err = target{module: "Toy", from: "Low", slips: []slip{{"Low", "x > 3", "TRUE"}}}.Mutants(toy)
	assert.ErrorContains(t, err, `definition Low has no "x > 3"`)
	_, err = target{module: "Toy", from: "Low", until: "Gone"}.Mutants(toy)
	assert.ErrorContains(t, err, "no definition Gone")
}

// A reason is of one change, or of several that a pattern matches, and of no other.
func TestReasonsAreOfTheirMutantsAlone(t *testing.T) {
	why, err := reasons("# a comment\nToy\t*\tdrop \\w+\tbecause\nToy\tLow\tx <= 2: 2 => 3\tequal\n")
	require.NoError(t, err)
	for _, s := range []struct{ module, def, change, want string }{
		{"Toy", "Move", "drop Low", "because"},
		{"Toy", "Move", "drop Low now", ""},
		{"Other", "Move", "drop Low", ""},
		{"Toy", "Low", "x <= 2: 2 => 3", "equal"},
		{"Toy", "High", "x <= 2: 2 => 3", ""},
	} {
		assert.Equal(t, s.want, explain(why, Mutant{Module: s.module, Def: s.def, Change: s.change}), s.change)
	}
	for _, text := range []string{"Toy\tLow\tdrop x\n", "Toy\tLow\tdrop x\t\n", "Toy\tLow\tdrop (\tbecause\n"} {
		_, err := reasons(text)
		assert.ErrorContains(t, err, "explained.txt", text)
	}
	_, err = reasons(explained)
	assert.NoError(t, err)
}
