package reference

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	Acts   []string          // the actions that take part
}

// System is the specification as a state machine: the registry, its nodes, their
// clocks and what is in flight. States hold no wall-clock time: every Instant is
// relative to the true present, as in Registry.tla, and stops at a floor below
// which no guard can tell two values apart. A System is immutable and safe for
// concurrent use.
type System struct {
	bounds Bounds
	cfg    registry.Config
	acts   map[string]bool
	rules  rules
}

// rules are the guards that the actions use; tests break one at a time.
type rules struct {
	claim    func(registry.Config, Record, registry.Standing, registry.Instant) Guard
	renew    func(registry.Config, Record, registry.NodeRef, registry.Token, registry.Instant) Guard
	release  func(Record, registry.NodeRef, registry.Token) Guard
	transfer func(registry.Config, Record, registry.NodeRef, registry.Token, registry.Standing, registry.Instant) Guard
	validate func(Record, registry.Token) Guard
}

// NewSystem returns the system with the given bounds.
func NewSystem(b Bounds) *System {
	slices.Sort(b.Nodes)
	slices.Sort(b.Actors)
	y := &System{
		bounds: b,
		cfg: registry.Config{
			TTL: time.Duration(b.TTL), Grace: time.Duration(b.Grace), MaxClockSkew: time.Duration(b.Eps),
			FailureTimeout: time.Duration(b.FailureTimeout), AllowShortTTL: true,
		},
		acts:  map[string]bool{},
		rules: rules{claim: ClaimGuard, renew: RenewGuard, release: ReleaseGuard, transfer: TransferGuard, validate: ValidateGuard},
	}
	for _, a := range b.Acts {
		y.acts[a] = true
	}
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

// Step is an action with its arguments, as in "Claim(n1, a, 1, TRUE)".
type Step string

func stepOf(action string, args ...any) Step {
	b := make([]byte, 0, 48)
	b = append(append(b, action...), '(')
	for i, a := range args {
		if i > 0 {
			b = append(b, ", "...)
		}
		switch a := a.(type) {
		case bool:
			b = append(b, strings.ToUpper(strconv.FormatBool(a))...)
		case registry.NodeID:
			b = append(b, a...)
		case string:
			b = append(b, a...)
		default:
			b = fmt.Append(b, a)
		}
	}
	return Step(append(b, ')'))
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
func (y *System) self(s State, n int) registry.NodeRef { return y.ref(n, registry.Epoch(s.Proc[n])) }

func (y *System) hand(n, a int) int { return n*len(y.bounds.Actors) + a }

func claimID(k int) registry.ClaimID { return registry.ClaimID{15: byte(k)} }

// Believes reports whether node n serves actor a: by its own clock, its lease runs.
func (y *System) Believes(s State, n, a int) bool {
	return s.Clock[n] < s.Leases[y.hand(n, a)].Until
}

func (y *System) take(epoch registry.Epoch, r Record) Hand {
	return Hand{Epoch: epoch, Token: r.Token, Until: max(r.Expiry, y.leaseFloor())}
}

// written returns s with actor a's record replaced; versions saturate.
func (y *System) written(s State, a int, r Record) State {
	r.Version = min(r.Version, y.bounds.MaxVersion)
	s.Records = replaced(s.Records, a, r)
	return s
}

// begun returns s with a new tenure of a, that node n learns of if heard.
func (y *System) begun(s State, a int, r Record, n int, heard bool) State {
	s = y.written(s, a, r)
	s.Tenures = replaced(s.Tenures, a, Tenure{Num: s.Tenures[a].Num + 1, Open: true})
	if heard {
		s.Leases = replaced(s.Leases, y.hand(n, a), y.take(r.Holder.Epoch, r))
	}
	return s
}

// stopped returns s with node n no longer serving a; the lease stays in its hand.
func (y *System) stopped(s State, n, a int) State {
	h := s.Leases[y.hand(n, a)]
	h.Until = y.leaseFloor()
	s.Leases = replaced(s.Leases, y.hand(n, a), h)
	return s
}

func replaced[T any](list []T, i int, v T) []T {
	list = slices.Clone(list)
	list[i] = v
	return list
}

// The actions. Each returns the state after the step, or the guard that forbids it.

// Claim is node n's claim of a under claim id k; heard says whether the answer arrives.
func (y *System) Claim(s State, n, a, k int, heard bool) (State, Guard) {
	r, self, c := s.Records[a], y.self(s, n), s.Clock[n]
	if s.Proc[n] <= 0 || r.Token >= y.bounds.MaxToken || ClaimRepeats(y.cfg, r, self, claimID(k), c) {
		return s, impossible
	}
	if g := y.rules.claim(y.cfg, r, s.Members[n].Standing(self), c); g != Enabled {
		return s, g
	}
	return y.begun(s, a, ClaimEffect(y.cfg, r, self, claimID(k), c), n, heard), Enabled
}

// ClaimRepeat is the repetition of the claim that began the tenure.
func (y *System) ClaimRepeat(s State, n, a, k int) (State, Guard) {
	r, self := s.Records[a], y.self(s, n)
	if s.Proc[n] <= 0 || !ClaimRepeats(y.cfg, r, self, claimID(k), s.Clock[n]) {
		return s, impossible
	}
	s.Leases = replaced(s.Leases, y.hand(n, a), y.take(self.Epoch, r))
	return s, Enabled
}

// Renew is node n's renewal of the lease in its hand.
func (y *System) Renew(s State, n, a int, heard bool) (State, Guard) {
	r, h, c := s.Records[a], s.Leases[y.hand(n, a)], s.Clock[n]
	if s.Proc[n] == Down || h.Token == 0 {
		return s, impossible
	}
	if g := y.rules.renew(y.cfg, r, y.ref(n, h.Epoch), h.Token, c); g != Enabled {
		return s, g
	}
	r = RenewEffect(y.cfg, r, c)
	s = y.written(s, a, r)
	if heard {
		h.Until = max(r.Expiry, y.leaseFloor())
		s.Leases = replaced(s.Leases, y.hand(n, a), h)
	}
	return s, Enabled
}

// Release is node n's release of the lease in its hand; it stops serving first.
func (y *System) Release(s State, n, a int) (State, Guard) {
	r, h := s.Records[a], s.Leases[y.hand(n, a)]
	if s.Proc[n] == Down || h.Token == 0 {
		return s, impossible
	}
	if g := y.rules.release(r, y.ref(n, h.Epoch), h.Token); g != Enabled {
		return s, g
	}
	s = y.written(s, a, ReleaseEffect(r))
	s.Tenures = replaced(s.Tenures, a, Tenure{Num: s.Tenures[a].Num})
	return y.stopped(s, n, a), Enabled
}

// Transfer hands the lease in node n's hand to the latest incarnation of m; n
// stops serving first.
func (y *System) Transfer(s State, n, a, m int, heard bool) (State, Guard) {
	r, h, to, c := s.Records[a], s.Leases[y.hand(n, a)], s.Members[m].Ref, s.Clock[n]
	if s.Proc[n] == Down || h.Token == 0 || to.Epoch == 0 || r.Token >= y.bounds.MaxToken {
		return s, impossible
	}
	if heard && s.Proc[m] != int(to.Epoch) {
		return s, impossible
	}
	if g := y.rules.transfer(y.cfg, r, y.ref(n, h.Epoch), h.Token, s.Members[m].Standing(to), c); g != Enabled {
		return s, g
	}
	return y.begun(y.stopped(s, n, a), a, TransferEffect(y.cfg, r, to, c), m, heard), Enabled
}

// Lookup is a read by node n that finds itself named, and learns of its lease.
func (y *System) Lookup(s State, n, a int) (State, Guard) {
	r, self := s.Records[a], y.self(s, n)
	if s.Proc[n] <= 0 || r.Holder != self {
		return s, impossible
	}
	s.Leases = replaced(s.Leases, y.hand(n, a), y.take(self.Epoch, r))
	return s, Enabled
}

// RegisterNode starts a new incarnation of node n.
func (y *System) RegisterNode(s State, n int, mode registry.RegisterMode, heard bool) (State, Guard) {
	m := s.Members[n]
	if s.Proc[n] == Down || m.Ref.Epoch >= y.bounds.MaxEpoch {
		return s, impossible
	}
	if g := RegisterNodeGuard(m, mode); g != Enabled {
		return s, g
	}
	m = RegisterNodeEffect(m, y.bounds.Nodes[n], registry.NodeInfo{}, s.Clock[n])
	s.Members = replaced(s.Members, n, m)
	if heard {
		s.Proc = replaced(s.Proc, n, int(m.Ref.Epoch))
	}
	return s, Enabled
}

// Heartbeat is node n's, under the epoch that its process runs under.
func (y *System) Heartbeat(s State, n int) (State, Guard) {
	if s.Proc[n] <= 0 {
		return s, impossible
	}
	if g := HeartbeatGuard(s.Members[n], y.self(s, n)); g != Enabled {
		return s, g
	}
	s.Members = replaced(s.Members, n, HeartbeatEffect(s.Members[n], s.Clock[n]))
	return s, Enabled
}

// MarkFailed marks the latest incarnation of n failed, by the clock of another
// node, or its own.
func (y *System) MarkFailed(s State, by, n int) (State, Guard) {
	m := s.Members[n]
	if s.Proc[by] == Down || m.Ref.Epoch == 0 || MarkFailedRepeats(m, m.Ref) {
		return s, impossible
	}
	if g := MarkFailedGuard(y.cfg, m, m.Ref, s.Clock[by]); g != Enabled {
		return s, g
	}
	s.Members = replaced(s.Members, n, MarkFailedEffect(m))
	return s, Enabled
}

// DeregisterNode ends the incarnation that node n's process runs under; the
// process goes on.
func (y *System) DeregisterNode(s State, n int) (State, Guard) {
	if s.Proc[n] <= 0 {
		return s, impossible
	}
	if g := DeregisterNodeGuard(s.Members[n], y.self(s, n)); g != Enabled {
		return s, g
	}
	s.Members = replaced(s.Members, n, DeregisterNodeEffect(s.Members[n]))
	return s, Enabled
}

// Tick lets true time pass by one: what is relative to the present falls by one.
func (y *System) Tick(s State) (State, Guard) {
	s.Records, s.Members, s.Leases = slices.Clone(s.Records), slices.Clone(s.Members), slices.Clone(s.Leases)
	for a := range s.Records {
		s.Records[a].Expiry = max(s.Records[a].Expiry-1, y.expiryFloor())
	}
	for n := range s.Members {
		s.Members[n].LastSeen = max(s.Members[n].LastSeen-1, y.seenFloor())
	}
	for i := range s.Leases {
		s.Leases[i].Until = max(s.Leases[i].Until-1, y.leaseFloor())
	}
	return s, Enabled
}

// Drift lets node n's clock step to another reading within the bound.
func (y *System) Drift(s State, n int, reading registry.Instant) (State, Guard) {
	if s.Clock[n] == reading {
		return s, impossible
	}
	s.Clock = replaced(s.Clock, n, reading)
	return s, Enabled
}

// Crash ends node n's process: what it knew is gone, what it sent is not.
func (y *System) Crash(s State, n int) (State, Guard) {
	if s.Proc[n] <= 0 || s.Members[n].Ref.Epoch >= y.bounds.MaxEpoch {
		return s, impossible
	}
	s.Proc = replaced(s.Proc, n, Down)
	s.Leases = slices.Clone(s.Leases)
	for a := range y.bounds.Actors {
		s.Leases[y.hand(n, a)] = Hand{Until: y.leaseFloor()}
	}
	return s, Enabled
}

// Restart starts node n's process again; it has no epoch yet.
func (y *System) Restart(s State, n int) (State, Guard) {
	if s.Proc[n] != Down {
		return s, impossible
	}
	s.Proc = replaced(s.Proc, n, 0)
	return s, Enabled
}

// BeginWrite is node n's check of its belief before a guarded write, which then
// takes as long as it takes.
func (y *System) BeginWrite(s State, n, a int) (State, Guard) {
	w := Write{Actor: a, Token: s.Leases[y.hand(n, a)].Token, Num: s.Tenures[a].Num}
	if !y.Believes(s, n, a) || slices.Contains(s.Writes, w) || len(s.Writes) >= y.bounds.MaxWrites {
		return s, impossible
	}
	s.Writes = append(slices.Clone(s.Writes), w)
	slices.SortFunc(s.Writes, compareWrites)
	return s, Enabled
}

func compareWrites(v, w Write) int {
	return cmp.Or(cmp.Compare(v.Actor, w.Actor), cmp.Compare(v.Num, w.Num), cmp.Compare(v.Token, w.Token))
}

// LandWrite is the arrival of a write that is accepted.
func (y *System) LandWrite(s State, w Write) (State, Guard) {
	if g := y.rules.validate(s.Records[w.Actor], w.Token); g != Enabled {
		return s, g
	}
	return withoutWrite(s, w), Enabled
}

// RefuseWrite is the arrival of a write that is refused.
func (y *System) RefuseWrite(s State, w Write) (State, Guard) {
	if y.rules.validate(s.Records[w.Actor], w.Token) == Enabled {
		return s, impossible
	}
	return withoutWrite(s, w), Enabled
}

func withoutWrite(s State, w Write) State {
	s.Writes = slices.DeleteFunc(slices.Clone(s.Writes), func(v Write) bool { return v == w })
	return s
}
