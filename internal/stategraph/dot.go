package stategraph

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// ghost is the variable of module RegistryGraph that carries the last step.
const ghost = "step"

// ReadDot reads what TLC wrote for -dump dot,actionlabels and projects the
// ghost away. Inputs is left empty.
func ReadDot(r io.Reader) (Graph, error) {
	d := dump{states: map[string]int{}, nodes: map[string]node{}}
	if err := eachLine(r, d.line); err != nil {
		return Graph{}, err
	}
	return d.graph()
}

// asked is the variable of module RegistryAsked: by operation, the pairs of a
// call and an answer that is right.
const asked = "asked"

// ReadAnswers reads what TLC wrote for -dump dot of module RegistryAsked. Each
// call with an answer becomes an edge from the state in which it is asked to
// itself; what a success leaves behind is in the label. Inputs is left empty.
func ReadAnswers(r io.Reader) (Graph, error) {
	labels := map[string][]string{} // by state
	err := eachLine(r, func(text string) error {
		id, rest, ok := strings.Cut(strings.TrimSpace(text), " ")
		if !ok || !isID(id) || strings.HasPrefix(rest, "-> ") {
			return nil
		}
		label, _, err := cutLabel(rest)
		if err != nil {
			return err
		}
		v, err := ParseState(label)
		if err != nil {
			return err
		}
		operations := v.Get(asked)
		if operations.Kind != Record {
			return fmt.Errorf("the state has no variable %s", asked)
		}
		v.Fields = slices.DeleteFunc(v.Fields, func(f Field) bool { return f.Key.Str == asked })
		state := v.String()
		if _, twice := labels[state]; twice {
			return nil // an initial state is printed twice
		}
		labels[state] = []string{}
		for _, f := range operations.Fields {
			for _, pair := range f.Value.Items {
				labels[state] = append(labels[state], pair.String())
			}
		}
		return nil
	})
	var g Graph
	for i, state := range slices.Sorted(maps.Keys(labels)) {
		g.States, g.Initial = append(g.States, state), append(g.Initial, i)
		slices.Sort(labels[state])
		for _, label := range labels[state] {
			g.Edges = append(g.Edges, Edge{From: i, Action: label, To: i})
		}
	}
	return g, err
}

func eachLine(r io.Reader, take func(string) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<22)
	for no := 1; in.Scan(); no++ {
		if err := take(in.Text()); err != nil {
			return fmt.Errorf("dump line %d: %w", no, err)
		}
	}
	return in.Err()
}

// node is a state of the dump: the projected state and the step that led there.
type node struct {
	state int
	step  string
}

type dump struct {
	states  map[string]int // canonical text to index
	texts   []string
	nodes   map[string]node // by TLC's id
	initial map[int]bool
	edges   [][2]string
}

// line takes one line of the dump: "id [label=...]" is a state, "id -> id
// [...]" an edge, the rest is layout.
func (d *dump) line(text string) error {
	text = strings.TrimSpace(text)
	id, rest, ok := strings.Cut(text, " ")
	if !ok || !isID(id) {
		return nil
	}
	if to, ok := strings.CutPrefix(rest, "-> "); ok {
		to, _, _ = strings.Cut(to, " ")
		to = strings.TrimSuffix(to, ";")
		if !isID(to) {
			return fmt.Errorf("an edge leads to %q", to)
		}
		d.edges = append(d.edges, [2]string{id, to})
		return nil
	}
	label, rest, err := cutLabel(rest)
	if err != nil {
		return err
	}
	return d.node(id, label, strings.Contains(rest, "style = filled"))
}

func isID(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// cutLabel reads the quoted label, undoing TLC's escapes: \n breaks a line, and
// a backslash or quote follows a backslash.
func cutLabel(s string) (label, rest string, err error) {
	_, s, ok := strings.Cut(s, `[label="`)
	if !ok {
		return "", "", fmt.Errorf("a state has no label")
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i:], nil
		case s[i] == '\\' && i+1 < len(s):
			i++
			if s[i] == 'n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("a label does not end")
}

func (d *dump) node(id, label string, initial bool) error {
	if _, seen := d.nodes[id]; seen {
		return nil // an initial state is printed twice
	}
	v, err := ParseState(label)
	if err != nil {
		return err
	}
	step := v.Get(ghost)
	if step.Kind != Tuple {
		return fmt.Errorf("the state has no ghost variable %s", ghost)
	}
	v.Fields = slices.DeleteFunc(v.Fields, func(f Field) bool { return f.Key.Str == ghost })
	text := v.String()
	i, seen := d.states[text]
	if !seen {
		i = len(d.texts)
		d.states[text] = i
		d.texts = append(d.texts, text)
	}
	d.nodes[id] = node{state: i, step: step.String()}
	if initial {
		if d.initial == nil {
			d.initial = map[int]bool{}
		}
		d.initial[i] = true
	}
	return nil
}

// graph sorts states and edges. The ghost does not decide what is enabled, so
// that the nodes which become one state have the same edges; balanced checks it.
func (d *dump) graph() (Graph, error) {
	order := make([]int, len(d.texts)) // old index at new position
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(d.texts[a], d.texts[b]) })
	var g Graph
	position := make([]int, len(order))
	for i, old := range order {
		position[old] = i
		g.States = append(g.States, d.texts[old])
		if d.initial[old] {
			g.Initial = append(g.Initial, i)
		}
	}
	for _, e := range d.edges {
		from, ok1 := d.nodes[e[0]]
		to, ok2 := d.nodes[e[1]]
		if !ok1 || !ok2 {
			return Graph{}, fmt.Errorf("edge %s -> %s has an end that is no state", e[0], e[1])
		}
		g.Edges = append(g.Edges, Edge{From: position[from.state], Action: to.step, To: position[to.state]})
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Action, b.Action), cmp.Compare(a.To, b.To))
	})
	g.Edges = slices.Compact(g.Edges)
	if len(g.Initial) == 0 {
		return Graph{}, fmt.Errorf("the dump has no initial state")
	}
	return g, d.balanced(g, position)
}

// balanced reports a node with fewer edges than the state it became: the dump
// is cut short, or the ghost takes part in the model.
func (d *dump) balanced(g Graph, position []int) error {
	want := make([]int, len(g.States))
	for _, e := range g.Edges {
		want[e.From]++
	}
	got := map[string]int{}
	seen := map[[2]string]bool{}
	for _, e := range d.edges {
		if !seen[e] {
			seen[e] = true
			got[e[0]]++
		}
	}
	for id, n := range d.nodes {
		if s := position[n.state]; got[id] != want[s] {
			return fmt.Errorf("node %s has %d edges, its state has %d", id, got[id], want[s])
		}
	}
	return nil
}
