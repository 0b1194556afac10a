package reference

import (
	"cmp"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// Apply takes the step that l names in s. It returns the state after it, or the
// guard that forbids it; a step that the world, or a bound of the model, does
// not allow is forbidden by a guard of its own that is no refusal.
func (y *System) Apply(s State, l Label) (State, Guard) {
	if !y.possible(&s, &l) {
		return s, impossible
	}
	var after State
	after.set(&s)
	if g := y.take(&after, &l, new(op.Call)); g != Enabled {
		return s, g
	}
	return after, Enabled
}

// take takes the step in s itself, which a guard that forbids it leaves as it
// was. The step is possible in s. c is room for the call.
func (y *System) take(s *State, l *Label, c *op.Call) Guard {
	switch l.Action {
	case Tick:
		y.tick(s)
		return Enabled
	case Drift:
		s.Clock[l.Node] = l.Reading
		return Enabled
	case Crash:
		y.crash(s, l.Node)
		return Enabled
	case Restart:
		s.Proc[l.Node] = 0
		return Enabled
	case BeginWrite:
		y.beginWrite(s, l)
		return Enabled
	case Purge:
		return y.purge(s, l)
	}
	*c = y.call(s, l)
	v, d := y.step(y.cfg, y.view(s, l), c, s.Clock[l.Node])
	if l.Action == RefuseWrite {
		if d.Guard == Enabled {
			return impossible
		}
		s.dropWrite(l.write())
		return Enabled
	}
	switch {
	case d.Repeats != (l.Action == ClaimRepeat):
		return impossible
	case d.Guard != Enabled:
		return d.Guard
	}
	y.apply(s, l, &v)
	return Enabled
}

// possible reports whether the world and the model's bounds allow the step. What
// it leaves out is no question to the registry.
func (y *System) possible(s *State, l *Label) bool {
	n, running := l.Node, s.Proc[l.Node] != Down
	joined := s.Proc[n] > 0
	fresh := s.Records[l.Actor].Token < y.bounds.MaxToken // another grant fits
	hand := s.Leases[y.hand(n, l.Actor)]
	switch l.Action {
	case Drift:
		return s.Clock[n] != l.Reading
	case Crash:
		return joined && s.Members[n].Ref.Epoch < y.bounds.MaxEpoch
	case Restart:
		return !running
	case BeginWrite:
		return y.believes(s, n, l.Actor) && !slices.Contains(s.Writes, y.newWrite(s, l)) && len(s.Writes) < y.bounds.MaxWrites
	case Claim:
		return joined && fresh
	case ClaimRepeat, Heartbeat, DeregisterNode:
		return joined
	case Lookup:
		return joined && s.Records[l.Actor].Holder == y.self(s, n)
	case Purge:
		return running
	case Renew, Release:
		return running && hand.Token != 0
	case Transfer:
		to := s.Members[l.To].Ref
		return running && hand.Token != 0 && to.Epoch != 0 && fresh && (!l.Heard || s.Proc[l.To] == int(to.Epoch))
	case RegisterNode:
		return running && s.Members[n].Ref.Epoch < y.bounds.MaxEpoch
	case MarkFailed:
		return running && s.Members[l.To].Ref.Epoch != 0
	}
	return true // Tick, LandWrite, RefuseWrite
}

// Call resolves a step of an operation in s to the call that it makes: whose
// incarnation, which lease. The node that makes it is l.Node.
func (y *System) Call(s State, l Label) op.Call { return y.call(&s, &l) }

func (y *System) call(s *State, l *Label) op.Call {
	self, actor := y.self(s, l.Node), y.actor(l.Actor)
	switch l.Action {
	case Claim, ClaimRepeat:
		return op.Call{Kind: op.Claim, Actor: actor, Node: self, ClaimID: claimID(l.ClaimID)}
	case Renew, Release, Transfer:
		hand := s.Leases[y.hand(l.Node, l.Actor)]
		lease := registry.Lease{Actor: actor, Holder: y.ref(l.Node, hand.Epoch), Token: hand.Token}
		switch l.Action {
		case Renew:
			return op.OnLease(op.Renew, lease)
		case Release:
			return op.OnLease(op.Release, lease)
		}
		c := op.OnLease(op.Transfer, lease)
		c.To = s.Members[l.To].Ref
		return c
	case Lookup:
		return op.Call{Kind: op.Lookup, Actor: actor}
	case LandWrite, RefuseWrite: // the check that the write carries
		return op.Call{Kind: op.Validate, Actor: actor, Token: l.Token}
	case RegisterNode:
		return op.Call{Kind: op.RegisterNode, Node: registry.NodeRef{ID: self.ID}, Mode: l.Mode}
	case MarkFailed:
		return op.Call{Kind: op.MarkFailed, Node: s.Members[l.To].Ref}
	case Heartbeat:
		return op.Call{Kind: op.Heartbeat, Node: self}
	default: // DeregisterNode
		return op.Call{Kind: op.DeregisterNode, Node: self}
	}
}

// view is what the step's operation reads: the actor's record, and the
// registration of the node that it depends on.
func (y *System) view(s *State, l *Label) View {
	party := l.Node
	if l.Action == Transfer || l.Action == MarkFailed {
		party = l.To
	}
	return View{Record: s.Records[l.Actor], Member: s.Members[party]}
}

// apply is what an operation that succeeded and left v makes of s: the registry's
// state, and what the nodes know of it.
func (y *System) apply(s *State, l *Label, v *View) {
	n, a := l.Node, l.Actor
	hand := &s.Leases[y.hand(n, a)]
	switch l.Action {
	case Claim:
		y.begin(s, a, v.Record, n, l.Heard)
	case ClaimRepeat, Lookup:
		*hand = y.learned(y.self(s, n).Epoch, v.Record)
	case Renew:
		y.write(s, a, v.Record)
		if l.Heard {
			hand.Until = max(v.Record.Expiry, y.leaseFloor())
		}
	case Release: // the node stops serving first
		hand.Until = y.leaseFloor()
		y.write(s, a, v.Record)
		s.Tenures[a].Open = false
	case Transfer: // as above
		hand.Until = y.leaseFloor()
		y.begin(s, a, v.Record, l.To, l.Heard)
	case RegisterNode:
		s.Members[n] = v.Member
		if l.Heard {
			s.Proc[n] = int(v.Member.Ref.Epoch)
		}
	case MarkFailed:
		s.Members[l.To] = v.Member
	case Heartbeat, DeregisterNode:
		s.Members[n] = v.Member
	case LandWrite:
		s.dropWrite(l.write())
	}
}

// write replaces actor a's record; versions saturate.
func (y *System) write(s *State, a int, r Record) {
	r.Version = min(r.Version, y.bounds.MaxVersion)
	s.Records[a] = r
}

// begin begins a new tenure of a, that node n learns of if heard.
func (y *System) begin(s *State, a int, r Record, n int, heard bool) {
	y.write(s, a, r)
	s.Tenures[a] = Tenure{Num: s.Tenures[a].Num + 1, Open: true}
	if heard {
		s.Leases[y.hand(n, a)] = y.learned(r.Holder.Epoch, r)
	}
}

// learned is the lease in the hand of who was told of r.
func (y *System) learned(epoch registry.Epoch, r Record) Hand {
	return Hand{Epoch: epoch, Token: r.Token, Until: max(r.Expiry, y.leaseFloor())}
}

// purge forgets the record of l's actor. The ghost counts as many tenures as the
// floor is above them.
func (y *System) purge(s *State, l *Label) Guard {
	a, r := l.Actor, s.Records[l.Actor]
	holder := registry.StandingUnknown
	for n, id := range y.bounds.Nodes {
		if id == r.Holder.ID {
			holder = s.Members[n].Standing(r.Holder)
		}
	}
	floor := Floor{Token: l.Token, Version: l.Version}
	if g := PurgeGuard(y.cfg, r, holder, floor, s.Clock[l.Node]); g != Enabled {
		return g
	}
	r = PurgeEffect(r, floor)
	r.Expiry = y.expiryFloor()
	s.Tenures[a] = Tenure{Num: max(s.Tenures[a].Num, int(l.Token))}
	y.write(s, a, r)
	return Enabled
}

// tick lets true time pass by one: what is relative to the present falls by one.
func (y *System) tick(s *State) {
	for a := range s.Records {
		s.Records[a].Expiry = max(s.Records[a].Expiry-1, y.expiryFloor())
	}
	for n := range s.Members {
		s.Members[n].LastSeen = max(s.Members[n].LastSeen-1, y.seenFloor())
	}
	for i := range s.Leases {
		s.Leases[i].Until = max(s.Leases[i].Until-1, y.leaseFloor())
	}
}

// crash ends node n's process: what it knew is gone, what it sent is not.
func (y *System) crash(s *State, n int) {
	s.Proc[n] = Down
	for a := range y.bounds.Actors {
		s.Leases[y.hand(n, a)] = Hand{Until: y.leaseFloor()}
	}
}

// newWrite is the write that the node would begin: it checks its belief, and the
// write then takes as long as it takes.
func (y *System) newWrite(s *State, l *Label) Write {
	return Write{Actor: l.Actor, Token: s.Leases[y.hand(l.Node, l.Actor)].Token, Num: s.Tenures[l.Actor].Num}
}

func (y *System) beginWrite(s *State, l *Label) {
	s.Writes = append(s.Writes, y.newWrite(s, l))
	slices.SortFunc(s.Writes, compareWrites)
}

func compareWrites(v, w Write) int {
	return cmp.Or(cmp.Compare(v.Actor, w.Actor), cmp.Compare(v.Num, w.Num), cmp.Compare(v.Token, w.Token))
}

func (s *State) dropWrite(w Write) {
	s.Writes = slices.DeleteFunc(s.Writes, func(v Write) bool { return v == w })
}
