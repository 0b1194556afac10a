package main

import (
	"fmt"
	"slices"
	"strings"
)

// Mutant is one small change of a module.
type Mutant struct {
	Module string // "Registry"
	Def    string // the definition that is changed
	Line   int
	Change string // what was done, as "< => <=": with Def and the module its name
	Text   string // the whole module, changed
}

// ID names the mutant without its line, so that it outlives edits elsewhere.
func (m Mutant) ID() string { return m.Module + "\t" + m.Def + "\t" + m.Change }

// word is a lexeme with its place.
type word struct {
	text       string
	start, end int
	line, col  int // from 1
	def        string
}

// longest first, so that a prefix does not win
var symbols = []string{"|->", "<=>", "<<", ">>", "<=", ">=", "=>", "==", "/=", "/\\", "\\/", "->", "..", "[]", "<>", "~>", "<-"}

// words splits a module; comments are left out, strings are one word each.
func words(text string) []word {
	var out []word
	line, begin := 1, 0
	for i := 0; i < len(text); {
		n := lexeme(text[i:])
		w := text[i : i+n]
		if blank := strings.TrimSpace(w) == ""; !blank && !strings.HasPrefix(w, "(*") && !strings.HasPrefix(w, `\*`) {
			out = append(out, word{text: w, start: i, end: i + n, line: line, col: i - begin + 1})
		}
		for j := range n {
			if text[i+j] == '\n' {
				line, begin = line+1, i+j+1
			}
		}
		i += n
	}
	return out
}

func lexeme(s string) int {
	switch {
	case strings.HasPrefix(s, `\*`):
		return until(s, "\n")
	case strings.HasPrefix(s, "(*"):
		return until(s, "*)") + 2
	case s[0] == '"':
		return 2 + until(s[1:], `"`)
	case strings.HasPrefix(s, "----"), strings.HasPrefix(s, "===="):
		return len(s) - len(strings.TrimLeft(s, s[:1]))
	case isName(s[0]), s[0] == '\\' && len(s) > 1 && isName(s[1]):
		n := 1
		for n < len(s) && isName(s[n]) {
			n++
		}
		return n
	}
	for _, y := range symbols {
		if strings.HasPrefix(s, y) {
			return len(y)
		}
	}
	return 1
}

func until(s, end string) int {
	if i := strings.Index(s, end); i >= 0 {
		return i
	}
	return len(s) - len(end)
}

func isName(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// target is a module that is mutated, and how far: the properties that stand
// behind its machine judge it and are not changed.
type target struct {
	module string
	from   string            // the first definition that is changed
	until  string            // the first that is not; "" for the module's end
	reset  map[string]string // variable to another value that it may take where it should stay
	swaps  [][2]string       // names that are mistaken for each other
	slips  []slip
}

// slip is a change that somebody could make and that no rule makes.
type slip struct{ def, old, new string }

// swapped are the operators that are mistaken for each other.
var swapped = map[string][]string{
	"<": {"<=", ">="}, "<=": {"<", ">"}, ">": {">=", "<="}, ">=": {">", "<"}, "=": {"#"}, "#": {"="},
	"+": {"-"}, "-": {"+"}, "TRUE": {"FALSE"}, "FALSE": {"TRUE"}, "\\in": {"\\notin"}, "\\notin": {"\\in"},
	"\\E": {"\\A"}, "\\A": {"\\E"}, "\\cup": {"\\"},
}

// Mutants returns every mutant of the module's machine.
func (t target) Mutants(text string) ([]Mutant, error) {
	m := maker{target: t, text: text, words: words(text)}
	if err := m.locate(); err != nil {
		return nil, err
	}
	for i := range m.words {
		if m.words[i].def == "" {
			continue
		}
		m.operators(i)
		m.junction(i)
		m.unchanged(i)
		m.except(i)
		m.condition(i)
		m.arm(i)
	}
	for _, s := range t.slips {
		if err := m.slip(s); err != nil {
			return nil, err
		}
	}
	return m.out, nil
}

type maker struct {
	target
	text  string
	words []word
	out   []Mutant
	seen  map[string]int
	stays map[int]bool // lines of an UNCHANGED
}

func (m *maker) at(i int) string {
	if i < 0 || i >= len(m.words) {
		return ""
	}
	return m.words[i].text
}

// locate gives each word between from and until the definition it is in. A
// definition begins with a name in the first column.
func (m *maker) locate() error {
	def, open, closed := "", false, false
	m.stays = map[int]bool{}
	for i := range m.words {
		w := &m.words[i]
		m.stays[w.line] = m.stays[w.line] || w.text == "UNCHANGED"
		if w.col == 1 && isName(w.text[0]) && w.text != "VARIABLES" && w.text != "ASSUME" {
			if def = w.text; def == m.from {
				open = true
			}
			if def == m.until {
				open, closed = false, true
			}
		}
		if strings.HasPrefix(w.text, "----") || w.text == "ASSUME" || w.text == "VARIABLES" {
			def = ""
		}
		if open {
			w.def = def
		}
	}
	if !closed && m.until != "" {
		return fmt.Errorf("module %s: no definition %s after %s", m.module, m.until, m.from)
	}
	return nil
}

// add adds the mutant in which the text between two offsets is another.
func (m *maker) add(w word, start, end int, with, change string) {
	if m.seen == nil {
		m.seen = map[string]int{}
	}
	mutant := Mutant{Module: m.module, Def: w.def, Line: w.line, Change: change, Text: m.text[:start] + with + m.text[end:]}
	if m.seen[mutant.ID()]++; m.seen[mutant.ID()] > 1 {
		mutant.Change += fmt.Sprintf(" (%d)", m.seen[mutant.ID()])
	}
	m.out = append(m.out, mutant)
}

// around shows a word with its neighbours in the definition.
func (m *maker) around(i int) string {
	var shown []string
	for j := max(i-2, 0); j < min(i+3, len(m.words)); j++ {
		if m.words[j].def == m.words[i].def {
			shown = append(shown, m.words[j].text)
		}
	}
	return strings.Join(shown, " ")
}

// operators turns comparisons, signs and constants into others.
func (m *maker) operators(i int) {
	w := m.words[i]
	others := slices.Clone(swapped[w.text])
	for _, s := range m.swaps {
		if w.text == s[0] {
			others = append(others, s[1])
		}
		if w.text == s[1] {
			others = append(others, s[0])
		}
	}
	bound := slices.Contains([]string{"\\E", "\\A", ",", "["}, m.at(i-2)) // of a quantifier or a function
	if w.text == "=" && (m.at(i-1) == "'" || m.inExcept(i)) || bound && (w.text == "\\in" || w.text == "\\notin") || m.stays[w.line] {
		return
	}
	if w.text == "-" && (i == 0 || strings.Contains("==(<<,|->..>", m.at(i-1))) {
		others = nil // a sign
	}
	if n := w.text; len(n) == 1 && n[0] >= '0' && n[0] <= '8' {
		others = append(others, string(n[0]+1))
	}
	for _, o := range others {
		m.add(w, w.start, w.end, o, fmt.Sprintf("%s: %s => %s", m.around(i), w.text, o))
	}
}

// inExcept reports whether the = at i gives a part of an EXCEPT its value.
func (m *maker) inExcept(i int) bool {
	for j := i - 1; j >= 0 && !slices.Contains([]string{"=", ",", "EXCEPT", "/\\"}, m.at(j)); j-- {
		if m.at(j) == "!" {
			return true
		}
	}
	return false
}

// junction drops an item of a list of conjuncts or disjuncts, which is one that
// stands first in its line or opens such a list.
func (m *maker) junction(i int) {
	w := m.words[i]
	if w.text != "/\\" && w.text != "\\/" {
		return
	}
	bullet := i == 0 || m.words[i-1].line < w.line || slices.Contains([]string{"==", "IN", "=>", "(", ":", "/\\", "\\/", "->", "LET"}, m.at(i-1))
	neutral := "TRUE"
	if w.text == "\\/" {
		neutral = "FALSE"
	}
	if !bullet {
		other := map[string]string{"/\\": "\\/", "\\/": "/\\"}[w.text]
		m.add(w, w.start, w.end, other, fmt.Sprintf("%s: %s => %s", m.around(i), w.text, other))
		return
	}
	end := m.itemEnd(i)
	if end == i+1 {
		return
	}
	item := m.text[m.words[i+1].start:m.words[end-1].end]
	// An effect that is dropped leaves its variable as it was.
	if m.at(i+2) == "'" && m.at(i+3) == "=" {
		m.add(w, m.words[i+1].start, m.words[end-1].end, m.at(i+1)+"' = "+m.at(i+1), "no "+short(item))
		return
	}
	if !strings.Contains(item, "'") && m.at(i+1) != "UNCHANGED" {
		m.add(w, m.words[i+1].start, m.words[end-1].end, neutral, "drop "+short(item))
	}
}

// itemEnd is the index after the last word of the item that begins at i: a word
// on a later line and not right of the bullet ends it, and so does a bracket that
// closes what was open before.
func (m *maker) itemEnd(i int) int {
	depth := 0
	for j := i + 1; j < len(m.words); j++ {
		w := m.words[j]
		switch {
		case w.def != m.words[i].def, w.line > m.words[i].line && w.col <= m.words[i].col:
			return j
		case w.text == "(" || w.text == "[" || w.text == "{" || w.text == "<<":
			depth++
		case w.text == ")" || w.text == "]" || w.text == "}" || w.text == ">>":
			if depth--; depth < 0 {
				return j
			}
		case depth == 0 && w.line == m.words[i].line && w.text == m.words[i].text:
			return j
		}
	}
	return len(m.words)
}

// unchanged lets a variable that should stay fall back to another value.
func (m *maker) unchanged(i int) {
	if m.at(i) != "UNCHANGED" {
		return
	}
	for j := i + 1; j < len(m.words) && m.words[j].line == m.words[i].line; j++ {
		value, known := m.reset[m.at(j)]
		if !known {
			continue
		}
		v := m.words[j]
		list := m.text[m.words[i].start:v.start] + strings.TrimPrefix(strings.TrimPrefix(m.text[v.end:m.lineEnd(i)], ","), " ")
		list = strings.TrimSuffix(strings.TrimSpace(list), ", >>")
		if !strings.HasSuffix(list, ">>") {
			list += ">>"
		}
		m.add(v, m.words[i].start, m.lineEnd(i), v.text+"' = "+value+" /\\ "+list, "UNCHANGED without "+v.text)
	}
}

// lineEnd is the offset after the tuple of an UNCHANGED.
func (m *maker) lineEnd(i int) int {
	for j := i; j < len(m.words); j++ {
		if m.at(j) == ">>" {
			return m.words[j].end
		}
	}
	return len(m.text)
}

// except takes one change out of [f EXCEPT !.a = x, !.b = y].
func (m *maker) except(i int) {
	if m.at(i) != "!" || m.at(i-1) != "EXCEPT" && m.at(i-1) != "," {
		return
	}
	depth, j := 0, i
	for ; j < len(m.words); j++ {
		t := m.at(j)
		if depth == 0 && j > i && (t == "]" || t == ",") {
			break
		}
		switch t {
		case "(", "[", "{", "<<":
			depth++
		case ")", "]", "}", ">>":
			depth--
		}
	}
	start, end := m.words[i].start, m.words[j-1].end
	item := m.text[start:end]
	switch {
	case m.at(j) == ",":
		end = m.words[j+1].start
	case m.at(i-1) == ",":
		start = m.words[i-1].start
	default: // the only one: the value stays
		for k := i; k < j; k++ {
			if m.at(k) == "=" {
				m.add(m.words[i], m.words[k+1].start, end, "@", "no "+short(item))
				return
			}
		}
		return
	}
	m.add(m.words[i], start, end, "", "no "+short(item))
}

// condition decides an IF beforehand.
func (m *maker) condition(i int) {
	if m.at(i) != "IF" {
		return
	}
	for j := i + 1; j < len(m.words); j++ {
		if m.at(j) == "THEN" {
			start, end := m.words[i+1].start, m.words[j-1].end
			for _, v := range []string{"TRUE", "FALSE"} {
				m.add(m.words[i], start, end, v, "IF "+short(m.text[start:end])+" => "+v)
			}
			return
		}
	}
}

// arm takes an arm out of a CASE: its condition never holds.
func (m *maker) arm(i int) {
	if m.at(i) != "CASE" && (m.at(i) != "[]" || m.at(i+1) == "[") {
		return
	}
	for j := i + 1; j < len(m.words) && m.words[j].def == m.words[i].def; j++ {
		if m.at(j) == "->" {
			start, end := m.words[i+1].start, m.words[j-1].end
			if c := m.text[start:end]; c != "OTHER" {
				m.add(m.words[i], start, end, "FALSE", "no case "+short(c))
			}
			return
		}
	}
}

// slip makes one of the target's own changes, at the first place in its definition.
func (m *maker) slip(s slip) error {
	for i := range m.words {
		w := m.words[i]
		if w.def != s.def {
			continue
		}
		at := strings.Index(m.text[w.start:], s.old)
		end := w.start + at + len(s.old)
		if at < 0 || i+1 < len(m.words) && m.definitionEnd(i) < end {
			break
		}
		m.add(w, w.start+at, end, s.new, s.old+" => "+s.new)
		return nil
	}
	return fmt.Errorf("module %s: definition %s has no %q", m.module, s.def, s.old)
}

// definitionEnd is the offset after the last word of the definition of the word i.
func (m *maker) definitionEnd(i int) int {
	end := m.words[i].end
	for j := i; j < len(m.words) && m.words[j].def == m.words[i].def; j++ {
		end = m.words[j].end
	}
	return end
}

func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return s
}
