package smt

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTermsAreSharedAndSimplified(t *testing.T) {
	g := NewTerms()
	a, b, n := g.Symbol("a", Bool), g.Symbol("b", Bool), g.Symbol("n", Int)
	assert.Same(t, g.And(a, b), g.And(a, b))
	for name, pair := range map[string][2]*Term{
		"and false":        {g.And(a, g.False), g.False},
		"and true":         {g.And(a, g.True), a},
		"and of none":      {g.And(), g.True},
		"and twice":        {g.And(a, a), a},
		"or true":          {g.Or(a, g.True), g.True},
		"or false":         {g.Or(g.False, a), a},
		"or of none":       {g.Or(), g.False},
		"not not":          {g.Not(g.Not(a)), a},
		"implied by false": {g.Implies(g.False, a), g.True},
		"implied by true":  {g.Implies(g.True, a), a},
		"implies true":     {g.Implies(a, g.True), g.True},
		"implies false":    {g.Implies(a, g.False), g.Not(a)},
		"implies itself":   {g.Implies(a, a), g.True},
		"equal itself":     {g.Equal(n, n), g.True},
		"numerals":         {g.Equal(g.Number(1), g.Number(2)), g.False},
		"literals":         {g.Equal(g.Literal("x"), g.Literal("y")), g.False},
		"equal true":       {g.Equal(a, g.True), a},
		"equal false":      {g.Equal(g.False, a), g.Not(a)},
		"less":             {g.Less(g.Number(2), g.Number(2)), g.False},
		"at most":          {g.AtMost(g.Number(2), g.Number(2)), g.True},
		"ite true":         {g.Ite(g.True, n, g.Number(1)), n},
		"ite false":        {g.Ite(g.False, n, g.Number(1)), g.Number(1)},
		"ite alike":        {g.Ite(a, n, n), n},
		"ite to else":      {g.Ite(a, g.True, b), g.Or(a, b)},
		"ite to then":      {g.Ite(a, b, g.False), g.And(g.Implies(a, b), a)},
		"quantified truth": {g.Forall([]*Term{n}, g.True), g.True},
	} {
		assert.Same(t, pair[1], pair[0], name)
	}
	assert.NotEqual(t, g.Constant("c", Int), g.Constant("c", Int))
	assert.Panics(t, func() { g.Symbol("n", Bool) }, "one name, two sorts")
	assert.Panics(t, func() { g.Symbol("n", Int, a) }, "one name, two sorts")
}

func TestTermsInSMTLIB(t *testing.T) {
	g := NewTerms()
	x := g.Symbol("x", Int)
	f := g.Symbol("f", Str, g.Literal("a b"), x)
	for want, term := range map[string]*Term{
		"(- 3)":                           g.Number(-3),
		`(|f| |"a b| |x|)`:                f,
		"(forall ((|x| Int)) (< |x| 1))":  g.Forall([]*Term{x}, g.Less(x, g.Number(1))),
		"(=> (<= |x| 1) (not (= |x| 2)))": g.Implies(g.AtMost(x, g.Number(1)), g.Not(g.Equal(x, g.Number(2)))),
		"(ite |c| (+ |x| 1) (* |x| |x|))": g.Ite(g.Symbol("c", Bool), g.Arithmetic(Add, x, g.Number(1)), g.Arithmetic(Mul, x, x)),
		"|a_b_c|":                         g.Symbol(`a|b\c`, Int),
	} {
		assert.Equal(t, want, term.String())
	}
	assert.Equal(t, []*Term{g.Literal("a b")}, Literals(f, f))
	assert.Equal(t, "(declare-fun |f| (Str Int) Str)", declare(f))
}

// fake puts a program called name on the PATH that prints a version.
func fake(t *testing.T, name, output string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+output+"\n"), 0o755))
	return path
}

func TestASolverThatIsNotThereIsSaidToBeMissing(t *testing.T) {
	for name, path := range map[string]string{
		"none":       filepath.Join(t.TempDir(), "z3"),
		"too old":    fake(t, "z3", "echo Z3 version 4.8.11 - 64 bit"),
		"no version": fake(t, "z3", "echo hello"),
		"broken":     fake(t, "z3", "exit 3"),
	} {
		t.Setenv("Z3", path)
		_, err := Find(t.Context(), "z3")
		assert.ErrorIs(t, err, ErrNoSolver, name)
		assert.ErrorContains(t, err, path, name)
	}
	t.Setenv("Z3", fake(t, "z3", "echo Z3 version 4.10.0 - 64 bit"))
	s, err := Find(t.Context(), "z3")
	require.NoError(t, err)
	assert.Equal(t, "4.10.0", s.Version)
	_, err = Find(t.Context(), "z4")
	assert.NotErrorIs(t, err, ErrNoSolver)
}

// each runs a test with every solver that is installed.
func each(t *testing.T, f func(*testing.T, *Session)) {
	for name := range kinds {
		t.Run(name, func(t *testing.T) {
			solver, err := Find(t.Context(), name)
			if err != nil {
				t.Skip(err)
			}
			s, err := solver.Start(t.Context(), time.Minute, nil)
			require.NoError(t, err)
			defer s.Close()
			f(t, s)
		})
	}
}

func TestASessionAnswers(t *testing.T) {
	each(t, func(t *testing.T, s *Session) {
		g := NewTerms()
		n, p := g.Symbol("n", Int), g.Symbol("p", Bool)
		who, set := g.Symbol("who", Str), g.Symbol("set", Bool, g.Symbol("who", Str))
		require.NoError(t, s.Assert(g.Less(n, g.Number(-4)), g.Less(g.Number(-6), n), p))
		require.NoError(t, s.Assert(set, g.Equal(who, g.Literal("a"))))
		require.NoError(t, s.Declare(g.Literal("b")))
		v, err := s.Check()
		require.NoError(t, err)
		require.Equal(t, Sat, v)
		values, err := s.Values([]*Term{n, p, set, who, g.Literal("a"), g.Literal("b")})
		require.NoError(t, err)
		assert.Equal(t, []string{"-5", "true", "true"}, values[:3])
		assert.Equal(t, values[3], values[4])
		assert.NotEqual(t, values[4], values[5], "literals differ")

		require.NoError(t, s.Push())
		require.NoError(t, s.Assert(g.Equal(g.Symbol("m", Int), n), g.Less(n, g.Symbol("m", Int))))
		v, err = s.Check()
		require.NoError(t, err)
		assert.Equal(t, Unsat, v)
		require.NoError(t, s.Pop())
		require.NoError(t, s.Assert(g.Less(g.Symbol("m", Int), n)), "m is declared anew")
		v, err = s.Check()
		require.NoError(t, err)
		assert.Equal(t, Sat, v)
	})
}

func TestASessionThatCannotGoOnIsAnError(t *testing.T) {
	each(t, func(t *testing.T, s *Session) {
		require.NoError(t, s.send("(assert nonsense)"))
		_, err := s.Check()
		assert.Error(t, err)
	})
	t.Setenv("Z3", fake(t, "z3", "echo Z3 version 4.8.12 - 64 bit"))
	solver, err := Find(t.Context(), "z3")
	require.NoError(t, err)
	s, err := solver.Start(t.Context(), time.Minute, nil)
	if err == nil { // it ends at once, which is noticed now or at the first question
		defer s.Close()
		_, err = s.Check()
	}
	assert.Error(t, err, "a solver that ends")
}

func TestTheLastItemOfAnAnswer(t *testing.T) {
	for answer, want := range map[string]string{
		"((|n| (- 5)))":               "-5",
		"((|n| 5))":                   "5",
		"(((f x) true))":              "true",
		"((|a b| Str!val!0))":         "Str!val!0",
		"(((f |x|) (as @Str_1 Str)))": "(as @Str_1 Str)",
		"((|p\"(| @uc_Str_0))":        "@uc_Str_0",
		"(((f |a)|)\n  false))":       "false",
	} {
		assert.Equal(t, want, lastItem(answer), answer)
	}
	assert.Zero(t, balance("(|)(| \"((\")"))
}

func FuzzLastItem(f *testing.F) {
	f.Add("((|n| (- 5)))")
	f.Add("((")
	f.Fuzz(func(t *testing.T, answer string) { _ = fmt.Sprint(lastItem(answer), balance(answer)) })
}
