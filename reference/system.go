package reference

import (
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
)

// Bounds are the constants of a model: who takes part, how long things last in
// ticks, and how far counters go. They are those of Registry.tla under the same
// names; the margin of a reclaim is 2 Eps.
type Bounds struct {
	Nodes    []registry.NodeID
	Actors   []string
	ClaimIDs []int // from 1

	TTL, Grace, Eps, FailureTimeout int

	MaxToken   registry.Token
	MaxEpoch   registry.Epoch
	MaxVersion registry.Version
	MaxWrites  int

	Joined []registry.NodeID // run and are registered at the start
	Acts   []Action          // the actions that take part
}

// System is the specification as a state machine: the registry, its nodes, their
// clocks and what is in flight. States hold no wall-clock time: every Instant is
// relative to the true present, as in Registry.tla, and stops at a floor below
// which no guard can tell two values apart. A System is immutable and safe for
// concurrent use.
type System struct {
	bounds Bounds
	cfg    registry.Config
	acts   map[Action]bool
	labels []Label // see Labels
	step   StepFunc
}

// NewSystem returns the system with the given bounds.
func NewSystem(b Bounds) *System { return newSystem(b, Step) }

// newSystem returns the system of a registry whose operations are step.
func newSystem(b Bounds, step StepFunc) *System {
	slices.Sort(b.Nodes)
	slices.Sort(b.Actors)
	y := &System{
		bounds: b,
		cfg: registry.Config{
			TTL: time.Duration(b.TTL), Grace: time.Duration(b.Grace), MaxClockSkew: time.Duration(b.Eps),
			FailureTimeout: time.Duration(b.FailureTimeout), AllowShortTTL: true,
		},
		acts: map[Action]bool{},
		step: step,
	}
	for _, a := range b.Acts {
		y.acts[a] = true
	}
	y.labels = y.everyLabel()
	return y
}

// Down is the epoch of a process that does not run.
const Down = -1

// State is a state of a [System]. Nodes and actors go by their position in the
// sorted lists of the bounds. Equal states have equal keys.
type State struct {
	Clock   []registry.Instant // by node: its clock's reading
	Proc    []int              // by node: the epoch its process runs under; 0 none yet; Down
	Members []Member           // by node
	Records []Record           // by actor
	Leases  []Hand             // by node, then actor: what a node has in its hand
	Tenures []Tenure           // by actor: ghost
	Writes  []Write            // in flight, sorted
}

// set makes s a copy of t, in the room that s has.
func (s *State) set(t *State) {
	s.Clock = append(s.Clock[:0], t.Clock...)
	s.Proc = append(s.Proc[:0], t.Proc...)
	s.Members = append(s.Members[:0], t.Members...)
	s.Records = append(s.Records[:0], t.Records...)
	s.Leases = append(s.Leases[:0], t.Leases...)
	s.Tenures = append(s.Tenures[:0], t.Tenures...)
	s.Writes = append(s.Writes[:0], t.Writes...)
}

// Hand is a lease in a node's hand. The zero Token is no lease.
type Hand struct {
	Epoch registry.Epoch
	Token registry.Token
	Until registry.Instant // the node serves while its clock is before it
}

// Tenure counts the grants of an actor apart from its tokens, so that a wrong
// token can be told from a right one.
type Tenure struct {
	Num  int
	Open bool
}

// Write is a guarded write in flight, with the number of the tenure it was begun in.
type Write struct {
	Actor int
	Token registry.Token
	Num   int
}

// impossible is the guard of a step that the world, or a bound of the model,
// does not allow: no question to the registry.
const impossible Guard = "impossible"

// Floors: see Registry.tla for why no guard can tell lower instants apart.

func (y *System) expiryFloor() registry.Instant {
	return registry.Instant(-(3*y.bounds.Eps + y.bounds.Grace))
}

func (y *System) leaseFloor() registry.Instant { return registry.Instant(-y.bounds.Eps) }

func (y *System) seenFloor() registry.Instant {
	return registry.Instant(-(3*y.bounds.Eps + y.bounds.FailureTimeout))
}

// Init returns the initial state.
func (y *System) Init() State {
	nodes, actors := len(y.bounds.Nodes), len(y.bounds.Actors)
	s := State{
		Clock:   make([]registry.Instant, nodes),
		Proc:    make([]int, nodes),
		Members: make([]Member, nodes),
		Records: make([]Record, actors),
		Leases:  make([]Hand, nodes*actors),
		Tenures: make([]Tenure, actors),
	}
	for n, id := range y.bounds.Nodes {
		s.Members[n].LastSeen = y.seenFloor()
		if slices.Contains(y.bounds.Joined, id) {
			s.Proc[n] = 1
			s.Members[n].Ref, s.Members[n].Status = registry.NodeRef{ID: id, Epoch: 1}, registry.NodeActive
		}
	}
	for a := range s.Records {
		s.Records[a] = Record{Actor: y.actor(a), Expiry: y.expiryFloor()}
	}
	for i := range s.Leases {
		s.Leases[i].Until = y.leaseFloor()
	}
	return s
}

func (y *System) actor(a int) registry.ActorID {
	return registry.ActorID{Namespace: "model", Name: y.bounds.Actors[a]}
}

func (y *System) ref(n int, epoch registry.Epoch) registry.NodeRef {
	return registry.NodeRef{ID: y.bounds.Nodes[n], Epoch: epoch}
}

// self is the incarnation that node n's process takes itself for.
func (y *System) self(s *State, n int) registry.NodeRef { return y.ref(n, registry.Epoch(s.Proc[n])) }

func (y *System) hand(n, a int) int { return n*len(y.bounds.Actors) + a }

func claimID(k int) registry.ClaimID { return registry.ClaimID{15: byte(k)} }

// Believes reports whether node n serves actor a: by its own clock, its lease runs.
func (y *System) Believes(s State, n, a int) bool { return y.believes(&s, n, a) }

func (y *System) believes(s *State, n, a int) bool {
	return s.Clock[n] < s.Leases[y.hand(n, a)].Until
}
