// Package traffic draws random operations: what kind, by whom and about what, and what
// the clients know by which they make them.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/op"
)

// Action is one step of a sequence or a scenario. Whom it is about is resolved when
// it is carried out, so that it means something in every state, and steps before it
// can be left out.
type Action struct {
	Kind  op.Kind // an operation, or what happens in the world between them: tick, drift, crash
	Node  int     // who acts, or whose clock decides
	Actor int
	To    int             // Transfer: to whom; membership: about whom
	Pick  whose           // which lease, claim id or incarnation
	To2   int             // spare choice: page size, boundary
	by    int             // tick: nanoseconds beside the boundary
	Ends  contexts.Ending // when the context of the call ends, where contexts do
}

// What happens in the world between operations, as kinds beyond theirs.
const (
	Tick  op.Kind = 0xF0 + iota // true time moves to a boundary
	Drift                       // a node's clock moves within the skew, in either direction
	Crash                       // a process or the cluster restarts
	Purge                       // a process with a node's clock has the store forget
)

// whose says which of the known leases, ids or incarnations an action uses.
type whose int

const (
	own     whose = iota // the node's own latest
	Current              // the latest that anybody is known to have
	stale                // one before the latest: a zombie's
	forged               // one that was never given out
	nWhose
)

// Knowledge is what the clients of a case know: the leases granted so far, the
// claim ids used, the incarnations. It is safe for concurrent use.
type Knowledge struct {
	mu     sync.Mutex
	Names  []string
	refs   []registry.NodeRef // latest known incarnation of each node
	leases [][]registry.Lease // per actor, in the order in which they were learned

	instances map[int]registry.InstanceID // the latest of each node; nil when the backend does not know them
	ids       map[[2]int]registry.ClaimID
	rng       *rand.Rand
}

func NewKnowledge(nodes, actors int, rng *rand.Rand, instances bool) *Knowledge {
	b := &Knowledge{leases: make([][]registry.Lease, actors), ids: map[[2]int]registry.ClaimID{}, rng: rng}
	if instances {
		b.instances = map[int]registry.InstanceID{}
	}
	for i := range nodes {
		name := fmt.Sprintf("n%d", i+1)
		b.Names = append(b.Names, name)
		b.refs = append(b.refs, registry.NodeRef{ID: registry.NodeID(name), Epoch: 1})
	}
	return b
}

func ActorID(i int) registry.ActorID {
	return registry.ActorID{Namespace: "conform", Name: string(rune('a' + i))}
}

func (b *Knowledge) newID() registry.ClaimID {
	var id registry.ClaimID
	for i := range id {
		id[i] = byte(b.rng.Uint32())
	}
	id[0] |= 1
	return id
}

// lease resolves whose lease of the actor is meant.
func (b *Knowledge) lease(a Action) registry.Lease {
	known := b.leases[a.Actor]
	if len(known) == 0 {
		return registry.Lease{Actor: ActorID(a.Actor), Holder: b.refs[a.Node], Token: 1}
	}
	last := known[len(known)-1]
	switch a.Pick {
	case own:
		for i := len(known) - 1; i >= 0; i-- {
			if known[i].Holder.ID == b.refs[a.Node].ID {
				return known[i]
			}
		}
	case stale:
		if len(known) > 1 {
			return known[(len(known)-2+a.To2)%(len(known)-1)]
		}
	case forged:
		if a.To2%2 == 0 {
			last.Token++
		} else {
			last.Holder = b.refs[a.To]
		}
	}
	return last
}

// ref resolves which incarnation of node i is meant.
func (b *Knowledge) ref(i int, pick whose) registry.NodeRef {
	ref := b.refs[i]
	switch {
	case pick == stale && ref.Epoch > 1:
		ref.Epoch--
	case pick == forged:
		ref.Epoch++
	}
	return ref
}

// claimID resolves which ClaimID a claim carries: mostly a new one.
func (b *Knowledge) claimID(a Action) registry.ClaimID {
	key := [2]int{a.Node, a.Actor}
	switch a.Pick {
	case Current: // a repetition of its own latest attempt
		if id, ok := b.ids[key]; ok {
			return id
		}
	case stale: // the id of whoever claimed last
		if known := b.leases[a.Actor]; len(known) > 0 && !known[len(known)-1].ClaimID.IsZero() {
			return known[len(known)-1].ClaimID
		}
	}
	id := b.newID()
	b.ids[key] = id
	return id
}

// instance resolves under which instance a node registers: mostly a new one, for
// a new process; now and then the latest again, or none.
func (b *Knowledge) instance(a Action) registry.InstanceID {
	switch {
	case b.instances == nil || a.To2%6 == 5:
		return registry.InstanceID{}
	case a.To2%2 == 0:
		again := b.instances[a.To][15] + 1
		b.instances[a.To] = registry.InstanceID{0: byte(a.To + 1), 1: again, 14: byte(len(b.ids)), 15: again}
	}
	return b.instances[a.To]
}

// Call makes the operation of an action from what is known now.
func (b *Knowledge) Call(a Action) call.Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch a.Kind {
	case op.Claim:
		as := own
		if a.Pick == forged {
			as = whose(1 + a.To2%3)
		}
		return call.Claim(ActorID(a.Actor), b.ref(a.Node, as), b.claimID(a))
	case op.RenewBatch:
		var leases []registry.Lease
		for actor := range b.leases {
			a.Actor = actor
			leases = append(leases, b.lease(a))
		}
		if a.To2%2 == 1 {
			slices.Reverse(leases) // two batches at the same time that lock in their order wait for each other
		}
		if a.To2%3 == 0 {
			leases = append(leases, leases[0]) // once more
		}
		return call.RenewBatchCall(leases)
	case op.Transfer:
		return call.Transfer(b.lease(a), b.ref(a.To, []whose{own, own, own, stale, forged}[a.To2%5]))
	case op.Lookup:
		return call.Lookup(ActorID(a.Actor))
	case op.Watch:
		l := registry.Lease{}
		if known := b.leases[a.Actor]; len(known) > 0 {
			l = known[len(known)-1]
		}
		return call.WatchCall(ActorID(a.Actor), l.Version)
	case op.Validate:
		return call.Validate(ActorID(a.Actor), b.lease(a).Token)
	case op.ListActors:
		return call.ListActors(b.ref(a.To, a.Pick), 1+a.To2/6)
	case op.RegisterNode:
		mode := registry.Supersede
		if a.Pick != own {
			mode = registry.IfAbsent
		}
		return call.RegisterNode(b.refs[a.To].ID, registry.NodeInfo{Address: b.Names[a.Node], Instance: b.instance(a)}, mode)
	case op.Heartbeat:
		return call.Heartbeat(b.ref(a.To, a.Pick))
	case op.MarkFailed:
		return call.MarkFailed(b.ref(a.To, a.Pick))
	case op.DeregisterNode:
		return call.Deregister(b.ref(a.To, a.Pick))
	case op.GetNode:
		return call.GetNode(b.refs[a.To].ID)
	case op.Close:
		return call.CloseHandle()
	case op.ListNodes:
		return call.ListNodes(registry.NodeStatus(a.To2%4), 1+a.To2)
	}
	if a.Kind.Presents() {
		return call.Call{Call: op.OnLease(a.Kind, b.lease(a))}
	}
	panic(fmt.Sprintf("conformance: no operation %d", a.Kind))
}

// Learn keeps what an answer tells about leases and incarnations.
func (b *Knowledge) Learn(a Action, got op.Result) {
	if got.Err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case a.Kind.Grants():
		known := b.leases[a.Actor]
		l := got.Lease()
		for i := range known {
			if known[i].Token == l.Token {
				known[i] = l
				return
			}
		}
		b.leases[a.Actor] = append(known, l)
	case a.Kind == op.RegisterNode:
		if got.Node.Ref.Epoch > b.refs[a.To].Epoch {
			b.refs[a.To] = got.Node.Ref
		}
	}
}

// Latest returns the actor's latest known lease.
func (b *Knowledge) Latest(actor int) (registry.Lease, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.leases[actor]
	if len(known) == 0 {
		return registry.Lease{}, false
	}
	return known[len(known)-1], true
}

// Mix is the relative frequency of each kind of action.
type Mix map[op.Kind]int

// order fixes the iteration over a mix, on which what a seed draws depends. Operations
// that are not named here come last.
var order = ordered(
	op.Claim, op.Renew, op.RenewBatch, op.Release, op.Transfer, op.Lookup, op.Watch, op.Validate, op.ListActors,
	op.RegisterNode, op.Heartbeat, op.MarkFailed, op.DeregisterNode, op.GetNode, op.ListNodes, Tick, Drift, Crash,
	op.Close, Purge,
)

func ordered(first ...op.Kind) []op.Kind {
	for _, k := range op.Kinds() {
		if !slices.Contains(first, k) {
			first = append(first, k)
		}
	}
	return first
}

// Draw returns one action.
func (m Mix) Draw(rng *rand.Rand, nodes, actors int) Action {
	total := 0
	for _, k := range order {
		total += m[k]
	}
	a := Action{Node: rng.IntN(nodes), Actor: rng.IntN(actors), To: rng.IntN(nodes), To2: rng.IntN(12), by: rng.IntN(3) - 1}
	if rng.IntN(2) == 0 { // half of the time what is most likely to succeed
		a.Pick = whose(rng.IntN(int(nWhose)))
	}
	n := rng.IntN(total)
	for _, k := range order {
		if n -= m[k]; n < 0 {
			a.Kind = k
			break
		}
	}
	return a
}

// Target returns the true time to which a tick moves: where the clock of the
// acting node reaches a boundary of a lease or of a node's silence, or one
// nanosecond beside it. A boundary that is past is replaced by a small step.
func (a Action) Target(cfg registry.Config, now registry.Instant, offset time.Duration, expiry, seen registry.Instant) registry.Instant {
	step := now.Add(cfg.TTL / 50)
	var reading registry.Instant
	switch a.To2 % 6 {
	case 0, 1, 2:
		if expiry == 0 {
			return step
		}
		reading = expiry.Add([]time.Duration{0, cfg.Grace, cfg.Grace + 2*cfg.MaxClockSkew}[a.To2%6])
	case 3:
		if seen == 0 {
			return step
		}
		reading = cfg.FailedAt(seen)
	case 4:
		return now.Add(cfg.TTL / 3)
	default:
		return step
	}
	if at := reading.Add(time.Duration(a.by)).Add(-offset); at > now {
		return at
	}
	return step
}

// Offset returns where a drift puts the clock of the acting node.
func (a Action) Offset(cfg registry.Config) time.Duration {
	e := cfg.MaxClockSkew
	return []time.Duration{-e, -e + min(1, e), -e / 2, -min(1, e), 0, 0, 0, min(1, e), e / 3, e / 2, e - min(1, e), e}[a.To2]
}
