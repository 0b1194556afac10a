package history

import (
	"cmp"
	"math"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// An Op has room for whatever any operation asks and answers, 900 bytes. What most
// operations need of it are 192, which a recorder keeps until the history is taken.

// packed is an operation of most: on one actor or heartbeat, answered or refused.
type packed struct {
	invoked int64
	took    uint32 // Returned - Invoked
	kind    op.Kind
	reason  reason
	clock   clockForm
	answer  answerForm
	lo, hi  registry.Instant // the reading in lo, or an interval
	actor   registry.ActorID
	asked   tenure
	told    tenure
}

// tenure has what a record says beside its actor, or a lease presented.
type tenure struct {
	holder  registry.NodeRef
	token   registry.Token
	version registry.Version
	expiry  registry.Instant
	claimID registry.ClaimID
}

func tenureOf(r *registry.Placement) tenure {
	return tenure{r.Holder, r.Token, r.Version, r.Expiry, r.ClaimID}
}

func (t *tenure) of(actor registry.ActorID) registry.Placement {
	return registry.Placement{Actor: actor, Holder: t.holder, Token: t.token, Version: t.version, Expiry: t.expiry, ClaimID: t.claimID}
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

// pack makes p, which is zero, of o and its answer, and reports whether that is an
// operation of that form. If not p means nothing.
func (p *packed) pack(o *Op, r *op.Result) bool {
	switch o.Call.Kind {
	case op.Claim, op.Renew, op.Release, op.Lookup, op.Validate, op.Heartbeat:
	default:
		return false
	}
	c := &o.Call
	p.invoked, p.took, p.kind, p.actor = o.Invoked, uint32(o.Returned-o.Invoked), c.Kind, c.Actor
	p.asked = tenure{c.Node, c.Token, c.Version, c.Expiry, c.ClaimID}
	return o.Returned-o.Invoked <= math.MaxUint32 && p.packClock(&o.Clock) && p.packResult(c, r)
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
	if r.Record == (registry.Placement{}) {
		return true
	}
	p.answer |= aRecord
	p.told = tenureOf(&r.Record)
	return r.Record.Actor == c.Actor
}

// unpack writes the operation to o, which is zero.
func (p *packed) unpack(o *Op) {
	o.Invoked, o.Returned = p.invoked, p.invoked+int64(p.took)
	q := &p.asked
	o.Call = op.Call{Kind: p.kind, Actor: p.actor, Node: q.holder, Token: q.token, Version: q.version, Expiry: q.expiry, ClaimID: q.claimID}
	switch p.clock {
	case oneReading:
		o.Clock = Seen(p.lo)
	case interval:
		o.Clock = Within(p.lo, p.hi)
	}
	r := &o.Result
	r.Outcome, r.Found = op.OK, p.answer&found != 0
	if p.answer&aRecord != 0 {
		r.Record = p.told.of(p.actor)
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
	packed [][]packed // each full but for the last
	whole  []*Op      // those that cannot be packed
}

const chunk = 127 // with the allocator's header just below 24 kB, one of its sizes

// add adds an operation and its answer. It reports whether o itself is kept.
func (f *finished) add(o *Op, r *op.Result) bool {
	if p := f.next(); !p.pack(o, r) {
		*p = packed{}
		o.Result = kept(r)
		f.whole = append(f.whole, o)
		return true
	}
	f.taken()
	return false
}

// next is where the next packed operation goes, zero; taken says that it is there.
func (f *finished) next() *packed {
	last := len(f.packed) - 1
	if last < 0 || len(f.packed[last]) == chunk {
		f.packed = append(f.packed, make([]packed, 0, chunk))
		last++
	}
	c := f.packed[last]
	return &c[:len(c)+1][len(c)]
}

func (f *finished) taken() {
	last := &f.packed[len(f.packed)-1]
	*last = (*last)[:len(*last)+1]
}

// item is an operation of a client: one of the two is set.
type item struct {
	invoked int64
	client  string
	packed  *packed
	whole   *Op
}

// before returns what was called before the stamp. It stays true of what it returns
// when more is added.
func (f *finished) before(stamp int64, client string) (list []item) {
	for _, c := range f.packed {
		for i := range c {
			if c[i].invoked < stamp {
				list = append(list, item{c[i].invoked, client, &c[i], nil})
			}
		}
	}
	for _, o := range f.whole {
		if o.Invoked < stamp {
			list = append(list, item{o.Invoked, client, nil, o})
		}
	}
	return list
}

// forget leaves out what was called before the stamp.
func (f *finished) forget(stamp int64) {
	old := f.packed
	f.packed = nil
	for _, c := range old {
		for i := range c {
			if c[i].invoked >= stamp {
				*f.next() = c[i]
				f.taken()
			}
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
			it.packed.unpack(&ops[i])
		} else {
			ops[i] = *it.whole
		}
		ops[i].ID, ops[i].Client = i, it.client
	}
	return ops
}
