package reference

import (
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// Least marks the numbers of a record that are not known, because whoever grew
// them has not been told them: each is then the least that it can be. In the
// contract's own dialect nothing is ever marked.
//
// Gone marks a record that the store has said it does not have (Purge, in
// Registry.tla): what is here is what the next tenure starts above. Until then it
// does not come back.
type Least struct{ Token, Version, Gone bool }

// Forgotten is the decision of a store that finds no record where the
// specification has one: right for a read in a dialect that forgets.
const Forgotten Guard = "Forgotten"

// Decisions returns all that the decision on c in v may be in the dialect, at the
// clock reading now, each without an OrElse. The first is [Decide]'s, in a cluster
// with the dialect's membership: in the contract's own dialect there is no other,
// but for its OrElse.
func Decisions(cfg registry.Config, d dialect.Dialect, v View, c *op.Call, now registry.Instant) []Decision {
	if d.NoMembership {
		v.Member = unlisted(c)
	}
	right := split(nil, Decide(cfg, v, c, now))
	if d == (dialect.Dialect{}) {
		return right
	}
	told := lapsed(cfg, v.Record, now)
	for _, cfg := range margins(cfg, d, c) {
		for _, v := range longer(cfg, d, v, now) {
			right = split(right, Decide(cfg, v, c, now))
			if c.Kind != op.Claim || v.Record.Holder != c.Node || !v.Record.Held() || lapsed(cfg, v.Record, now) {
				continue
			}
			if d.NoClaimIDs {
				right = split(right, Decision{Repeats: true, OrElse: Claimable})
			}
			if d.NoClaimIDs || told { // by what was told the attempt is over, and the store holds on
				right = split(right, Decision{Guard: Check(cfg, v, c, now)})
			}
		}
	}
	if d.Forgets && v.Least.Gone {
		right = gone(cfg, v, c, now, right)
	}
	for _, was := range slices.Clone(right) {
		switch g := was.Guard; {
		case d.NoTokens && (g == TokenCurrent || g == TenureHeld):
			right = split(right, Decision{Guard: TokenCurrent, OrElse: TenureHeld})
		case d.Forgets && (g == TokenCurrent || g == NotLapsed || g == StillLive):
			right = split(right, Decision{Guard: TenureHeld})
		}
	}
	if d.Forgets && (v.Least.Gone || forgettable(cfg, v, now)) {
		switch k := c.Kind; {
		case k == op.Lookup, k == op.Watch:
			right = split(right, Decision{Guard: Forgotten})
		case k == op.Claim:
			right = split(right, Decide(cfg, unheld(v), c, now))
		case k.Presents(), k == op.Validate:
			right = split(right, Decision{Guard: TenureHeld})
		}
	}
	return right
}

// gone leaves of the decisions that are right with a record those of a store that has
// said that it has none: nobody finds or renews the tenure, and whoever may claim is
// granted the actor. It may go on refusing claims, and releases may succeed.
func gone(cfg registry.Config, v View, c *op.Call, now registry.Instant, right []Decision) []Decision {
	switch c.Kind {
	case op.Lookup, op.Watch:
		return []Decision{{Guard: Forgotten}}
	case op.Claim:
		right = slices.DeleteFunc(right, func(d Decision) bool { return d.Repeats })
		return split(right, Decide(cfg, unheld(v), c, now))
	case op.Renew, op.Transfer, op.Validate:
		return split(slices.DeleteFunc(right, func(d Decision) bool { return d == Decision{} }), Decision{Guard: TenureHeld})
	}
	return right
}

// split adds a decision, and the one that would be right too.
func split(right []Decision, d Decision) []Decision {
	or := d.OrElse
	d.OrElse = Enabled
	if !slices.Contains(right, d) {
		right = append(right, d)
	}
	if or != Enabled {
		right = split(right, Decision{Guard: or})
	}
	return right
}

// unlisted is the registration that a node has where there are none: a good one.
func unlisted(c *op.Call) Member {
	ref := c.Node
	if c.Kind == op.Transfer {
		ref = c.To
	}
	return Member{Ref: ref, Status: registry.NodeActive}
}

// margins returns the bounds that a claim may go by. Where all readings are of one
// clock only the holder's own is off, by ε at most, so that ε is margin enough. An odd ε
// is rounded down: a nanosecond more is allowed, never less.
func margins(cfg registry.Config, d dialect.Dialect, c *op.Call) []registry.Config {
	if !d.StoreClock || c.Kind != op.Claim || cfg.MaxClockSkew == 0 {
		return []registry.Config{cfg}
	}
	one := cfg
	one.MaxClockSkew /= 2
	return []registry.Config{cfg, one}
}

// longer returns v with each expiry by which a store that may hold longer can
// decide, as far as decisions differ: the told one, the latest, and those around
// which now is at a boundary of the lease.
func longer(cfg registry.Config, d dialect.Dialect, v View, now registry.Instant) []View {
	views := []View{v}
	if d.HoldsLonger == 0 || !v.Record.Held() {
		return views
	}
	told := v.Record.Expiry
	last := registry.Instant(dialect.Unbounded)
	if d.HoldsLonger != dialect.Unbounded && told <= last-registry.Instant(d.HoldsLonger) {
		last = told.Add(d.HoldsLonger)
	}
	last = min(last, max(told, now+1)) // live by now: later makes no difference
	lapse := now.Add(-cfg.Grace)
	for _, expiry := range []registry.Instant{now, now + 1, lapse, lapse + 1, lapse.Add(-2 * cfg.MaxClockSkew), lapse.Add(-2*cfg.MaxClockSkew) + 1, last} {
		if told < expiry && expiry <= last {
			v.Record.Expiry = expiry
			views = append(views, v)
		}
	}
	return views
}

// unheld is v with a record that nobody holds, as a claim finds one that is gone.
func unheld(v View) View {
	v.Record.Holder = registry.NodeRef{}
	return v
}

// forgettable reports whether a store that forgets may have no record any more when a
// call is decided by the reading now. If now is the present, another clock that found
// the record reclaimable is at most 2ε ahead, and now is the lapse or later. A call that
// waited after its reading, or applies late, may find gone what was live by it.
func forgettable(cfg registry.Config, v View, now registry.Instant) bool {
	return v.Record.Version > 0 && (!v.Record.Held() || lapsed(cfg, v.Record, now) || v.Stale)
}

// GoneBy reports whether a store that forgets may have forgotten r by a clock that
// reads latest or less.
func GoneBy(cfg registry.Config, d dialect.Dialect, r Record, latest registry.Instant) bool {
	least := margins(cfg, d, &op.Call{Kind: op.Claim})
	return d.Forgets && r.Version > 0 && (!r.Held() || least[len(least)-1].Phase(r.Expiry, latest) == registry.Reclaimable)
}

// EffectIn is [Effect] in a dialect: what has grown by an amount that nobody has
// been told is marked. A claim of an actor that a store may have forgotten starts
// above its floor, which is the record's own or any that is higher (Purge, in
// Registry.tla): the numbers of the record that is here are the least it can be.
func EffectIn(cfg registry.Config, d dialect.Dialect, v View, c *op.Call, now registry.Instant) View {
	was, before := v, v.Record
	v = Effect(cfg, v, c, now)
	above := c.Kind == op.Claim && d.Forgets && (before.Version == 0 || v.Least.Gone || forgettable(cfg, was, now))
	v.Least.Gone = v.Least.Gone && c.Kind != op.Claim
	v.Least.Token = v.Least.Token && v.Record.Token == before.Token || v.Record.Token != before.Token && (d.SparseTokens || d.NoTokens || above)
	v.Least.Version = v.Least.Version || v.Record.Version != before.Version && d.SparseVersions || above
	if d.SparseVersions && d.Forgets && !v.Record.Held() {
		v.Record.Version = before.Version // nobody will see what the removal was counted as
	}
	return v
}

// Way is a right way to take a step: the answer, and the view after it.
type Way struct {
	Answer  op.Result
	View    View
	changes bool
}

// Ways returns every right way to take c's step in v in the dialect at the reading
// now. told is what was answered, nil when nothing was: it settles what the dialect
// leaves open. c is no listing.
func Ways(cfg registry.Config, d dialect.Dialect, v View, c *op.Call, now registry.Instant, told *op.Result) []Way {
	return waysOf(cfg, d, v, c, now, told, Decisions(cfg, d, v, c, now))
}

func waysOf(cfg registry.Config, d dialect.Dialect, v View, c *op.Call, now registry.Instant, told *op.Result, decisions []Decision) (all []Way) {
	for _, decision := range decisions {
		w := Way{View: v, changes: decision == Decision{} && c.Kind.Mutates()}
		if w.changes {
			w.View = EffectIn(cfg, d, v, c, now)
		}
		if decision.Guard == Forgotten && v.Record.Version > 0 {
			w.View.Least.Gone = true
			w.changes = !v.Least.Gone
		}
		if told != nil && told.Record.Version > 0 && decision.Guard != Forgotten {
			if settled, ok := w.View.Told(d, told.Record); ok {
				w.View, w.changes = settled, w.changes || settled != w.View
			}
		}
		w.Answer = Answer(w.View, c, decision, now)
		all = append(all, w)
	}
	return all
}

// Told returns v after an answer has told its record as p, if p may be told of it
// in the dialect: p settles what was not known, and may leave out what the dialect
// lets it.
func (v View) Told(d dialect.Dialect, p registry.Placement) (View, bool) {
	r := v.Record
	if v.Least.Token && (p.Token >= r.Token || d.NoTokens && p.Token > 0) {
		r.Token = p.Token
	}
	if v.Least.Version && p.Version >= r.Version {
		r.Version = p.Version
	}
	if p.Version > 0 {
		v.Least = Least{Gone: v.Least.Gone}
	}
	if filled := Fill(d, r, p); filled != r {
		return v, false
	}
	v.Record = r
	return v, true
}

// Fill returns p with what it may leave out in the dialect taken from the record r.
func Fill(d dialect.Dialect, r Record, p registry.Placement) registry.Placement {
	if p.Version == 0 || r.Version == 0 {
		return p
	}
	if d.BareRecords {
		p.Version = r.Version
		if p.Expiry == 0 {
			p.Expiry = r.Expiry
		}
	}
	if d.NoClaimIDs && p.ClaimID.IsZero() {
		p.ClaimID = r.ClaimID
	}
	return p
}
