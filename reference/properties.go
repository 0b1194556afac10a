package reference

import (
	"github.com/kelpie-registry/registry"
)

// Property is a safety property of the specification, under its name there. A
// state property is asked of the state after each step; the initial state, in
// which nobody holds anything, satisfies each.
type Property struct {
	Name  string
	holds func(y *System, before *State, l *Label, after *State) bool
}

// Properties returns the contract's guarantees, as in Registry.tla.
func Properties() []Property {
	return []Property{
		{"SingleActivation", func(y *System, _ *State, _ *Label, s *State) bool { return y.singleActivation(s) }},
		{"BelieverIsHolder", func(y *System, _ *State, _ *Label, s *State) bool { return y.believerIsHolder(s) }},
		{"GraceRespected", (*System).graceRespected},
		{"TokenMonotonic", tokenMonotonic},
		{"NoTokenReuse", noTokenReuse},
		{"VersionBump", (*System).versionBump},
		{"NoStaleWrite", noStaleWrite},
	}
}

// singleActivation: at most one node believes that it holds an actor.
func (y *System) singleActivation(s *State) bool {
	for a := range y.bounds.Actors {
		believers := 0
		for n := range y.bounds.Nodes {
			if y.believes(s, n, a) {
				believers++
			}
		}
		if believers > 1 {
			return false
		}
	}
	return true
}

// believerIsHolder: who serves is the recorded holder under the current token.
func (y *System) believerIsHolder(s *State) bool {
	for a := range s.Records {
		r := &s.Records[a]
		for n := range y.bounds.Nodes {
			h := s.Leases[y.hand(n, a)]
			if y.believes(s, n, a) && (r.Holder != y.ref(n, h.Epoch) || r.Token != h.Token) {
				return false
			}
		}
	}
	return true
}

func granted(before, after *State, a int) bool {
	return after.Tenures[a].Num != before.Tenures[a].Num && after.Tenures[a].Open
}

// graceRespected: a claim is granted only once the former holder's own clock
// has passed Expiry + Grace.
func (y *System) graceRespected(before *State, _ *Label, after *State) bool {
	for a := range before.Records {
		r := &before.Records[a]
		claimed := granted(before, after, a) && after.Records[a].ClaimID != registry.ClaimID{}
		if !claimed || !r.Held() {
			continue
		}
		for n, id := range y.bounds.Nodes {
			if id == r.Holder.ID && !lapsed(y.cfg, *r, before.Clock[n]) {
				return false
			}
		}
	}
	return true
}

// tokenMonotonic: tokens never fall, and every grant has a higher one.
func tokenMonotonic(_ *System, before *State, _ *Label, after *State) bool {
	for a := range before.Records {
		r := &before.Records[a]
		token := after.Records[a].Token
		if token < r.Token || granted(before, after, a) && token == r.Token {
			return false
		}
	}
	return true
}

// noTokenReuse: the token of a grant is the number of grants so far.
func noTokenReuse(_ *System, before *State, _ *Label, after *State) bool {
	for a := range after.Records {
		r := &after.Records[a]
		if granted(before, after, a) && int(r.Token) != after.Tenures[a].Num {
			return false
		}
	}
	return true
}

// versionBump: a mutation adds one to the version, and nothing else does. What was
// forgotten begins above it.
func (y *System) versionBump(before *State, l *Label, after *State) bool {
	for a := range before.Records {
		r := &before.Records[a]
		s := &after.Records[a]
		if l.Action == Purge && l.Actor == a {
			if s.Version < r.Version {
				return false
			}
			continue
		}
		mutated := s.Holder != r.Holder || s.Token != r.Token || s.ClaimID != r.ClaimID || s.Expiry > r.Expiry
		bumped := s.Version == min(r.Version+1, y.bounds.MaxVersion)
		if mutated && !bumped || s.Version != r.Version && !bumped {
			return false
		}
	}
	return true
}

// noStaleWrite: an accepted write is of the tenure that runs.
func noStaleWrite(_ *System, before *State, l *Label, _ *State) bool {
	tenure := before.Tenures[l.Actor]
	return l.Action != LandWrite || tenure.Open && l.Num == tenure.Num
}
