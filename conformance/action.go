package conformance

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// action is one step of a script. It means something in every state, so that
// a script stays a script when steps are taken out of it: whom it is about is
// resolved when it is carried out.
type action struct {
	kind  op.Kind // an operation, or what happens in the world between them: tick, drift, crash
	node  int     // who acts, or whose clock decides
	actor int
	to    int    // Transfer: to whom; membership: about whom
	pick  whose  // which lease, claim id or incarnation
	to2   int    // spare choice: page size, boundary
	by    int    // tick: nanoseconds beside the boundary
	ends  ending // when the context of the call ends, where contexts do
}

// What happens in the world between operations, as kinds beyond theirs.
const (
	tick  op.Kind = 0xF0 + iota // true time moves to a boundary
	drift                       // a node's clock moves within the skew, in either direction
	crash                       // a process or the cluster restarts
)

// whose says which of the known leases, ids or incarnations an action uses.
type whose int

const (
	own     whose = iota // the node's own latest
	current              // the latest that anybody is known to have
	stale                // one before the latest: a zombie's
	forged               // one that was never given out
	nWhose
)

// knowledge is what the clients of a case know: the leases granted so far, the
// claim ids used, the incarnations. It is safe for concurrent use.
type knowledge struct {
	mu     sync.Mutex
	names  []string
	refs   []registry.NodeRef // latest known incarnation of each node
	leases [][]registry.Lease // per actor, in the order in which they were learned

	instances map[int]registry.InstanceID // the latest of each node; nil when the backend does not know them
	ids       map[[2]int]registry.ClaimID
	rng       *rand.Rand
}

func newKnowledge(nodes, actors int, rng *rand.Rand, instances bool) *knowledge {
	b := &knowledge{leases: make([][]registry.Lease, actors), ids: map[[2]int]registry.ClaimID{}, rng: rng}
	if instances {
		b.instances = map[int]registry.InstanceID{}
	}
	for i := range nodes {
		name := fmt.Sprintf("n%d", i+1)
		b.names = append(b.names, name)
		b.refs = append(b.refs, registry.NodeRef{ID: registry.NodeID(name), Epoch: 1})
	}
	return b
}

func actorID(i int) registry.ActorID {
	return registry.ActorID{Namespace: "conform", Name: string(rune('a' + i))}
}

func (b *knowledge) newID() registry.ClaimID {
	var id registry.ClaimID
	for i := range id {
		id[i] = byte(b.rng.Uint32())
	}
	id[0] |= 1
	return id
}

// lease resolves whose lease of the actor is meant.
func (b *knowledge) lease(a action) registry.Lease {
	known := b.leases[a.actor]
	if len(known) == 0 {
		return registry.Lease{Actor: actorID(a.actor), Holder: b.refs[a.node], Token: 1}
	}
	last := known[len(known)-1]
	switch a.pick {
	case own:
		for i := len(known) - 1; i >= 0; i-- {
			if known[i].Holder.ID == b.refs[a.node].ID {
				return known[i]
			}
		}
	case stale:
		if len(known) > 1 {
			return known[(len(known)-2+a.to2)%(len(known)-1)]
		}
	case forged:
		if a.to2%2 == 0 {
			last.Token++
		} else {
			last.Holder = b.refs[a.to]
		}
	}
	return last
}

// ref resolves which incarnation of node i is meant.
func (b *knowledge) ref(i int, pick whose) registry.NodeRef {
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
func (b *knowledge) claimID(a action) registry.ClaimID {
	key := [2]int{a.node, a.actor}
	switch a.pick {
	case current: // a repetition of its own latest attempt
		if id, ok := b.ids[key]; ok {
			return id
		}
	case stale: // the id of whoever claimed last
		if known := b.leases[a.actor]; len(known) > 0 && !known[len(known)-1].ClaimID.IsZero() {
			return known[len(known)-1].ClaimID
		}
	}
	id := b.newID()
	b.ids[key] = id
	return id
}

// instance resolves under which instance a node registers: mostly a new one, for
// a new process; now and then the latest again, or none.
func (b *knowledge) instance(a action) registry.InstanceID {
	switch {
	case b.instances == nil || a.to2%6 == 5:
		return registry.InstanceID{}
	case a.to2%2 == 0:
		b.instances[a.to] = registry.InstanceID{0: byte(a.to + 1), 14: byte(len(b.ids)), 15: b.instances[a.to][15] + 1}
	}
	return b.instances[a.to]
}

// call makes the operation of an action from what is known now.
func (b *knowledge) call(a action) call {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch a.kind {
	case op.Claim:
		as := own
		if a.pick == forged {
			as = whose(1 + a.to2%3)
		}
		return claim(actorID(a.actor), b.ref(a.node, as), b.claimID(a))
	case op.Renew:
		return renew(b.lease(a))
	case op.RenewBatch:
		var leases []registry.Lease
		for actor := range b.leases {
			a.actor = actor
			leases = append(leases, b.lease(a))
		}
		return renewBatchCall(leases)
	case op.Release:
		return release(b.lease(a))
	case op.Transfer:
		return transfer(b.lease(a), b.ref(a.to, []whose{own, own, own, stale, forged}[a.to2%5]))
	case op.Lookup:
		return lookup(actorID(a.actor))
	case op.Watch:
		l := registry.Lease{}
		if known := b.leases[a.actor]; len(known) > 0 {
			l = known[len(known)-1]
		}
		return watchCall(actorID(a.actor), l.Version)
	case op.Validate:
		return validate(actorID(a.actor), b.lease(a).Token)
	case op.ListActors:
		return listActors(b.ref(a.to, a.pick), 1+a.to2)
	case op.RegisterNode:
		mode := registry.Supersede
		if a.pick != own {
			mode = registry.IfAbsent
		}
		return registerNode(b.refs[a.to].ID, registry.NodeInfo{Address: b.names[a.node], Instance: b.instance(a)}, mode)
	case op.Heartbeat:
		return heartbeat(b.ref(a.to, a.pick))
	case op.MarkFailed:
		return markFailed(b.ref(a.to, a.pick))
	case op.DeregisterNode:
		return deregister(b.ref(a.to, a.pick))
	case op.GetNode:
		return getNode(b.refs[a.to].ID)
	case op.Close:
		return closeHandle()
	case op.ListNodes:
		return listNodes(registry.NodeStatus(a.to2%4), 1+a.to2)
	}
	panic(fmt.Sprintf("conformance: no operation %d", a.kind))
}

// learn keeps what an answer tells about leases and incarnations.
func (b *knowledge) learn(a action, got op.Result) {
	if got.Err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch a.kind {
	case op.Claim, op.Renew, op.Transfer:
		known := b.leases[a.actor]
		l := got.Lease()
		for i := range known {
			if known[i].Token == l.Token {
				known[i] = l
				return
			}
		}
		b.leases[a.actor] = append(known, l)
	case op.RegisterNode:
		if got.Node.Ref.Epoch > b.refs[a.to].Epoch {
			b.refs[a.to] = got.Node.Ref
		}
	}
}

// latest returns the actor's latest known lease.
func (b *knowledge) latest(actor int) (registry.Lease, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.leases[actor]
	if len(known) == 0 {
		return registry.Lease{}, false
	}
	return known[len(known)-1], true
}

// mix is the relative frequency of each kind of action.
type mix map[op.Kind]int

// order fixes the iteration over a mix.
var order = []op.Kind{
	op.Claim, op.Renew, op.RenewBatch, op.Release, op.Transfer, op.Lookup, op.Watch, op.Validate, op.ListActors,
	op.RegisterNode, op.Heartbeat, op.MarkFailed, op.DeregisterNode, op.GetNode, op.ListNodes, tick, drift, crash,
	op.Close,
}

// draw returns one action.
func (m mix) draw(rng *rand.Rand, nodes, actors int) action {
	total := 0
	for _, k := range order {
		total += m[k]
	}
	a := action{node: rng.IntN(nodes), actor: rng.IntN(actors), to: rng.IntN(nodes), to2: rng.IntN(12), by: rng.IntN(3) - 1}
	if rng.IntN(2) == 0 { // half of the time what is most likely to succeed
		a.pick = whose(rng.IntN(int(nWhose)))
	}
	n := rng.IntN(total)
	for _, k := range order {
		if n -= m[k]; n < 0 {
			a.kind = k
			break
		}
	}
	return a
}

// target returns the true time to which a tick moves: where the clock of the
// acting node reaches a boundary of a lease or of a node's silence, or one
// nanosecond beside it. A boundary that is past is replaced by a small step.
func (a action) target(cfg registry.Config, now registry.Instant, offset time.Duration, expiry, seen registry.Instant) registry.Instant {
	step := now.Add(cfg.TTL / 50)
	var reading registry.Instant
	switch a.to2 % 6 {
	case 0, 1, 2:
		if expiry == 0 {
			return step
		}
		reading = expiry.Add([]time.Duration{0, cfg.Grace, cfg.Grace + 2*cfg.MaxClockSkew}[a.to2%6])
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

// offset returns where a drift puts the clock of the acting node.
func (a action) offset(cfg registry.Config) time.Duration {
	e := cfg.MaxClockSkew
	return []time.Duration{-e, -e + min(1, e), -e / 2, -min(1, e), 0, 0, 0, min(1, e), e / 3, e / 2, e - min(1, e), e}[a.to2]
}
