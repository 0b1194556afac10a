package history

import (
	"cmp"
	"math"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// An Op has room for whatever any operation asks and answers, 900 bytes. What most
// operations need of it are 136, which a recorder keeps until the history is taken,
// and names, which stand once beside many operations. So what a recorder keeps has
// hardly a pointer: the garbage collector, which runs all the more often as a history
// grows, need not look through it.

// packed is an operation of most: on one actor or heartbeat, answered or refused.
type packed struct {
	invoked int64
	took    uint32 // Returned - Invoked
	kind    op.Kind
	reason  reason
	clock   clockForm
	answer  answerForm
	actor   uint16           // of the names, as are the next two
	asker   uint16           // the node in the call
	holder  uint16           // the node in the answer's record
	lo, hi  registry.Instant // the reading in lo, or an interval
	asked   tenure
	told    tenure
}

// tenure has what a record says beside its actor, or a lease presented.
type tenure struct {
	epoch   registry.Epoch
	token   registry.Token
	version registry.Version
	expiry  registry.Instant
	claimID registry.ClaimID
}

// names are the actors and nodes of some operations, which have their places and one
// in these lists; 0 is the empty name.
type names struct {
	actors []registry.ActorID
	nodes  []registry.NodeID
}

// near is how many of the latest names are looked through: one that is not found
// there is entered again.
const near = 4

func place[T comparable](list *[]T, name T) uint16 {
	var zero T
	if name == zero {
		return 0
	}
	for i := len(*list); i > max(0, len(*list)-near); i-- {
		if (*list)[i-1] == name {
			return uint16(i)
		}
	}
	*list = append(*list, name)
	return uint16(len(*list))
}

func named[T any](list []T, at uint16) (name T) {
	if at > 0 {
		name = list[at-1]
	}
	return name
}

// of returns the record of the actor that the tenure is.
func (t *tenure) of(actor registry.ActorID, holder registry.NodeID) registry.Placement {
	return registry.Placement{
		Actor: actor, Holder: registry.NodeRef{ID: holder, Epoch: t.epoch},
		Token: t.token, Version: t.version, Expiry: t.expiry, ClaimID: t.claimID,
	}
}

// reason is the place of a refusal's reason among those of the contract, from 1; 0
// is no refusal.
type reason uint8

var refusals = op.Refusals()

type clockForm uint8

const (
	noReading clockForm = iota
	oneReading
	interval
)

type answerForm uint8

const (
	found    answerForm = 1 << iota
	aRecord             // the answer has a record, of the actor that was asked for
	aReading            // it tells the reading
)

// pack makes p, which is zero, of o and its answer, with the names in n, and reports
// whether that is an operation of that form. If not p means nothing.
func (p *packed) pack(n *names, o *Op, r *op.Result) bool {
	c := &o.Call
	switch c.Kind {
	case op.Claim, op.Renew, op.Release, op.Lookup, op.Validate, op.Heartbeat:
	default:
		return false
	}
	if o.Returned-o.Invoked > math.MaxUint32 || !p.packClock(&o.Clock) || !p.packResult(c, r) {
		return false
	}
	p.invoked, p.took, p.kind = o.Invoked, uint32(o.Returned-o.Invoked), c.Kind
	p.asked = tenure{c.Node.Epoch, c.Token, c.Version, c.Expiry, c.ClaimID}
	p.actor, p.asker = place(&n.actors, c.Actor), place(&n.nodes, c.Node.ID)
	if p.answer&aRecord != 0 {
		p.holder = place(&n.nodes, r.Record.Holder.ID)
	}
	return true
}

func (p *packed) packClock(r *Readings) bool {
	switch {
	case r.Interval:
		p.clock, p.lo, p.hi = interval, r.Lo, r.Hi
		return len(r.Seen) == 0
	case len(r.Seen) == 1:
		p.clock, p.lo = oneReading, r.Seen[0]
	}
	return len(r.Seen) < 2
}

// packResult takes the answer of a call whose clock is packed.
func (p *packed) packResult(c *op.Call, r *op.Result) bool {
	if r.Node != (registry.Node{}) || r.Actors != nil || r.Nodes != nil || r.Next != "" || r.Renewals != nil {
		return false
	}
	switch {
	case r.Outcome == op.Refused:
		p.reason = reason(1 + slices.Index(refusals, r.Reason))
		if d, ok := r.Err.(*registry.Refusal); !ok || *d != (registry.Refusal{Reason: r.Reason.Err(), Placement: r.Record, Now: r.Now}) {
			return false // it says more, or is another error around it
		}
	case r.Outcome != op.OK, r.Err != nil, r.Reason != "":
		return false
	}
	if r.Found {
		p.answer |= found
	}
	if r.Now != 0 {
		p.answer |= aReading
		if p.clock != oneReading || r.Now != p.lo {
			return false
		}
	}
	d := &r.Record
	if d.Actor != c.Actor || d.Version == 0 {
		return *d == (registry.Placement{}) // anything else is kept whole
	}
	p.answer |= aRecord
	p.told = tenure{d.Holder.Epoch, d.Token, d.Version, d.Expiry, d.ClaimID}
	return true
}

// unpack writes the operation, whose names are in n, to o, which is zero.
func (p *packed) unpack(n *names, o *Op) {
	o.Invoked, o.Returned = p.invoked, p.invoked+int64(p.took)
	q, actor := &p.asked, named(n.actors, p.actor)
	o.Call = op.Call{
		Kind: p.kind, Actor: actor, Node: registry.NodeRef{ID: named(n.nodes, p.asker), Epoch: q.epoch},
		Token: q.token, Version: q.version, Expiry: q.expiry, ClaimID: q.claimID,
	}
	switch p.clock {
	case oneReading:
		o.Clock = Seen(p.lo)
	case interval:
		o.Clock = Within(p.lo, p.hi)
	}
	r := &o.Result
	r.Outcome, r.Found = op.OK, p.answer&found != 0
	if p.answer&aRecord != 0 {
		r.Record = p.told.of(actor, named(n.nodes, p.holder))
	}
	if p.answer&aReading != 0 {
		r.Now = p.lo
	}
	if p.reason > 0 {
		r.Outcome, r.Reason = op.Refused, refusals[p.reason-1]
		r.Err = &registry.Refusal{Reason: r.Reason.Err(), Placement: r.Record, Now: r.Now}
	}
}

// finished keeps operations that are over, in the order in which they came to be.
type finished struct {
	packed []*chunk // each full but for the last, and larger than the one before, up to chunkSize
	whole  []*Op    // those that cannot be packed
}

// chunk is some packed operations with their names.
type chunk struct {
	names names
	ops   []packed // its capacity is the chunk's size
}

// A client's first chunk has 2 kB, most have 18: both are sizes of the allocator's, and
// so are those between.
const (
	firstChunk = 15
	chunkSize  = 135
)

// add adds an operation and its answer. It reports whether o itself is kept.
func (f *finished) add(o *Op, r *op.Result) bool {
	c, p := f.next()
	if p.pack(&c.names, o, r) {
		c.ops = c.ops[:len(c.ops)+1]
		return false
	}
	*p = packed{}
	o.Result = kept(r)
	f.whole = append(f.whole, o)
	return true
}

// next is where the next packed operation goes, zero, behind those of its chunk.
func (f *finished) next() (*chunk, *packed) {
	last := len(f.packed) - 1
	if last < 0 || len(f.packed[last].ops) == cap(f.packed[last].ops) {
		last++
		f.packed = append(f.packed, &chunk{ops: make([]packed, 0, min(firstChunk<<min(last, 4), chunkSize))})
	}
	c := f.packed[last]
	return c, &c.ops[:len(c.ops)+1][len(c.ops)]
}

// item is an operation of a client: packed with its names, or whole.
type item struct {
	invoked int64
	client  string
	packed  *packed
	names   *names
	whole   *Op
}

// before returns what was called before the stamp. It stays true of what it returns
// when more is added.
func (f *finished) before(stamp int64, client string) (list []item) {
	for _, c := range f.packed {
		names := c.names // which may grow
		for i := range c.ops {
			if p := &c.ops[i]; p.invoked < stamp {
				list = append(list, item{p.invoked, client, p, &names, nil})
			}
		}
	}
	for _, o := range f.whole {
		if o.Invoked < stamp {
			list = append(list, item{o.Invoked, client, nil, nil, o})
		}
	}
	return list
}

// forget leaves out what was called before the stamp.
func (f *finished) forget(stamp int64) {
	old := f.packed
	f.packed = nil
	for _, from := range old {
		for _, p := range from.ops {
			if p.invoked < stamp {
				continue
			}
			to, at := f.next()
			p.actor = place(&to.names.actors, named(from.names.actors, p.actor))
			p.asker = place(&to.names.nodes, named(from.names.nodes, p.asker))
			p.holder = place(&to.names.nodes, named(from.names.nodes, p.holder))
			*at = p
			to.ops = to.ops[:len(to.ops)+1]
		}
	}
	f.whole = slices.DeleteFunc(f.whole, func(o *Op) bool { return o.Invoked < stamp })
}

// inOrder returns the operations in the order of their calls, numbered.
func inOrder(items []item) []Op {
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.invoked, b.invoked) })
	ops := make([]Op, len(items))
	for i, it := range items {
		if it.packed != nil {
			it.packed.unpack(it.names, &ops[i])
		} else {
			ops[i] = *it.whole
		}
		ops[i].ID, ops[i].Client = i, it.client
	}
	return ops
}
