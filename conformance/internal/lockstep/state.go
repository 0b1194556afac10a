package lockstep

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Run is a session in lockstep with the reference: every call
// is made on both with the same reading of the same clock, and the two answers
// must be equal. With one caller at a time the specification leaves no choice
// but the order of a listing, so that any difference is the backend's error.
//
// With a RealTime backend the reading is not known exactly. The reference is
// then given the reading that the answer reveals, or the middle of the call, and
// expiries are compared within the slack that this leaves.
type Run struct {
	*trial.Session
	Rng      *rand.Rand
	spec     *reference.Store
	Began    registry.Instant
	Nodes    []*Node
	Observer *Node // a handle that only reads, to look at what the others did
	Steps    []Step
	Text     op.Text
	beliefs  map[registry.ActorID][]belief
	rivalled map[registry.ActorID]bool // the actors in which more than one has believed
	Actors   []registry.ActorID        // that were granted
	Audits   bool                      // compare the records after every step
	Certain  bool                      // ends undecided, and is cleared, with the first unknown outcome
	behind   bool                      // the step before was not followed by an audit
	watching []*Watching               // that were begun
	worlds   []world                   // the states in which the reference may be; nil: the one that it has
	Late     []*lateCall               // calls that may still apply
	doubtful []call.Call               // read what unknown outcomes were about
	apart    int                       // how many states were possible when these were read
	known    map[registry.ActorID]bool // the same as actors
	excused  bool                      // the answer being judged breaks a waived rule
	breached bool                      // an earlier one did
	dialect  dialect.Dialect           // in which answers are right
	before   reference.View            // what the last call was about
	allowed  []string                  // the differences that would make the last answer right
	lacked   op.Kind                   // the last operation that was asked for and is not in the dialect
}

// Node is one process: a handle with its own clock.
type Node struct {
	W     *Run
	Name  string
	Ref   registry.NodeRef // of its latest registration
	Clock *registry.SkewedClock
	reads registry.Clock // what its handle reads: clock, or true time where the time is the store's
	H     registry.Handle
	model registry.Handle // on the reference
}

// Step is one line of the history: a call, or something that happened.
type Step struct {
	At, Clock registry.Instant
	Node      string
	call      call.Call
	What      string // what happened, where it is not a call
	Result    op.Result
	replay    bool          // made through do, so that it can be made again
	event     history.Event // a crash or a purge, which can be repeated too
	forgot    int           // by a purge
	seeds     *Seeds        // what was put into the cluster, instead of a call
	audited   bool          // the records were compared afterwards
}

// everybody is the node of a step that concerns all of them.
const everybody = "all"

// Note adds a call to the history that was made on the backend alone.
func (w *Run) Note(n *Node, c call.Call, got op.Result) {
	w.Steps = append(w.Steps, Step{At: w.Time.Now(), Clock: n.Clock.Now(), Node: n.Name, call: c, Result: got})
}

// know notes that an actor's record exists, so that a restart can be judged.
func (w *Run) know(a registry.ActorID) {
	if !w.known[a] {
		w.known[a] = true
		w.Actors = append(w.Actors, a)
	}
}

// Seeds is state that a Seeder is given.
type Seeds struct {
	Nodes   []registry.Node
	Records []registry.Placement
}

func (s Seeds) String() string {
	var parts []string
	for _, n := range s.Nodes {
		parts = append(parts, n.Ref.String())
	}
	for _, r := range s.Records {
		parts = append(parts, fmt.Sprintf("%s of %v token %d version %d", r.Actor.Name, r.Holder, r.Token, r.Version))
	}
	return "Seed(" + strings.Join(parts, ", ") + ")"
}

// belief is what a holder may conclude from the backend's answers alone: that
// it may serve the actor until its own clock reads the expiry. The guarantees
// are checked on beliefs before an answer is compared with the reference, so that
// a conviction names the guarantee that is broken, not only the answer.
type belief struct {
	node  *Node
	lease registry.Lease
}

// world is a possible state of the reference.
type world struct {
	state  reference.Snapshot
	landed lateCalls  // those of Run.Late that have taken effect
	made   *op.Result // what the call of unknown outcome would have been answered, where it took effect
}

// lateCall is a call that was told that it may still apply.
type lateCall struct {
	node     *Node
	call     call.Call
	first    *lateCall          // of those that equal it, made by the same node
	readings []registry.Instant // of the node's clock since
	awaited  bool               // it is being found out whether it has taken effect
}

// lateCalls are a few of Run.Late. They are not changed.
type lateCalls []*lateCall

func (s lateCalls) has(l *lateCall) bool { return slices.Contains(s, l) }

func (s lateCalls) with(l *lateCall) lateCalls { return append(slices.Clip(s), l) }

func (s lateCalls) without(l *lateCall) lateCalls {
	return slices.DeleteFunc(slices.Clone(s), func(o *lateCall) bool { return o == l })
}

// within reports whether every call of s is one of t.
func (s lateCalls) within(t lateCalls) bool {
	return !slices.ContainsFunc(s, func(l *lateCall) bool { return !t.has(l) })
}

// auditedSteps is up to how many steps of a script all are audited; of a longer one the
// last is, for all would take the square of its length. Where a history is made smaller,
// which repeats it over and over, up to auditedRepeats are audited that were not.
const (
	auditedSteps   = 500
	auditedRepeats = 150
)
