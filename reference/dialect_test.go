package reference_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// What is right in the contract is right in every dialect, and comes first: a
// dialect may allow more, never less.
func TestDialectsAllowMoreNeverLess(t *testing.T) {
	cfg := registry.Config{TTL: 10 * time.Second, Grace: 2 * time.Second, MaxClockSkew: time.Second, FailureTimeout: 6 * time.Second}
	holder, other := registry.NodeRef{ID: "n1", Epoch: 1}, registry.NodeRef{ID: "n2", Epoch: 1}
	a := registry.ActorID{Namespace: "x", Name: "a"}
	id := registry.ClaimID{1}
	held := reference.Record{Actor: a, Holder: holder, Token: 5, Version: 9, Expiry: 100 * registry.Instant(time.Second), ClaimID: id}
	released := held
	released.Holder = registry.NodeRef{}
	lease := func(k op.Kind, n registry.NodeRef, token registry.Token) op.Call {
		return op.Call{Kind: k, Actor: a, Node: n, Token: token, To: other}
	}
	var calls []op.Call
	for _, n := range []registry.NodeRef{holder, other} {
		calls = append(calls, op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: id}, op.Call{Kind: op.Claim, Actor: a, Node: n, ClaimID: registry.ClaimID{2}})
		for _, token := range []registry.Token{4, 5, 6} {
			for _, k := range []op.Kind{op.Renew, op.Release, op.Transfer, op.Validate} {
				calls = append(calls, lease(k, n, token))
			}
		}
	}
	calls = append(calls, op.Call{Kind: op.Lookup, Actor: a})
	more := map[string]int{}
	for _, r := range []reference.Record{{Actor: a}, held, released} {
		for s := 80; s <= 140; s++ {
			now := registry.Instant(s) * registry.Instant(time.Second)
			for _, c := range calls {
				v := reference.View{Record: r, Last: holder, Member: reference.Member{Ref: registry.NodeRef{ID: c.Party(), Epoch: 1}, Status: registry.NodeActive}}
				strict := reference.Decisions(cfg, dialect.Dialect{}, v, &c, now)
				require.Equal(t, reference.Decide(cfg, v, &c, now).Guard, strict[0].Guard)
				for _, f := range dialect.Differences() {
					got := reference.Decisions(cfg, f.Only, v, &c, now)
					require.Subset(t, got, strict, "%s: %v at %d", f.Name, c, s)
					require.Equal(t, strict[0], got[0], f.Name)
					more[f.Name] += len(got) - len(strict)
				}
			}
		}
	}
	for _, name := range []string{"no-tokens", "no-claim-ids", "forgets", "holds-longer", "store-clock"} {
		assert.Positive(t, more[name], "%s allows something", name)
	}
	for _, name := range []string{"sparse-tokens", "sparse-versions", "bare-records", "no-transfer", "no-listing"} {
		assert.Zero(t, more[name], "%s is about what is told", name)
	}
}

// A store that may hold longer by D decides as at some expiry up to D later: a claim
// from there on is granted, a renewal from there on is refused.
func TestHoldsLongerIsBounded(t *testing.T) {
	cfg := registry.Config{TTL: 10, Grace: 2, MaxClockSkew: 1, FailureTimeout: 6, AllowShortTTL: true}
	n1, n2 := registry.NodeRef{ID: "n1", Epoch: 1}, registry.NodeRef{ID: "n2", Epoch: 1}
	v := reference.View{Record: reference.Record{Holder: n1, Token: 1, Version: 1, Expiry: 100}, Member: reference.Member{Ref: n2, Status: registry.NodeActive}}
	claim, renew := op.Call{Kind: op.Claim, Node: n2, ClaimID: registry.ClaimID{7}}, op.Call{Kind: op.Renew, Node: n1, Token: 1}
	guards := func(d dialect.Dialect, c op.Call, now registry.Instant) (all []reference.Guard) {
		for _, x := range reference.Decisions(cfg, d, v, &c, now) {
			all = append(all, x.Guard)
		}
		return all
	}
	d := dialect.Dialect{HoldsLonger: 5}
	both := []reference.Guard{reference.Enabled, reference.Claimable}
	assert.Equal(t, []reference.Guard{reference.Claimable}, guards(d, claim, 103))
	assert.ElementsMatch(t, both, guards(d, claim, 104))
	assert.ElementsMatch(t, both, guards(d, claim, 108))
	assert.Equal(t, []reference.Guard{reference.Enabled}, guards(d, claim, 109))
	assert.ElementsMatch(t, []reference.Guard{reference.Enabled, reference.NotLapsed}, guards(d, renew, 106))
	assert.Equal(t, []reference.Guard{reference.NotLapsed}, guards(d, renew, 107))
	assert.ElementsMatch(t, both, guards(dialect.Dialect{HoldsLonger: dialect.Unbounded}, claim, 1<<60))
}

// A store that knows no claim ids sees a new claim, and refuses it for the node first.
// One that holds on longer than it told may keep the holder's own attempt, which is over
// by what was told, or refuse it as anybody's.
func TestAClaimUnderItsOwnIDMayBeRefused(t *testing.T) {
	cfg := registry.Config{TTL: 10, Grace: 2, MaxClockSkew: 1, FailureTimeout: 6, AllowShortTTL: true}
	n1, id := registry.NodeRef{ID: "n1", Epoch: 1}, registry.ClaimID{7}
	claim := op.Call{Kind: op.Claim, Node: n1, ClaimID: id}
	decisions := func(d dialect.Dialect, s registry.NodeStatus, now registry.Instant) []reference.Decision {
		v := reference.View{Record: reference.Record{Holder: n1, Token: 1, Version: 1, Expiry: 100, ClaimID: id}, Member: reference.Member{Ref: n1, Status: s}}
		return reference.Decisions(cfg, d, v, &claim, now)
	}
	repeats, held := reference.Decision{Repeats: true}, reference.Decision{Guard: reference.Claimable}
	failed, granted := reference.Decision{Guard: reference.NodeNotFailed}, reference.Decision{}
	nameless, longer := dialect.Dialect{NoClaimIDs: true}, dialect.Dialect{HoldsLonger: 5}
	assert.ElementsMatch(t, []reference.Decision{repeats, held, failed}, decisions(nameless, registry.NodeFailed, 99))
	assert.ElementsMatch(t, []reference.Decision{repeats}, decisions(longer, registry.NodeActive, 101))
	assert.ElementsMatch(t, []reference.Decision{repeats, held}, decisions(longer, registry.NodeActive, 103))
	assert.ElementsMatch(t, []reference.Decision{repeats, held, granted}, decisions(longer, registry.NodeActive, 104))
	assert.ElementsMatch(t, []reference.Decision{granted}, decisions(longer, registry.NodeActive, 109))
	assert.ElementsMatch(t, []reference.Decision{repeats}, decisions(dialect.Dialect{SparseTokens: true}, registry.NodeFailed, 99))
}

// A record that somebody else has forgotten meanwhile, by a later reading, is gone for a
// call that has an older one: whoever presents the tenure is refused, a claim is granted
// above the record's numbers, also to the holder under its own id.
func TestAnOlderReadingMayFindTheRecordGone(t *testing.T) {
	cfg := registry.Config{TTL: 10, Grace: 2, MaxClockSkew: 1, FailureTimeout: 6, AllowShortTTL: true}
	d, n1, n2 := dialect.Dialect{Forgets: true}, registry.NodeRef{ID: "n1", Epoch: 1}, registry.NodeRef{ID: "n2", Epoch: 1}
	held := reference.Record{Holder: n1, Token: 3, Version: 4, Expiry: 100, ClaimID: registry.ClaimID{7}}
	assert.False(t, reference.GoneBy(cfg, d, held, 103))
	assert.True(t, reference.GoneBy(cfg, d, held, 104))
	assert.False(t, reference.GoneBy(cfg, dialect.Dialect{}, held, 104))
	assert.True(t, reference.GoneBy(cfg, d.And(dialect.Dialect{StoreClock: true}), held, 102), "one clock for all, ε is rounded down")

	decisions := func(stale bool, by registry.NodeRef, c op.Call) []reference.Decision {
		v := reference.View{Record: held, Member: reference.Member{Ref: by, Status: registry.NodeActive}, Stale: stale}
		c.Node = by
		return reference.Decisions(cfg, d, v, &c, 50)
	}
	claim, renew := op.Call{Kind: op.Claim, ClaimID: held.ClaimID}, op.Call{Kind: op.Renew, Token: 3}
	granted, refused := reference.Decision{}, reference.Decision{Guard: reference.Claimable}
	assert.ElementsMatch(t, []reference.Decision{refused}, decisions(false, n2, claim))
	assert.ElementsMatch(t, []reference.Decision{refused, granted}, decisions(true, n2, claim))
	assert.ElementsMatch(t, []reference.Decision{{Repeats: true}, granted}, decisions(true, n1, claim))
	assert.ElementsMatch(t, []reference.Decision{granted, {Guard: reference.TenureHeld}}, decisions(true, n1, renew))
	after := reference.EffectIn(cfg, d, reference.View{Record: held, Stale: true}, &claim, 50)
	assert.Equal(t, reference.Least{Token: true, Version: true}, after.Least)
}
