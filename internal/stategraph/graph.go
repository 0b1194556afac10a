package stategraph

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Graph is the complete labelled state graph of a model.
type Graph struct {
	Inputs  string   // [Model.Inputs] at the time it was made
	States  []string // canonical values, sorted
	Initial []int    // indices into States, sorted
	Edges   []Edge   // sorted, without repetition
}

// Edge is one step: what Action, a tuple with the action's name and arguments
// in canonical form, makes of a state.
type Edge struct {
	From   int
	Action string
	To     int
}

func inputs(fsys fs.FS, names ...string) (string, error) {
	h := sha256.New()
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

const header = "state graph 1"

// Write writes the graph, compressed.
func (g Graph) Write(w io.Writer) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(z)
	actions := g.actions()
	fmt.Fprintf(b, "%s\ninputs %s\n", header, g.Inputs)
	fmt.Fprintf(b, "states %d\n", len(g.States))
	for _, s := range g.States {
		fmt.Fprintln(b, s)
	}
	fmt.Fprintf(b, "initial %d\n", len(g.Initial))
	for _, i := range g.Initial {
		fmt.Fprintln(b, i)
	}
	fmt.Fprintf(b, "actions %d\n", len(actions))
	for _, a := range actions {
		fmt.Fprintln(b, a)
	}
	fmt.Fprintf(b, "edges %d\n", len(g.Edges))
	for _, e := range g.Edges {
		a, _ := slices.BinarySearch(actions, e.Action)
		fmt.Fprintln(b, e.From, a, e.To)
	}
	return errors.Join(b.Flush(), z.Close())
}

func (g Graph) actions() []string {
	seen := map[string]bool{}
	var out []string
	for _, e := range g.Edges {
		if !seen[e.Action] {
			seen[e.Action] = true
			out = append(out, e.Action)
		}
	}
	slices.Sort(out)
	return out
}

// Read reads what [Graph.Write] wrote.
func Read(r io.Reader) (Graph, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return Graph{}, err
	}
	l := lines{in: bufio.NewScanner(z)}
	l.in.Buffer(nil, 1<<20)
	var g Graph
	if l.next() != header {
		l.fail("not a state graph")
	}
	g.Inputs = l.after("inputs ")
	for range l.count("states ") {
		g.States = append(g.States, l.next())
	}
	for range l.count("initial ") {
		g.Initial = append(g.Initial, l.numbers(1, len(g.States))[0])
	}
	var actions []string
	for range l.count("actions ") {
		actions = append(actions, l.next())
	}
	for range l.count("edges ") {
		n := l.numbers(3, len(g.States), len(actions), len(g.States))
		if l.err != nil {
			break
		}
		g.Edges = append(g.Edges, Edge{From: n[0], Action: actions[n[1]], To: n[2]})
	}
	if l.err == nil && l.in.Scan() {
		l.fail("text after the end")
	}
	return g, l.err
}

// lines reads line by line and keeps the first error.
type lines struct {
	in  *bufio.Scanner
	no  int
	err error
}

func (l *lines) fail(problem string) {
	if l.err == nil {
		l.err = fmt.Errorf("line %d: %s", l.no, problem)
	}
}

func (l *lines) next() string {
	if l.err != nil {
		return ""
	}
	l.no++
	if !l.in.Scan() {
		l.fail(fmt.Sprint("ends early: ", cmp.Or(l.in.Err(), io.ErrUnexpectedEOF)))
	}
	return l.in.Text()
}

func (l *lines) after(prefix string) string {
	rest, ok := strings.CutPrefix(l.next(), prefix)
	if !ok {
		l.fail("does not start with " + prefix)
	}
	return rest
}

// maxCount bounds what a damaged file can make Read try.
const maxCount = 10_000_000

func (l *lines) count(prefix string) int {
	n, ok := natural(l.after(prefix))
	if !ok || n > maxCount {
		l.fail("no count")
	}
	if l.err != nil {
		return 0
	}
	return n
}

// numbers reads n numbers, each below its limit.
func (l *lines) numbers(n int, limits ...int) []int {
	out := make([]int, n)
	fields := strings.Fields(l.next())
	if len(fields) != n {
		l.fail(fmt.Sprintf("want %d numbers", n))
		return out
	}
	for i, f := range fields {
		v, ok := natural(f)
		if !ok || v >= limits[i] {
			l.fail(fmt.Sprintf("number %d is out of bounds", i+1))
			return out
		}
		out[i] = v
	}
	return out
}

// natural reads a number as it is written: without a sign, without leading zeros.
func natural(s string) (n int, ok bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == s
}
