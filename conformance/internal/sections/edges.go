package sections

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/tour"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/reference"
)

// model is a bounded state graph of the specification, planned once a process.
type model struct {
	bounds reference.Bounds
	plan   func() *tour.Plan
}

func newModel(b reference.Bounds) *model {
	return &model{b, sync.OnceValue(func() *tour.Plan { return tour.New(reference.NewSystem(b), questions(b)) })}
}

// membership reports whether nodes come and go.
func (m *model) membership() bool { return slices.Contains(m.bounds.Acts, reference.RegisterNode) }

// The models that are walked. Their bounds are the suite's own, chosen for the time
// that a walk takes: those of the graphs in spec/tla, with which the reference is
// compared, are others, also where a name is the same.
var (
	tenureActs = []reference.Action{reference.Tick, reference.Claim, reference.ClaimRepeat, reference.Renew, reference.Release, reference.Transfer, reference.Lookup}

	// Two actors side by side: an operation on one must not touch the other.
	pairModel = newModel(reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a", "b"}, ClaimIDs: []int{1}, TTL: 1, FailureTimeout: 1,
		MaxToken: 1, MaxEpoch: 1, MaxVersion: 2, Joined: []registry.NodeID{"n1", "n2"}, Acts: tenureActs})
	// Three nodes and a grace.
	threeModel = newModel(reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2", "n3"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 2, Grace: 1, FailureTimeout: 1,
		MaxToken: 3, MaxEpoch: 1, MaxVersion: 2, Joined: []registry.NodeID{"n1", "n2", "n3"}, Acts: tenureActs})
	// Clocks that drift by ε either way.
	timeModel = newModel(reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 4, Grace: 1, Eps: 1, FailureTimeout: 3,
		MaxToken: 2, MaxEpoch: 1, MaxVersion: 1, Joined: []registry.NodeID{"n1", "n2"}, Acts: append([]reference.Action{reference.Drift}, tenureActs...)})
	// Nodes that register, fail, leave and come back.
	memberModel = newModel(reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 1, FailureTimeout: 1,
		MaxToken: 1, MaxEpoch: 2, MaxVersion: 1, Joined: []registry.NodeID{"n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.Release, reference.RegisterNode, reference.Heartbeat, reference.MarkFailed, reference.DeregisterNode}})
	// Processes that die with what they hold, and come back as new incarnations.
	crashModel = newModel(reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 1, Grace: 1, FailureTimeout: 1,
		MaxToken: 2, MaxEpoch: 2, MaxVersion: 1, Joined: []registry.NodeID{"n1", "n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.Renew, reference.Release, reference.RegisterNode, reference.Crash, reference.Restart}})
	// Guarded writes that arrive when they please.
	writeModel = newModel(reference.Bounds{
		Nodes: []registry.NodeID{"n1", "n2"}, Actors: []string{"a"}, ClaimIDs: []int{1}, TTL: 2, FailureTimeout: 1,
		MaxToken: 3, MaxEpoch: 1, MaxVersion: 1, MaxWrites: 2, Joined: []registry.NodeID{"n1", "n2"},
		Acts: []reference.Action{reference.Tick, reference.Claim, reference.Renew, reference.Release, reference.Transfer, reference.BeginWrite, reference.LandWrite, reference.RefuseWrite}})
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

// edges carries out the plan's walks, many on a cluster, each with actors of its own.
// Clusters have nothing to do with each other: where places are idle, several are
// walked at the same time, and the first that convicts is the one that counts.
func edges(t *trial.Trial, m *model) {
	plan := m.plan()
	var parts [][][]tour.Step
	for left := plan.Walks; len(left) > 0; {
		n := fitting(left)
		parts = append(parts, left[:n])
		left = left[n:]
	}
	ends := make([]walked, len(parts))
	t.InOrder(len(parts), func(i int) bool {
		ends[i] = walkAll(t, m, parts[i])
		return ends[i].end == trial.Outcome{}
	})
	for _, w := range ends {
		t.Coverage.Add(w.coverage)
		switch {
		case w.end.Conviction != nil:
			t.ConvictedAt = int64(t.Coverage.Scripts)
			panic(t.Minimised(retraced(t, m, w.walks, w.end), t.Seed))
		case w.end != trial.Outcome{}:
			panic(w.end)
		}
	}
	t.Coverage.States, t.Coverage.Edges, t.Coverage.Walks = len(plan.Graph.States), len(plan.Graph.Edges), len(plan.Walks)
}

// walked is what came of the walks on one cluster.
type walked struct {
	end      trial.Outcome // zero: all were carried out
	walks    [][]tour.Step // those on the last cluster, up to the one that ended it
	coverage report.Coverage
}

// clusterCalls bounds the calls on one cluster, so that they can be repeated in full.
const clusterCalls = 400

// fitting returns how many of the walks, at least one, one cluster carries out.
func fitting(walks [][]tour.Step) (n int) {
	for calls := 0; n < len(walks); n++ {
		for _, s := range walks[n] {
			if s.Label.Action != reference.Tick && s.Label.Action != reference.Drift {
				calls++
			}
		}
		if n > 0 && calls > clusterCalls {
			break
		}
	}
	return n
}

// patience is how often a walk is begun anew that trouble in the store led astray.
const patience = 10

// walkAll carries out walks on one cluster. A walk from which trouble in the store has
// led away, or a waived breach, is left there, and a new cluster takes the rest: the
// first is begun anew, the second left out from there on.
func walkAll(t *trial.Trial, m *model, walks [][]tour.Step) (w walked) {
	for failed := 0; len(walks) > 0; {
		first, over := walks, false
		end := t.Attempt(func() {
			k := newWalker(t, m, false, &w.coverage)
			for ; len(walks) > 0; walks = walks[1:] {
				k.carryOut(walks[0])
				failed = 0
			}
			k.w.Close()
			over = true
		})
		switch failed++; {
		case over:
			return w
		case end == trial.Outcome{}: // a waived breach
			walks = walks[1:]
		case end.Conviction != nil || end.Undecided == "" || !t.Troubled() || failed == patience:
			w.end, w.walks = end, first[:len(first)-len(walks)+1]
			return w
		default:
			t.Again.Add(1)
		}
	}
	return w
}

// retraced returns the conviction by the last of the walks with the records read after
// each step, so that the step is named that has done it: of that walk alone, or else
// of all of them, or as it was found.
func retraced(t *trial.Trial, m *model, walks [][]tour.Step, found trial.Outcome) trial.Outcome {
	for _, part := range [][][]tour.Step{walks[len(walks)-1:], walks} {
		end := t.Attempt(func() {
			k := newWalker(t, m, true, new(report.Coverage))
			for _, walk := range part {
				k.carryOut(walk)
			}
			k.w.Close()
		})
		if end.Conviction != nil {
			return end
		}
	}
	return found
}

// walker carries out walks on a cluster.
type walker struct {
	t      *trial.Trial
	w      *lockstep.Run
	m      *model
	plan   *tour.Plan
	unit   time.Duration // a tick of the model
	strict bool          // the records are compared after each step
	seen   *report.Coverage
	walks  int // begun
	nodes  []*lockstep.Node
}

func newWalker(t *trial.Trial, m *model, strict bool, seen *report.Coverage) *walker {
	b, unit := m.bounds, time.Second
	cfg := registry.Config{
		TTL: time.Duration(b.TTL) * unit, Grace: time.Duration(b.Grace) * unit, MaxClockSkew: time.Duration(b.Eps) * unit,
		FailureTimeout: time.Duration(b.FailureTimeout) * unit,
	}
	k := &walker{t: t, w: lockstep.New(t, cfg, t.Seed), m: m, plan: m.plan(), unit: unit, strict: strict, seen: seen}
	k.w.Text.Namespace = "model"
	seen.Scripts++
	return k
}

// begin brings the cluster to the initial state, for actors that it has not seen, and
// where nodes come and go for such nodes.
func (k *walker) begin() {
	k.walks++
	fresh := k.walks == 1 || k.m.membership()
	if fresh {
		k.w.Leave()
	}
	k.w.Forget()
	if fresh {
		k.nodes = nil
		for _, id := range k.m.bounds.Nodes {
			n := k.w.Unregistered(k.named(string(id)), 0)
			k.nodes = append(k.nodes, n)
			if slices.Contains(k.m.bounds.Joined, id) {
				n.Register(registry.IfAbsent)
			}
		}
		k.w.Advance(k.w.Cfg.FailureTimeout + 3*k.w.Cfg.MaxClockSkew) // those who joined did so as long ago as can be told apart
	}
	for _, n := range k.nodes {
		n.Clock.SetOffset(0)
	}
}

// named returns the present walk's name for a node or an actor of the model.
func (k *walker) named(name string) string {
	if k.walks == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, k.walks)
}

// carryOut carries out one walk. What a step was about is read after it where the
// registry was not asked the same in the same state before, and after the last that
// changes anything. What others have done is seen by what comes next.
func (k *walker) carryOut(walk []tour.Step) {
	k.begin()
	last := lastChange(walk)
	for i, s := range walk {
		refusals := i+1 < len(walk) && walk[i+1].Guard != reference.Enabled && walk[i+1].New // come next: all is read after the last
		k.w.Audits = k.strict || s.Guard == reference.Enabled && (s.New || i == last) && !refusals
		if s.Guard == reference.Enabled {
			k.take(s)
			continue
		}
		k.is(s, s.Guard.Refusal())
		k.seen.Note(string(s.Label.Action) + " refused by " + string(s.Guard))
		if s.New && !refusals {
			k.w.AuditAll(contract.RefusalNothing)
		}
	}
}

// lastChange returns the place of the last step that changes a record or a
// registration, -1 when there is none.
func lastChange(walk []tour.Step) int {
	for i := len(walk) - 1; i >= 0; i-- {
		switch walk[i].Label.Action {
		case reference.Tick, reference.Drift, reference.Crash, reference.Lookup, reference.LandWrite, reference.RefuseWrite:
			continue
		}
		if walk[i].Guard == reference.Enabled {
			return i
		}
	}
	return -1
}

// take carries out an edge: the same step on the backend and the reference.
func (k *walker) take(s tour.Step) {
	n := k.nodes[s.Label.Node]
	switch s.Label.Action {
	case reference.Tick:
		k.w.Time.Advance(k.unit)
	case reference.Drift:
		n.Clock.SetOffset(time.Duration(s.Label.Reading) * k.unit)
	case reference.Crash: // the next one's handle is opened with it
		n.Crash()
	case reference.RefuseWrite: // the one step that is a refusal
		k.is(s, reference.ValidateGuard(k.plan.Graph.States[s.From].Records[s.Label.Actor], s.Label.Token).Refusal())
	default:
		k.is(s, nil)
	}
	k.seen.Note(string(s.Label.Action))
}

// is makes a step's call, with the walk's names for whom it is about, which is
// answered so.
func (k *walker) is(s tour.Step, want error) {
	c := k.plan.System.Call(k.plan.Graph.States[s.From], s.Label)
	if c.Actor.Name != "" {
		c.Actor.Name = k.named(c.Actor.Name)
	}
	if k.m.membership() {
		for _, id := range []*registry.NodeID{&c.Node.ID, &c.To.ID} {
			if *id != "" {
				*id = registry.NodeID(k.named(string(*id)))
			}
		}
	}
	k.w.Is(k.nodes[s.Label.Node].Do(call.Call{Call: c}), want)
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
