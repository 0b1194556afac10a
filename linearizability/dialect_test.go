package linearizability_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/linearizability"
	"github.com/kelpie-registry/registry/op"
)

// A store whose tokens are its revisions begins with any of them, and jumps: wrong in
// the contract, right where it is declared. A token that does not grow is right in neither.
func TestSparseTokens(t *testing.T) {
	cfg := registry.DefaultConfig()
	a := registry.ActorID{Namespace: "x", Name: "a"}
	n := registry.NodeRef{ID: "n1", Epoch: 1}
	grant := func(token registry.Token, version registry.Version) op.Result {
		return op.Result{Outcome: op.OK, Record: registry.Placement{Actor: a, Holder: n, Token: token, Version: version,
			Expiry: registry.Instant(cfg.TTL), ClaimID: registry.ClaimID{byte(version)}}}
	}
	tokens := func(d dialect.Dialect, list ...registry.Token) linearizability.Verdict {
		h := history.History{Config: cfg, Dialect: d}
		add := func(c op.Call, r op.Result) {
			at := int64(2 * len(h.Ops))
			h.Ops = append(h.Ops, history.Op{ID: len(h.Ops), Client: "c1", Call: c, Result: r, Invoked: at, Returned: at + 1, Clock: history.Seen(0)})
		}
		for i, token := range list {
			version := registry.Version(2*i + 1)
			add(op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: registry.ClaimID{byte(version)}}, grant(token, version))
			add(op.Call{Kind: op.Validate, Actor: a, Token: token}, op.Result{Outcome: op.OK})
			add(op.Call{Kind: op.Release, Actor: a, Node: n, Token: token}, op.Result{Outcome: op.OK})
		}
		return linearizability.Check(h, linearizability.Options{}).Verdict
	}
	unlisted := dialect.Dialect{NoMembership: true}
	sparse := dialect.Dialect{NoMembership: true, SparseTokens: true}
	assert.Equal(t, linearizability.OK, tokens(unlisted, 1, 2, 3))
	assert.Equal(t, linearizability.Illegal, tokens(unlisted, 144))
	assert.Equal(t, linearizability.OK, tokens(sparse, 144, 145, 900))
	assert.Equal(t, linearizability.Illegal, tokens(sparse, 144, 144))
	assert.Equal(t, linearizability.Illegal, tokens(sparse, 144, 12))
	assert.Equal(t, linearizability.OK, tokens(dialect.Dialect{NoMembership: true, NoTokens: true}, 144, 12))
}

// A lookup that finds no record says nothing about its version where records are
// forgotten: a release of unknown outcome may have come before it.
func TestForgottenAfterAnUnknownRelease(t *testing.T) {
	cfg := registry.DefaultConfig()
	a, n := registry.ActorID{Namespace: "x", Name: "a"}, registry.NodeRef{ID: "n1", Epoch: 1}
	lease := registry.Placement{Actor: a, Holder: n, Token: 1, Version: 1, Expiry: registry.Instant(cfg.TTL), ClaimID: registry.ClaimID{1}}
	check := func(d dialect.Dialect, release op.Outcome) linearizability.Verdict {
		h := history.History{Config: cfg, Dialect: d}
		for i, o := range []struct {
			call op.Call
			told op.Result
		}{
			{op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: registry.ClaimID{1}}, op.Result{Outcome: op.OK, Record: lease}},
			{op.OnLease(op.Release, registry.Lease(lease)), op.Result{Outcome: release}},
			{op.Call{Kind: op.Lookup, Actor: a}, op.Result{Outcome: op.OK}},
			{op.OnLease(op.Release, registry.Lease(lease)), op.Result{Outcome: op.Refused, Reason: op.NotHeld}},
		} {
			at := int64(2 * i)
			h.Ops = append(h.Ops, history.Op{ID: i, Client: "c1", Call: o.call, Result: o.told, Invoked: at, Returned: at + 1, Clock: history.Seen(0)})
		}
		return linearizability.Check(h, linearizability.Options{}).Verdict
	}
	forgets := dialect.Dialect{NoMembership: true, Forgets: true}
	assert.Equal(t, linearizability.OK, check(forgets, op.Settled))
	assert.Equal(t, linearizability.OK, check(forgets, op.OK))
	assert.Equal(t, linearizability.Illegal, check(forgets, op.Unavailable), "nobody has released it")
	assert.Equal(t, linearizability.Illegal, check(dialect.Dialect{NoMembership: true}, op.Settled))
}

// What a store has said that it does not have does not come back: no read finds it and
// nobody renews it, until somebody is granted the actor. Reads that overlap come in
// the order in which they are right, and a refusal may go on saying which tenure ended.
func TestWhatIsGoneDoesNotComeBack(t *testing.T) {
	cfg := registry.DefaultConfig()
	a, n := registry.ActorID{Namespace: "x", Name: "a"}, registry.NodeRef{ID: "n1", Epoch: 1}
	lease := registry.Placement{Actor: a, Holder: n, Token: 1, Version: 1, Expiry: registry.Instant(cfg.TTL), ClaimID: registry.ClaimID{1}}
	free, next := lease, lease
	free.Holder, free.Version = registry.NodeRef{}, 2
	next.Token, next.Version, next.ClaimID = 5, 9, registry.ClaimID{2}
	type step struct {
		call op.Call
		told op.Result
	}
	ok := op.Result{Outcome: op.OK}
	found := func(p registry.Placement) step {
		return step{op.Call{Kind: op.Lookup, Actor: a}, op.Result{Outcome: op.OK, Found: true, Record: p}}
	}
	begin := []step{
		{op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: lease.ClaimID}, op.Result{Outcome: op.OK, Record: lease}},
		{op.OnLease(op.Release, registry.Lease(lease)), ok},
	}
	none := step{op.Call{Kind: op.Lookup, Actor: a}, ok}
	again := step{op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: next.ClaimID}, op.Result{Outcome: op.OK, Record: next}}
	refused := step{op.OnLease(op.Renew, registry.Lease(lease)), op.Result{Outcome: op.Refused, Reason: op.NotHeld, Record: free}}
	row := step{op.Call{Kind: op.ListActors, Node: n}, op.Result{Outcome: op.OK, Actors: []registry.Placement{lease}}}
	check := func(overlap bool, steps ...step) linearizability.Verdict {
		h := history.History{Config: cfg, Dialect: dialect.Dialect{NoMembership: true, Forgets: true}}
		for i, s := range append(begin[:2:2], steps...) {
			o := history.Op{ID: i, Client: "c1", Call: s.call, Result: s.told, Invoked: int64(2 * i), Returned: int64(2*i + 1), Clock: history.Seen(0)}
			if overlap && i >= 2 {
				o.Client, o.Invoked, o.Returned = string(rune('a'+i)), int64(10+i), int64(100+i)
			}
			h.Ops = append(h.Ops, o)
		}
		return linearizability.Check(h, linearizability.Options{}).Verdict
	}
	assert.Equal(t, linearizability.OK, check(false, found(free), none, none, refused, again, found(next)))
	assert.Equal(t, linearizability.Illegal, check(false, none, found(free)))
	assert.Equal(t, linearizability.Illegal, check(false, none, refused, found(free)))
	assert.Equal(t, linearizability.Illegal, check(false, none, again, found(free)))
	assert.Equal(t, linearizability.OK, check(true, none, found(free)), "they overlap")
	assert.Equal(t, linearizability.OK, check(true, none, again, found(next)))
	assert.Equal(t, linearizability.Illegal, check(false, none, row))
}

// A claim that read its clock at 0 and waited may find gone what was granted meanwhile and
// has lapsed since, if the clocks can have come so far before it returned; not otherwise.
func TestForgottenByALaterReading(t *testing.T) {
	cfg := registry.DefaultConfig()
	a, n := registry.ActorID{Namespace: "x", Name: "a"}, registry.NodeRef{ID: "n1", Epoch: 1}
	at := func(i registry.Instant, id byte, token registry.Token, v registry.Version) registry.Placement {
		return registry.Placement{Actor: a, Holder: n, Token: token, Version: v, Expiry: i.Add(cfg.TTL), ClaimID: registry.ClaimID{id}}
	}
	check := func(d dialect.Dialect, last registry.Instant) linearizability.Verdict {
		h := history.History{Config: cfg, Dialect: d}
		add := func(p registry.Placement, reading registry.Instant, invoked, returned int64) {
			h.Ops = append(h.Ops, history.Op{
				ID: len(h.Ops), Client: string(rune('a' + len(h.Ops))), Call: op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: p.ClaimID},
				Result: op.Result{Outcome: op.OK, Record: p}, Invoked: invoked, Returned: returned, Clock: history.Seen(reading),
			})
		}
		add(at(0, 2, 5, 9), 0, 0, 9)
		add(at(1, 1, 1, 1), 1, 1, 2)
		h.Ops = append(h.Ops, history.Op{ID: 2, Client: "z", Call: op.Call{Kind: op.Heartbeat, Node: n},
			Result: op.Result{Outcome: op.Unavailable}, Invoked: 10, Returned: 11, Clock: history.Seen(last)})
		return linearizability.Check(h, linearizability.Options{}).Verdict
	}
	forgets := dialect.Dialect{NoMembership: true, Forgets: true}
	gone := registry.Instant(1).Add(cfg.TTL + cfg.Grace)
	assert.Equal(t, linearizability.OK, check(forgets, gone))
	assert.Equal(t, linearizability.Illegal, check(forgets, gone-1))
	assert.Equal(t, linearizability.Illegal, check(dialect.Dialect{NoMembership: true, SparseTokens: true, SparseVersions: true}, gone))
}
