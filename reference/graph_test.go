package reference

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/stategraph"
	"github.com/kelpie-registry/registry/internal/tlc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const specDir = "../spec/tla"

// modelValue is a name that stands for itself where TLC may exchange it for another; to
// the reference it is a string.
var modelValue = regexp.MustCompile(`"\w*"|\b[a-z]\d\b`)

func quoted(name string) string { return strconv.Quote(strings.Trim(name, `"`)) }

// loadSystem builds the system of a specification configuration.
func loadSystem(t testing.TB, file string) *System {
	text, err := os.ReadFile(specDir + "/" + file)
	require.NoError(t, err)
	cfg, err := tlc.ParseConfig(string(text))
	require.NoError(t, err)
	return systemOf(t, cfg, file)
}

// systemOf builds the system of a configuration read from file.
func systemOf(t testing.TB, cfg tlc.Config, file string) *System {
	constants := map[string]stategraph.Value{}
	for _, a := range cfg.Constants {
		require.False(t, a.Substitute, "%s replaces %s: not the specification as it is", file, a.Name)
		v, err := stategraph.ParseValue(modelValue.ReplaceAllStringFunc(a.Value, quoted))
		require.NoError(t, err, a.Name)
		constants[a.Name] = v
	}
	num := func(name string) int {
		v, ok := constants[name]
		require.True(t, ok && v.Kind == stategraph.Int, "%s: %s is no number", file, name)
		delete(constants, name)
		return int(v.Num)
	}
	items := func(name string) []stategraph.Value {
		v, ok := constants[name]
		require.True(t, ok && v.Kind == stategraph.Set, "%s: %s is no set", file, name)
		delete(constants, name)
		return v.Items
	}
	b := Bounds{
		TTL: num("TTL"), Grace: num("Grace"), Eps: num("Eps"), FailureTimeout: num("FailureTimeout"),
		MaxToken: registry.Token(num("MaxToken")), MaxEpoch: registry.Epoch(num("MaxEpoch")),
		MaxVersion: registry.Version(num("MaxVersion")), MaxWrites: num("MaxWrites"),
	}
	for _, v := range items("Nodes") {
		b.Nodes = append(b.Nodes, registry.NodeID(v.Str))
	}
	for _, v := range items("Joined") {
		b.Joined = append(b.Joined, registry.NodeID(v.Str))
	}
	for _, v := range items("Actors") {
		b.Actors = append(b.Actors, v.Str)
	}
	for _, v := range items("ClaimIDs") {
		b.ClaimIDs = append(b.ClaimIDs, int(v.Num))
	}
	for _, v := range items("Acts") {
		b.Acts = append(b.Acts, Action(v.Str))
	}
	require.Len(t, items("Instances"), 1, "%s: the reference's registrations name no instance", file)
	require.Equal(t, 2*b.Eps, num("Margin"), "%s: the contract's margin is 2ε", file)
	require.Empty(t, items("Dropped"), "%s: the contract drops no conjunct", file)
	require.Empty(t, constants, "%s: constants that the reference does not know", file)
	return NewSystem(b)
}

// decoder turns a state of the specification into one of the reference. It is
// strict: a field that it does not read would be a difference not looked for.
type decoder struct {
	y   *System
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// fields returns the record's values in the order of the names asked for.
func (d *decoder) fields(v stategraph.Value, names ...string) []stategraph.Value {
	out := make([]stategraph.Value, len(names))
	if v.Kind != stategraph.Record || len(v.Fields) != len(names) {
		d.fail("%v does not have exactly the fields %v", v, names)
		return out
	}
	for i, n := range names {
		if out[i] = v.Get(n); out[i].Kind == 0 {
			d.fail("%v has no field %s", v, n)
		}
	}
	return out
}

func (d *decoder) num(v stategraph.Value) int {
	if v.Kind != stategraph.Int {
		d.fail("%v is no number", v)
	}
	return int(v.Num)
}

func (d *decoder) instant(v stategraph.Value) registry.Instant { return registry.Instant(d.num(v)) }

// state reads a state; ghosts are further variables that the reference has not.
func (d *decoder) state(text string, ghosts ...string) (State, error) {
	v, err := stategraph.ParseValue(text)
	if err != nil {
		return State{}, err
	}
	b := d.y.bounds
	nodes := make([]string, len(b.Nodes))
	for i, n := range b.Nodes {
		nodes[i] = string(n)
	}
	vars := d.fields(v, append([]string{"clock", "proc", "member", "record", "lease", "tenure", "writes"}, ghosts...)...)
	var s State
	for i, c := range d.fields(vars[0], nodes...) {
		s.Clock = append(s.Clock, d.instant(c))
		s.Proc = append(s.Proc, d.num(d.fields(vars[1], nodes...)[i]))
		s.Members = append(s.Members, d.member(b.Nodes[i], d.fields(vars[2], nodes...)[i]))
		for _, l := range d.fields(d.fields(vars[4], nodes...)[i], b.Actors...) {
			f := d.fields(l, "epoch", "token", "until")
			s.Leases = append(s.Leases, Hand{registry.Epoch(d.num(f[0])), registry.Token(d.num(f[1])), d.instant(f[2])})
		}
	}
	for a, r := range d.fields(vars[3], b.Actors...) {
		s.Records = append(s.Records, d.record(a, r))
		f := d.fields(d.fields(vars[5], b.Actors...)[a], "num", "open")
		s.Tenures = append(s.Tenures, Tenure{d.num(f[0]), f[1].Kind == stategraph.Bool && f[1].Num == 1})
	}
	for _, w := range vars[6].Items {
		f := d.fields(w, "actor", "token", "num")
		s.Writes = append(s.Writes, Write{slices.Index(b.Actors, f[0].Str), registry.Token(d.num(f[1])), d.num(f[2])})
	}
	slices.SortFunc(s.Writes, compareWrites)
	return s, d.err
}

func (d *decoder) record(a int, v stategraph.Value) Record {
	f := d.fields(v, "holder", "token", "version", "expiry", "claim")
	h := d.fields(f[0], "id", "epoch")
	r := Record{
		Actor:   d.y.actor(a),
		Holder:  registry.NodeRef{ID: registry.NodeID(h[0].Str), Epoch: registry.Epoch(d.num(h[1]))},
		Token:   registry.Token(d.num(f[1])),
		Version: registry.Version(d.num(f[2])),
		Expiry:  d.instant(f[3]),
	}
	if k := d.num(f[4]); k != 0 {
		r.ClaimID = claimID(k)
	}
	return r
}

var statuses = map[string]registry.NodeStatus{
	"none": registry.AnyStatus, "active": registry.NodeActive, "failed": registry.NodeFailed, "left": registry.NodeLeft,
}

func (d *decoder) member(id registry.NodeID, v stategraph.Value) Member {
	f := d.fields(v, "epoch", "status", "seen", "instance")
	status, ok := statuses[f[1].Str]
	if !ok {
		d.fail("unknown status %v", f[1])
	}
	if d.num(f[3]) != 0 {
		d.fail("%v has an instance, registrations of the reference have none", v)
	}
	m := Member{Status: status, LastSeen: d.instant(f[2])}
	if e := d.num(f[0]); e != 0 {
		m.Ref = registry.NodeRef{ID: id, Epoch: registry.Epoch(e)}
	}
	return m
}

// ghostLabel turns the ghost of an edge into the reference's text of the label.
func ghostLabel(ghost string) (string, error) {
	v, err := stategraph.ParseValue(ghost)
	if err != nil || v.Kind != stategraph.Tuple || len(v.Items) == 0 {
		return "", fmt.Errorf("%s is not a step", ghost)
	}
	var args []string
	for _, it := range v.Items[1:] {
		switch it.Kind {
		case stategraph.String:
			args = append(args, it.Str)
		case stategraph.Bool:
			args = append(args, strings.ToUpper(strconv.FormatBool(it.Num == 1)))
		default:
			args = append(args, fmt.Sprint(it.Num))
		}
	}
	return v.Items[0].Str + "(" + strings.Join(args, ", ") + ")", nil
}

// difference says where the reference is not the specification: the state, the
// action, what the specification allows and what the reference does.
func difference(text, step, spec, ref string) error {
	const form = "the reference differs from the specification\n  in state%s\n  step          %s\n  Registry.tla  %s\n  reference     %s"
	return fmt.Errorf(form, variables(text), step, spec, ref)
}

// variables prints a state with a line for each variable.
func variables(text string) string {
	v, err := stategraph.ParseValue(text)
	if err != nil {
		return text
	}
	var b strings.Builder
	for _, f := range v.Fields {
		fmt.Fprintf(&b, "\n    %-7s = %v", f.Key.Str, f.Value)
	}
	return b.String()
}

// specGraph is a graph of the specification in the reference's terms.
type specGraph struct {
	stategraph.Graph
	states []State
	texts  map[string]string // by key of the state
	edges  []map[string]int  // by state
}

func decodeGraph(y *System, g stategraph.Graph) (*specGraph, error) {
	d := &specGraph{Graph: g, texts: map[string]string{}, edges: make([]map[string]int, len(g.States))}
	for i, text := range g.States {
		s, err := (&decoder{y: y}).state(text)
		if err != nil {
			return nil, fmt.Errorf("state %s: %w", text, err)
		}
		if other, twice := d.texts[y.key(s)]; twice {
			return nil, fmt.Errorf("the reference cannot tell two states apart:\n  %s\n  %s", other, text)
		}
		d.states = append(d.states, s)
		d.texts[y.key(s)] = text
		d.edges[i] = map[string]int{}
	}
	steps := map[string]string{}
	for _, e := range g.Edges {
		step, known := steps[e.Action]
		if !known {
			var err error
			if step, err = ghostLabel(e.Action); err != nil {
				return nil, err
			}
			steps[e.Action] = step
		}
		if _, twice := d.edges[e.From][step]; twice {
			return nil, fmt.Errorf("the specification has two outcomes of %s in %s", step, g.States[e.From])
		}
		d.edges[e.From][step] = e.To
	}
	return d, nil
}

// compareGraph shows that the reference's graph and the specification's are
// equal: the initial state, and in every state of the specification exactly its
// edges, each to the same state. By induction the reachable states are the same.
func compareGraph(y *System, g *specGraph) error {
	if len(g.Initial) != 1 || y.key(g.states[g.Initial[0]]) != y.key(y.Init()) {
		return fmt.Errorf("the initial states differ: %s", variables(g.States[g.Initial[0]]))
	}
	for _, i := range breadthFirst(g.Graph) {
		if err := compareState(y, g, i); err != nil {
			return err
		}
	}
	return nil
}

// breadthFirst orders the states so that the first difference found is one
// nearest to the initial state.
func breadthFirst(g stategraph.Graph) []int {
	next := make([][]int, len(g.States))
	for _, e := range g.Edges {
		next[e.From] = append(next[e.From], e.To)
	}
	order := slices.Clone(g.Initial)
	seen := make([]bool, len(g.States))
	for _, i := range order {
		seen[i] = true
	}
	for at := 0; at < len(order); at++ {
		for _, j := range next[order[at]] {
			if !seen[j] {
				seen[j] = true
				order = append(order, j)
			}
		}
	}
	return order
}

func compareState(y *System, g *specGraph, i int) error {
	left := maps.Clone(g.edges[i])
	differ := func(step, spec, ref string) error { return difference(g.States[i], step, spec, ref) }
	for _, l := range y.Labels(g.states[i]) {
		step := y.Text(l)
		after, guard := y.Apply(g.states[i], l)
		to, allowed := left[step]
		delete(left, step)
		switch text, known := g.texts[y.key(after)]; {
		case guard != Enabled && allowed:
			return differ(step, "allows it", fmt.Sprintf("refuses it: %s", guard))
		case guard != Enabled:
		case !allowed:
			return differ(step, "does not allow it", "allows it")
		case !known:
			return differ(step, "leads to"+variables(g.States[to]), fmt.Sprintf("leads to a state that the specification does not reach: %+v", after))
		case text != g.States[to]:
			return differ(step, "leads to"+variables(g.States[to]), "leads to"+variables(text))
		}
	}
	for _, step := range slices.Sorted(maps.Keys(left)) {
		return differ(step, "allows it", "has no such step")
	}
	return nil
}

// models lists the models with the given root module.
func models(t testing.TB, module string) []stategraph.Model {
	all, err := stategraph.Models(os.DirFS(specDir))
	require.NoError(t, err)
	all = slices.DeleteFunc(all, func(m stategraph.Model) bool { return m.Module != module })
	require.NotEmpty(t, all)
	return all
}

var decoded sync.Map // model name to func() (*specGraph, error)

// model returns the graph of that name, read once for all tests, and a new
// system for it.
func model(t testing.TB, name string) (*specGraph, *System) {
	i := slices.IndexFunc(models(t, stategraph.Steps), func(m stategraph.Model) bool { return m.Name == name })
	require.NotEqual(t, -1, i, "no model %s", name)
	m := models(t, stategraph.Steps)[i]
	y := loadSystem(t, m.Config)
	read, _ := decoded.LoadOrStore(name, sync.OnceValues(func() (*specGraph, error) {
		g, err := m.Load(specDir)
		if err != nil {
			return nil, err
		}
		return decodeGraph(y, g)
	}))
	g, err := read.(func() (*specGraph, error))()
	require.NoError(t, err)
	return g, y
}

// The reference is the machine that the specification describes: its graph is
// TLC's, state by state and labelled edge by labelled edge, both ways.
func TestReferenceEqualsSpecification(t *testing.T) {
	for _, m := range models(t, stategraph.Steps) {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			g, y := model(t, m.Name)
			inputs, err := m.Inputs(os.DirFS(specDir))
			require.NoError(t, err)
			require.Equal(t, inputs, g.Inputs, "%s is of other modules than those here; regenerate it with: go run ./ci/graphs", m.File)
			require.NoError(t, compareGraph(y, g))
			explored, violation := y.Explore(Properties()...)
			require.Nil(t, violation)
			assert.Equal(t, len(g.States), explored.Len())
			assert.Equal(t, len(g.Edges), explored.Steps())
		})
	}
}

// The graphs are worth comparing: together they take every action, and they
// have the sizes that make a coincidence unlikely.
func TestGraphsCoverTheSpecification(t *testing.T) {
	actions := map[string]bool{}
	largest, nodes, actors := 0, 0, 0
	for _, m := range models(t, stategraph.Steps) {
		g, y := model(t, m.Name)
		nodes, actors = max(nodes, len(y.bounds.Nodes)), max(actors, len(y.bounds.Actors))
		if len(y.bounds.Nodes) > 1 && y.bounds.Eps > 0 && y.bounds.Grace > 0 {
			largest = max(largest, len(g.States))
		}
		for _, e := range g.Edges {
			name, _, _ := strings.Cut(strings.TrimPrefix(e.Action, "<<"), ",")
			name, err := strconv.Unquote(strings.TrimSuffix(name, ">>"))
			require.NoError(t, err)
			actions[name] = true
		}
	}
	assert.ElementsMatch(t, []string{
		"BeginWrite", "Claim", "ClaimRepeat", "Crash", "DeregisterNode", "Drift", "Heartbeat", "LandWrite", "Lookup", "MarkFailed", "Purge",
		"RefuseWrite", "RegisterNode", "Release", "Renew", "Restart", "Tick", "Transfer",
	}, slices.Collect(maps.Keys(actions)))
	assert.GreaterOrEqual(t, largest, 10_000, "states of the largest graph with two nodes, skew and grace")
	assert.GreaterOrEqual(t, nodes, 3)
	assert.GreaterOrEqual(t, actors, 2)
}

// key is what the explorer tells states apart by.
func (y *System) key(s State) string { return string(y.pack(nil, &s)) }
