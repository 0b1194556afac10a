package conformance_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
)

// Mistakes, by the rule that they break most. The cases convict each of them for
// some rule; here it has to be the one that says what is wrong.
func TestHeadlines(t *testing.T) {
	variant := func(id string) conformance.Backend {
		v, ok := broken.Find(id)
		require.True(t, ok, id)
		return v.Backend()
	}
	// claims changes what the store answers to a claim that it grants.
	claims := func(change func(again bool, l registry.Lease) registry.Lease) conformance.Backend {
		return twistedBackend{twist: twist{name: "changed claims", bend: func() func(*bent) {
			seen := map[registry.ClaimID]bool{}
			return func(b *bent) {
				b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
					l, err := b.Handle.Claim(ctx, a, n, id)
					if err == nil {
						l, seen[id] = change(seen[id], l), true
					}
					return l, err
				}
			}
		}}}
	}
	// held tells some of those whom the store refuses with ErrHeld that they hold
	// the actor now, under the holder's token.
	held := func(lies func(by, holder registry.NodeRef) bool) conformance.Backend {
		return twistedBackend{twist: twist{name: "claims of held actors", bend: bend(func(b *bent) {
			b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
				l, err := b.Handle.Claim(ctx, a, n, id)
				var found *registry.Refusal
				if errors.Is(err, registry.ErrHeld) && errors.As(err, &found) && lies(n, found.Placement.Holder) {
					l = found.Placement.Lease()
					l.Holder, l.ClaimID, l.Version = n, id, l.Version+1
					return l, nil
				}
				return l, err
			}
		})}}
	}
	for _, c := range []struct {
		name string
		b    conformance.Backend
		id   string
		rule conformance.RuleID
		text string
	}{
		{"a zero lease for a repeated claim", claims(func(again bool, l registry.Lease) registry.Lease {
			if again {
				return registry.Lease{}
			}
			return l
		}), "contract/claim-repeats", "Claim.repeated", "= a zero lease"},
		{"a zero lease for a grant", claims(func(bool, registry.Lease) registry.Lease { return registry.Lease{} }),
			"contract/claim-grants", "Claim.granted", "= a zero lease"},
		{"a lease under another claim id", claims(func(_ bool, l registry.Lease) registry.Lease {
			l.ClaimID[15]++
			return l
		}), "contract/claim-grants", "Claim.granted", "under claim id"},
		{"a first token of 144", claims(func(_ bool, l registry.Lease) registry.Lease {
			l.Token += 143
			return l
		}), "contract/claim-grants", "Claim.granted", "token 144, want 1"},
		{"an epoch used again", variant("M86"), "membership/register", conformance.EpochFresh, ""},
		{"names without capitals", variant("M77"), "contract/names-distinct", conformance.NamesDistinct, ""},
		{"names cut", variant("M76"), "contract/names-distinct", conformance.NamesDistinct, ""},
		{"an empty name stored", variant("M75"), "contract/bad-input", conformance.NameLimits, ""},
		{"its own actor granted anew", held(func(by, holder registry.NodeRef) bool { return by == holder }), "contract/claim-boundaries", "Claim.held", ""},
		{"two nodes under one token", held(func(by, holder registry.NodeRef) bool { return by != holder }), "contract/claim-boundaries", conformance.SingleActivation, "both hold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judgeOne(t, c.b, c.id)
			require.Equal(t, conformance.Convicted, r.Verdict)
			assert.Equal(t, c.rule, r.Conviction.Rule, "%s", r.Conviction)
			assert.Contains(t, r.Conviction.String(), c.text)
		})
	}
}
