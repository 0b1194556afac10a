package op_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// A kind is written and read by its name, and no other text is a kind.
func TestKindText(t *testing.T) {
	for _, k := range op.Kinds() {
		text, err := k.MarshalText()
		require.NoError(t, err)
		require.Equal(t, k.String(), string(text))
		require.Equal(t, k, op.KindOf(k.String()))
		var got op.Kind
		require.NoError(t, got.UnmarshalText(text))
		require.Equal(t, k, got)
	}
	for _, k := range []op.Kind{0, op.Close + 1, 255} {
		require.False(t, k.Known())
		require.Equal(t, "none", k.String())
		_, err := k.MarshalText()
		require.Error(t, err)
	}
	for _, text := range []string{"", "none", "claim", "Claim ", "Steal"} {
		require.Zero(t, op.KindOf(text))
		var k op.Kind
		require.ErrorContains(t, k.UnmarshalText([]byte(text)), "is not an operation, want one of [Claim Renew")
	}
}

// good is a call of the kind whose arguments are all within their limits.
func good(k op.Kind) op.Call {
	actor, node := registry.ActorID{Namespace: "room", Name: "42"}, registry.NodeRef{ID: "n1", Epoch: 1}
	lease := registry.Lease{Actor: actor, Holder: node, Token: 1, Version: 1, ClaimID: registry.ClaimID{15: 1}}
	switch k {
	case op.Claim:
		return op.Call{Kind: k, Actor: actor, Node: node, ClaimID: registry.ClaimID{15: 1}}
	case op.Renew, op.Release:
		return op.OnLease(k, lease)
	case op.Transfer:
		c := op.OnLease(k, lease)
		c.To = registry.NodeRef{ID: "n2", Epoch: 1}
		return c
	case op.Lookup, op.Watch:
		return op.Call{Kind: k, Actor: actor}
	case op.Validate:
		return op.Call{Kind: k, Actor: actor, Token: 1}
	case op.RegisterNode, op.GetNode:
		return op.Call{Kind: k, Node: registry.NodeRef{ID: "n1"}}
	case op.ListActors, op.Heartbeat, op.MarkFailed, op.DeregisterNode:
		return op.Call{Kind: k, Node: node}
	}
	return op.Call{Kind: k}
}

// Arguments are checked in the order of the operation's parameters, and only
// those that it takes (contract: ErrInvalid comes before all other errors).
func TestValidate(t *testing.T) {
	long := strings.Repeat("x", 2000)
	spoiled := map[op.Kind][]func(*op.Call){}
	// Each spoils one argument, from the last parameter to the first, so that the
	// error is always that of the latest.
	for _, tc := range []struct {
		field string
		spoil func(*op.Call)
		of    []op.Kind
	}{
		{"page limit", func(c *op.Call) { c.Page.Limit = registry.MaxPageLimit + 1 }, []op.Kind{op.ListActors, op.ListNodes}},
		{"node status", func(c *op.Call) { c.Status = 9 }, []op.Kind{op.ListNodes}},
		{"register mode", func(c *op.Call) { c.Mode = 9 }, []op.Kind{op.RegisterNode}},
		{"node address", func(c *op.Call) { c.Info.Address = long }, []op.Kind{op.RegisterNode}},
		{"claim id", func(c *op.Call) { c.ClaimID = registry.ClaimID{} }, []op.Kind{op.Claim}},
		{"node epoch", func(c *op.Call) { c.To.Epoch = 0 }, []op.Kind{op.Transfer}},
		{"token", func(c *op.Call) { c.Token = 0 }, []op.Kind{op.Renew, op.Release, op.Transfer, op.Validate}},
		{"node epoch", func(c *op.Call) { c.Node.Epoch = 0 }, []op.Kind{
			op.Claim, op.Renew, op.Release, op.Transfer, op.ListActors, op.Heartbeat, op.MarkFailed, op.DeregisterNode,
		}},
		{"node id", func(c *op.Call) { c.Node.ID = "" }, []op.Kind{
			op.Claim, op.Renew, op.Release, op.Transfer, op.ListActors, op.Heartbeat, op.MarkFailed, op.DeregisterNode, op.RegisterNode, op.GetNode,
		}},
		{"actor name", func(c *op.Call) { c.Actor.Name = long }, []op.Kind{op.Claim, op.Renew, op.Release, op.Transfer, op.Lookup, op.Validate, op.Watch}},
		{"actor namespace", func(c *op.Call) { c.Actor.Namespace = "" }, []op.Kind{op.Claim, op.Renew, op.Release, op.Transfer, op.Lookup, op.Validate, op.Watch}},
	} {
		for _, k := range tc.of {
			c := good(k)
			require.NoError(t, c.Validate(), k)
			tc.spoil(&c)
			var invalid *registry.InvalidError
			require.ErrorAs(t, c.Validate(), &invalid, k)
			require.Equal(t, tc.field, invalid.Field, k)
			spoiled[k] = append(spoiled[k], tc.spoil)
			all := good(k)
			for _, spoil := range spoiled[k] {
				spoil(&all)
			}
			require.ErrorAs(t, all.Validate(), &invalid, k)
			require.Equal(t, tc.field, invalid.Field, "%v: the first that is wrong", k)
		}
	}
	for _, k := range []op.Kind{op.RenewBatch, op.Close} { // each lease of a batch is judged in its turn
		c := op.Call{Kind: k, Leases: make([]registry.Lease, 2)}
		require.NoError(t, c.Validate())
	}
	require.ErrorIs(t, (&op.Call{}).Validate(), registry.ErrInvalid)
}

// Party is the node whose registration decides.
func TestParty(t *testing.T) {
	for _, k := range op.Kinds() {
		c := good(k)
		want := registry.NodeID("n1")
		switch k {
		case op.Transfer:
			want = "n2"
		case op.Renew, op.Release, op.Lookup, op.Validate, op.ListActors, op.RenewBatch, op.Watch, op.ListNodes, op.Close:
			want = ""
		}
		require.Equal(t, want, c.Party(), k)
	}
}

// A lease goes into a call and comes out as it was.
func TestOnLease(t *testing.T) {
	l := registry.Lease{
		Actor: registry.ActorID{Namespace: "a", Name: "b"}, Holder: registry.NodeRef{ID: "n", Epoch: 2},
		Token: 3, Version: 4, Expiry: 5, ClaimID: registry.ClaimID{6},
	}
	for _, k := range []op.Kind{op.Renew, op.Release, op.Transfer} {
		c := op.OnLease(k, l)
		require.Equal(t, k, c.Kind)
		require.Equal(t, l, c.Lease())
	}
}
