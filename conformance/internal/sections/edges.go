package sections

import (
	"slices"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/reference"
)

// model is a bounded state graph of the specification, explored once a process.
type model struct {
	bounds reference.Bounds
	system *reference.System
	graph  *reference.Graph
	out    [][]int // by state: its edges, as indices of graph.Edges
	once   sync.Once

	questions []reference.Label // what is tried in every state
}

func (m *model) load() {
	m.once.Do(func() {
		m.system = reference.NewSystem(m.bounds)
		m.graph, _ = m.system.Explore()
		m.questions = questions(m.bounds)
		m.out = make([][]int, len(m.graph.States))
		for i, e := range m.graph.Edges {
			m.out[e.From] = append(m.out[e.From], i)
		}
	})
}

// The models that are walked. Their bounds are the suite's own, chosen for the time
// that a walk takes: those of the graphs in spec/tla, with which the reference is
// compared, are others, also where a name is the same.
var (
	tenureActs = []reference.Action{reference.Tick, reference.Claim, reference.ClaimRepeat, reference.Renew, reference.Release, reference.Transfer, reference.Lookup}

	// Two actors side by side: an operation on one must not touch the other.
	pairModel = &model{bounds: reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a", "b"}, ClaimIDs: []int{1}, TTL: 1, FailureTimeout: 1,
		MaxToken: 1, MaxEpoch: 1, MaxVersion: 2, Joined: []registry.NodeID{"n1", "n2"}, Acts: tenureActs}}
	// Three nodes and a grace.
	threeModel = &model{bounds: reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2", "n3"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 2, Grace: 1, FailureTimeout: 1,
		MaxToken: 3, MaxEpoch: 1, MaxVersion: 2, Joined: []registry.NodeID{"n1", "n2", "n3"}, Acts: tenureActs}}
	// Clocks that drift by ε either way.
	timeModel = &model{bounds: reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 4, Grace: 1, Eps: 1, FailureTimeout: 3,
		MaxToken: 2, MaxEpoch: 1, MaxVersion: 1, Joined: []registry.NodeID{"n1", "n2"}, Acts: append([]reference.Action{reference.Drift}, tenureActs...)}}
	// Nodes that register, fail, leave and come back.
	memberModel = &model{bounds: reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 1, FailureTimeout: 1,
		MaxToken: 1, MaxEpoch: 2, MaxVersion: 1, Joined: []registry.NodeID{"n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.Release, reference.RegisterNode, reference.Heartbeat, reference.MarkFailed, reference.DeregisterNode}}}
	// Processes that die with what they hold, and come back as new incarnations.
	crashModel = &model{bounds: reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 1, Grace: 1, FailureTimeout: 1,
		MaxToken: 2, MaxEpoch: 2, MaxVersion: 1, Joined: []registry.NodeID{"n1", "n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.Renew, reference.Release, reference.RegisterNode, reference.Crash, reference.Restart}}}
	// Guarded writes that arrive when they please.
	writeModel = &model{bounds: reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 2, FailureTimeout: 1,
		MaxToken: 3, MaxEpoch: 1, MaxVersion: 1, MaxWrites: 2, Joined: []registry.NodeID{"n1", "n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.Renew, reference.Release, reference.Transfer, reference.BeginWrite, reference.LandWrite, reference.RefuseWrite}}}
)

func edgesSection() trial.Section {
	edges := func(name, doc string, m *model, rules ...contract.RuleID) trial.Case {
		return trial.Case{Name: name, Doc: doc, Rules: rules, Needs: []backend.Capability{backend.ClockControl}, Run: func(t *trial.Trial) { edges(t, m) }}
	}
	return trial.Section{
		Name: "edges",
		Doc:  "every step of the specification's bounded state graphs, and every refusal in every state, carried out on the backend",
		Cases: []trial.Case{
			edges("pair", "two nodes and two actors", pairModel, "Claim.granted", "Claim.held", "Renew.granted", "Release.granted", "Transfer.granted", contract.RefusalNothing),
			edges("three", "three nodes, one actor, grace", threeModel, "Claim.granted", "Claim.held", "Renew.fenced", "Renew.lapsed", "Transfer.lapsed", "Release.fenced", contract.GraceRespected),
			edges("time", "two nodes whose clocks drift within the bound", timeModel, contract.SingleActivation, contract.GraceRespected, "Claim.held", "Renew.granted", "Renew.lapsed"),
			edges("member", "two nodes that register, fail, leave and come back", memberModel,
				"RegisterNode.granted", "RegisterNode.exists", "Heartbeat.granted", "Heartbeat.node-failed", "MarkFailed.granted", "MarkFailed.alive", "DeregisterNode.granted", contract.EpochFresh, contract.NoSuspicion),
			edges("crash", "two nodes whose processes die with what they hold and come back", crashModel,
				"RegisterNode.granted", "RegisterNode.exists", "Claim.granted", "Claim.held", "Renew.granted", contract.GraceRespected, contract.EpochFresh),
			edges("write", "guarded writes in flight while the tenure changes hands", writeModel, contract.NoStaleWrite, "Validate.granted", "Validate.fenced", "Validate.not-held"),
		},
	}
}

// walk is the way of one cluster through a model's graph.
type walk struct {
	w     *lockstep.Run
	m     *model
	state int
	unit  time.Duration // a tick of the model
}

// scriptLength bounds a walk, so that its history can be read and repeated.
const scriptLength = 400

// edges covers the graph with walks: each goes along steps not yet taken while
// there are any, else by the shortest way to one, and begins anew on an empty
// cluster when none can be reached. In each state, when it is first reached,
// everything that the specification refuses is tried.
func edges(t *trial.Trial, m *model) {
	m.load()
	plan := newPlanner(m)
	taken := plan.taken
	reached := make([]bool, len(m.graph.States))
	left, scripts := len(taken), 0
	for left > 0 {
		k := newWalk(t, m)
		scripts++
		for range scriptLength {
			k.refusals(t, reached)
			path := plan.next(k.state)
			if path == nil {
				break
			}
			for _, i := range path {
				k.w.Audits = !taken[i]
				k.take(t, m.graph.Edges[i])
				if !taken[i] {
					taken[i] = true
					left--
				}
			}
		}
		k.w.Close()
	}
	t.Coverage.States, t.Coverage.Edges, t.Coverage.Scripts = len(m.graph.States), len(taken), scripts
}

// planner finds the way to steps not yet taken.
type planner struct {
	m     *model
	taken []bool
	dead  []bool // by state: every step that can be reached from it is taken
	via   []int  // by state: the edge by which the present search found it
	found []int  // by state: the search that found it last
	queue []int  // of the present search
	round int
}

func newPlanner(m *model) *planner {
	states := len(m.graph.States)
	return &planner{m: m, taken: make([]bool, len(m.graph.Edges)), dead: make([]bool, states), via: make([]int, states), found: make([]int, states)}
}

// next returns the shortest path from a state that ends with an untaken step,
// nil when there is none. Steps only ever become taken, so that what a search
// without result has seen need not be searched again.
func (p *planner) next(from int) []int {
	p.round++
	p.found[from], p.via[from] = p.round, -1
	p.queue = append(p.queue[:0], from)
	for i := 0; i < len(p.queue); i++ {
		for _, e := range p.m.out[p.queue[i]] {
			if !p.taken[e] {
				return p.path(p.queue[i], e)
			}
			if to := p.m.graph.Edges[e].To; p.found[to] != p.round && !p.dead[to] {
				p.found[to], p.via[to] = p.round, e
				p.queue = append(p.queue, to)
			}
		}
	}
	for _, s := range p.queue {
		p.dead[s] = true
	}
	return nil
}

// path returns how the present search came to a state, and then the edge.
func (p *planner) path(state, last int) []int {
	path := []int{last}
	for e := p.via[state]; e >= 0; e = p.via[p.m.graph.Edges[e].From] {
		path = append(path, e)
	}
	slices.Reverse(path)
	return path
}

func newWalk(t *trial.Trial, m *model) *walk {
	b, unit := m.bounds, time.Second
	cfg := registry.Config{
		TTL: time.Duration(b.TTL) * unit, Grace: time.Duration(b.Grace) * unit, MaxClockSkew: time.Duration(b.Eps) * unit,
		FailureTimeout: time.Duration(b.FailureTimeout) * unit,
	}
	k := &walk{w: lockstep.New(t, cfg, t.Seed), m: m, unit: unit}
	k.w.Text.Namespace = "model"
	for _, id := range b.Nodes {
		n := k.w.Unregistered(string(id), 0)
		if slices.Contains(b.Joined, id) {
			n.Register(registry.IfAbsent)
		}
	}
	k.w.Advance(cfg.FailureTimeout + 3*cfg.MaxClockSkew) // those who joined did so as long ago as can be told apart
	return k
}

// take carries out an edge: the same step on the backend and the reference.
func (k *walk) take(t *trial.Trial, e reference.Edge) {
	s, l := k.m.graph.States[e.From], e.Label
	n := k.w.Nodes[l.Node]
	switch l.Action {
	case reference.Tick:
		k.w.Time.Advance(k.unit)
	case reference.Drift:
		n.Clock.SetOffset(time.Duration(l.Reading) * k.unit)
	case reference.Crash:
		n.Crash()
	case reference.Restart: // its handle was opened with the crash
	case reference.BeginWrite: // a node's look at its own clock
	case reference.RefuseWrite: // the one step that is a refusal
		k.w.Is(n.Do(k.call(s, l)), reference.ValidateGuard(s.Records[l.Actor], l.Token).Refusal())
	default:
		k.w.Is(n.Do(k.call(s, l)), nil)
	}
	k.state = e.To
	t.Coverage.Note(string(l.Action))
}

func (k *walk) call(s reference.State, l reference.Label) call.Call {
	return call.Call{Call: k.m.system.Call(s, l)}
}

// refusals tries in a new state everything that the specification refuses
// there. A refusal changes nothing, so the walk stays where it is; that nothing has
// changed is looked at once, after the last.
func (k *walk) refusals(t *trial.Trial, reached []bool) {
	if reached[k.state] {
		return
	}
	reached[k.state] = true
	s := k.m.graph.States[k.state]
	k.w.Audits = false
	for _, l := range k.m.questions {
		_, g := k.m.system.Apply(s, l)
		if g.Refusal() == nil { // enabled, or not a question to the registry
			continue
		}
		k.w.Is(k.w.Nodes[l.Node].Do(k.call(s, l)), g.Refusal())
		t.Coverage.Note(string(l.Action) + " refused by " + string(g))
	}
	k.w.AuditAll(contract.RefusalNothing)
}

// questions are the labels of operations that a registry can refuse, each once:
// whether an answer arrives makes no difference to it.
func questions(b reference.Bounds) (list []reference.Label) {
	add := func(l reference.Label) { list = append(list, l) }
	for n := range b.Nodes {
		for a := range b.Actors {
			add(reference.Label{Action: reference.Claim, Node: n, Actor: a, ClaimID: 1})
			add(reference.Label{Action: reference.Renew, Node: n, Actor: a})
			add(reference.Label{Action: reference.Release, Node: n, Actor: a})
			for to := range b.Nodes {
				add(reference.Label{Action: reference.Transfer, Node: n, Actor: a, To: to})
			}
		}
		if !slices.Contains(b.Acts, reference.RegisterNode) {
			continue
		}
		add(reference.Label{Action: reference.RegisterNode, Node: n, Mode: registry.IfAbsent})
		add(reference.Label{Action: reference.Heartbeat, Node: n})
		add(reference.Label{Action: reference.DeregisterNode, Node: n})
		for other := range b.Nodes {
			add(reference.Label{Action: reference.MarkFailed, Node: n, To: other})
		}
	}
	return list
}
