package op_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

func ExampleText() {
	start := registry.InstantOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	text := op.Text{Origin: start, Namespace: "room"}
	claim := op.Call{
		Kind: op.Claim, Actor: registry.ActorID{Namespace: "room", Name: "42"},
		Node: registry.NodeRef{ID: "n2", Epoch: 1}, ClaimID: registry.ClaimID{15: 0x7f},
	}
	held := registry.Placement{
		Actor: claim.Actor, Holder: registry.NodeRef{ID: "n1", Epoch: 1}, Token: 1, Version: 3, Expiry: start.Add(10 * time.Second),
	}
	answer := op.Failed(&registry.Refusal{Reason: registry.ErrHeld, Placement: held})
	fmt.Println(text.Call(&claim), "=", text.Result(op.Claim, &answer))
	fmt.Println(claim.Script())
	// Output:
	// Claim(42, n2#1, id 7f) = ErrHeld: n1#1 token 1 version 3 expiry T+10s
	// Claim actor=room/42 node=n2#1 id=7f
}

// A call is written to scripts and parsed from them.
func ExampleParse() {
	words, _ := op.Words(`Transfer actor=room/"a b" node=n1#1 token=4 to=n2#1   # hand it on`)
	c, err := op.Parse(words)
	fmt.Println(c.Actor.Name, c.To, c.Token, err)
	_, err = op.Parse([]string{"Transfer", "token=four"})
	fmt.Println(err)
	// Output:
	// a b n2#1 4 <nil>
	// Transfer: token: "four" is not a number in range
}

// A wrapper around a handle is one function.
func ExampleHandle() {
	var inner registry.Handle = &answering{}
	counted := map[op.Kind]int{}
	h := op.Handle(func(ctx context.Context, c op.Call) op.Result {
		counted[c.Kind]++
		return op.Do(ctx, inner, &c)
	}, op.PowersOf(inner))
	_ = h.Heartbeat(context.Background(), registry.NodeRef{ID: "n1", Epoch: 1})
	fmt.Println(counted)
	// Output: map[Heartbeat:1]
}

// Each kind is shown by its name and what matters of its arguments.
func TestTextOfCalls(t *testing.T) {
	text := op.Text{Namespace: "room"}
	for k, want := range map[op.Kind]string{
		op.Claim: "Claim(42, n1#1, id 1)", op.Renew: "Renew(42, n1#1, token 1)", op.Release: "Release(42, n1#1, token 1)",
		op.Transfer: "Transfer(42, n1#1, token 1, to n2#1)", op.Lookup: "Lookup(42)", op.Validate: "Validate(42, token 1)",
		op.ListActors: "ListActors(n1#1)", op.RenewBatch: "RenewBatch()", op.Watch: "Watch(42, seen version 0)",
		op.RegisterNode: "RegisterNode(n1, if-absent)", op.Heartbeat: "Heartbeat(n1#1)", op.MarkFailed: "MarkFailed(n1#1)",
		op.DeregisterNode: "DeregisterNode(n1#1)", op.GetNode: "GetNode(n1)", op.ListNodes: "ListNodes(any)", op.Close: "Close()",
		0: "none()",
	} {
		c := good(k)
		require.Equal(t, want, text.Call(&c))
	}
	batch := op.Call{Kind: op.RenewBatch, Leases: []registry.Lease{goodLease(), goodLease()}}
	require.Equal(t, "RenewBatch(room/42 by n1#1 token 1, room/42 by n1#1 token 1)", op.Text{}.Call(&batch))
	page := op.Call{Kind: op.ListNodes, Status: registry.NodeLeft, Page: registry.Page{After: "a b", Limit: 3}}
	for range 8 {
		batch.Leases = append(batch.Leases, batch.Leases[0])
	}
	require.Equal(t, "RenewBatch("+strings.Repeat("room/42 by n1#1 token 1, ", 5)+"… 10 leases)", op.Text{}.Call(&batch))
	require.Equal(t, `ListNodes(left, after "a b", limit 3)`, op.Text{}.Call(&page))
}

func goodLease() registry.Lease { c := good(op.Renew); return c.Lease() }

// What each kind answers, and each outcome, has its own words.
func TestTextOfResults(t *testing.T) {
	text := op.Text{Origin: 1000}
	record := registry.Placement{Actor: registry.ActorID{Namespace: "ns", Name: "a"}, Holder: registry.NodeRef{ID: "n1", Epoch: 1}, Token: 1, Version: 2, Expiry: 3000}
	node := registry.Node{Ref: record.Holder, Status: registry.NodeActive, LastSeen: 500}
	released := record
	released.Holder = registry.NodeRef{}
	for _, tc := range []struct {
		kind op.Kind
		r    op.Result
		want string
	}{
		{op.Renew, op.Result{Record: record}, "n1#1 token 1 version 2 expiry T+2µs"},
		{op.Lookup, op.Result{Record: released, Found: true}, "nobody token 1 version 2 expiry T+2µs"},
		{op.Lookup, op.Result{}, "no record"},
		{op.Watch, op.Result{}, "never claimed"},
		{op.RegisterNode, op.Result{Node: node}, "n1#1 active seen T-500ns"},
		{op.GetNode, op.Result{Node: node, Found: true}, "n1#1 active seen T-500ns"},
		{op.GetNode, op.Result{}, "no registration"},
		{op.Release, op.Result{}, "ok"},
		{op.ListActors, op.Result{Actors: []registry.Placement{record}}, "[ns/a n1#1 token 1 version 2 expiry T+2µs]"},
		{op.ListActors, op.Result{}, "[]"},
		{op.ListNodes, op.Result{Nodes: []registry.Node{node, {}, node, node, node, node}}, "[n1#1 active seen T-500ns; never registered; n1#1 active seen T-500ns; n1#1 active seen T-500ns; n1#1 active seen T-500ns; … 6 rows]"},
		{op.RenewBatch, op.Result{Renewals: []op.Result{op.Failed(registry.ErrLapsed), {Outcome: op.OK, Record: record}}}, "[ErrLapsed; n1#1 token 1 version 2 expiry T+2µs]"},
		{op.Claim, op.Failed(registry.ErrHeld), "ErrHeld"},
		{op.Claim, op.Failed(&registry.Refusal{Reason: registry.ErrNodeFailed, Node: node}), "ErrNodeFailed: n1#1 active seen T-500ns"},
		{op.Claim, op.Failed(&registry.Refusal{Reason: registry.ErrFenced, Placement: record, Node: node}), "ErrFenced: n1#1 token 1 version 2 expiry T+2µs; n1#1 active seen T-500ns"},
		{op.Claim, op.Failed(&registry.AmbiguousError{Cause: errors.New("x")}), "unknown outcome, settled"},
		{op.Claim, op.Failed(registry.ErrAmbiguous), "unknown outcome, may still apply"},
		{op.Claim, op.Failed(errors.New("boom")), `an error that the contract does not have: "boom"`},
		{op.Claim, op.Failed(&registry.InvalidError{Field: "token", Problem: "is 0"}), "invalid argument: token is 0"},
		{op.Claim, op.Failed(registry.ErrClosed), "ErrClosed"},
		{op.Claim, op.Failed(registry.ErrUnavailable), "ErrUnavailable"},
		{op.Claim, op.Failed(fmt.Errorf("no: %w", registry.ErrUnavailable)), "ErrUnavailable"},
		{op.Claim, op.Failed(errors.Join(errors.New("x"), registry.ErrClosed)), "ErrClosed"},
		{op.Claim, op.Failed(context.Canceled), "context canceled"},
		{op.Claim, op.Failed(fmt.Errorf("no: %w", context.DeadlineExceeded)), "context deadline exceeded"},
		{op.Claim, op.Failed(&registry.ConfigMismatchError{Field: "TTL"}), "configuration differs from the store's: TTL is 0s in the store, 0s was given"},
		{op.Claim, op.Result{Outcome: op.Pending}, "no answer"},
	} {
		if tc.r.Outcome == "" {
			tc.r.Outcome = op.OK
		}
		require.Equal(t, tc.want, text.Result(tc.kind, &tc.r))
	}
}

// Values are shown as short as they are clear.
func TestTextOfValues(t *testing.T) {
	text := op.Text{Origin: 1000, Namespace: "room"}
	require.Equal(t, "none", text.Time(0))
	require.Equal(t, "T+0s", text.Time(1000))
	require.Equal(t, "T-1ns", text.Time(999))
	require.Equal(t, "T+0s", op.Text{}.Time(0))
	for _, tc := range []struct {
		actor registry.ActorID
		want  string
	}{
		{registry.ActorID{Namespace: "room", Name: "42"}, "42"},
		{registry.ActorID{Namespace: "rooms", Name: "42"}, "rooms/42"},
		{registry.ActorID{Namespace: "a/b", Name: "c d"}, `"a/b"/"c d"`},
		{registry.ActorID{}, `""/""`},
		{registry.ActorID{Namespace: "x", Name: strings.Repeat("y", 25)}, `x/"yyyyyyyy"… (25 bytes)`},
		{registry.ActorID{Namespace: "x", Name: strings.Repeat("y", 24)}, "x/" + strings.Repeat("y", 24)},
		{registry.ActorID{Namespace: "é", Name: "\n"}, `"é"/"\n"`},
	} {
		require.Equal(t, tc.want, text.Actor(tc.actor))
	}
	require.Equal(t, `""/a`, op.Text{}.Actor(registry.ActorID{Name: "a"}))
	require.Equal(t, "nobody", text.Ref(registry.NodeRef{}))
	require.Equal(t, "n1#2", text.Ref(registry.NodeRef{ID: "n1", Epoch: 2}))
	require.Equal(t, `""#1`, text.Ref(registry.NodeRef{Epoch: 1}))
	require.Equal(t, "never claimed", text.Record(registry.Placement{Actor: registry.ActorID{Namespace: "a", Name: "b"}}))
	require.Equal(t, "nobody token 0 version 1 expiry soon", text.RecordExpiring(registry.Placement{Version: 1}, "soon"))
}

// Whatever the values, a call is shown in one line.
func TestTextOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKind(t)
		c := drawCall(t, k)
		r := op.Do(t.Context(), &answering{answer: drawAnswer(t, drawOutcome(t))}, &c)
		text := op.Text{Origin: drawInstant(t), Namespace: drawName(t)}
		call := text.Call(&c)
		require.True(t, strings.HasPrefix(call, k.String()+"("), call)
		require.NotContains(t, call, "\n")
		require.NotEmpty(t, text.Result(k, &r))
	})
}

// Ids that differ are shown as different: those that begin alike by more digits,
// and whole when that is not enough.
func TestClaimsAreToldApart(t *testing.T) {
	id := func(s string) registry.ClaimID {
		c, err := registry.ParseClaimID((s + strings.Repeat("0", 32))[:32])
		require.NoError(t, err)
		return c
	}
	ids := []registry.ClaimID{id("7f3a"), id("abcd1"), id("abcd2"), id("12345678a"), id("12345678b"), id("7f3a")}
	shown := op.Distinguish(ids)
	require.Equal(t, "7f3a", shown[ids[0]])
	require.Equal(t, "abcd1", shown[ids[1]])
	require.Equal(t, "abcd2", shown[ids[2]])
	require.Equal(t, ids[3].String(), shown[ids[3]])
	require.Equal(t, ids[4].String(), shown[ids[4]])

	c := op.Call{Kind: op.Claim, Actor: registry.ActorID{Namespace: "ns", Name: "a"}, Node: registry.NodeRef{ID: "n1", Epoch: 1}, ClaimID: ids[1]}
	require.Equal(t, "Claim(ns/a, n1#1, id abcd1)", op.Text{Claims: shown}.Call(&c))
	r := op.Result{Outcome: op.OK, Record: registry.Placement{Holder: c.Node, Token: 1, Version: 1, ClaimID: c.ClaimID}}
	require.Equal(t, "n1#1 token 1 version 1 expiry T+0s", op.Text{}.Answer(&c, &r))
	r.Record.ClaimID = ids[2]
	require.Equal(t, "n1#1 token 1 version 1 expiry T+0s under claim id "+ids[2].String(), op.Text{}.Answer(&c, &r))
	require.Equal(t, "a zero lease", op.Text{}.Answer(&c, &op.Result{Outcome: op.OK}))
}
