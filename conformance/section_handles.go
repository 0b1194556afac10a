package conformance

import (
	"context"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

func handlesSection() Section {
	tenures := mix{op.Claim: 24, op.Renew: 10, op.Release: 8, op.Transfer: 6, op.Lookup: 6, op.Validate: 4, op.ListActors: 3,
		op.RegisterNode: 3, op.Heartbeat: 3, op.GetNode: 2, op.ListNodes: 2, op.Close: 7}
	return Section{
		Name: "handles",
		Doc:  "several callers of one handle: its Close while they are busy, whose the values are that go in and out, watches and batches in numbers",
		Cases: slices.Concat([]Case{
			{Name: "close-race", Doc: "handles are closed while they are used, by one caller or by several, checked for linearizability", draws: true,
				Rules: []RuleID{ClosedSecond, ErrorIdentity, ErrorKept, Linearizability, CallsReturn},
				run: func(t *trial) {
					t.scenarios(profile{clients: [2]int{2, 6}, actors: 3, rounds: 3, program: 3, mix: tenures,
						between: mix{tick: 5, drift: 3}, histories: 120})
				}},
			{Name: "close-under-way", Doc: "a handle is closed while one of its operations is stopped on its way",
				Rules: []RuleID{ClosedSecond, AmbiguousTruth, Linearizability, CallsReturn},
				run:   func(t *trial) { t.interferences(t.capable(closingCalls())) }},
			{Name: "rows", Doc: "rows that were returned are overwritten by the caller, and those of earlier calls stay as they were",
				Rules: []RuleID{ValuesOwn}, run: ownRows},
			{Name: "arguments", Doc: "leases that were passed in a batch are overwritten by the caller, and are not changed by the backend",
				Rules: []RuleID{ValuesOwn}, Needs: []Capability{BatchRenew}, run: ownArguments},
			{Name: "errors", Doc: "errors that were returned still tell what they told after later calls",
				Rules: []RuleID{ErrorKept, ErrorIdentity}, run: ownErrors},
		}, watchCases(), batchCases()),
	}
}

// closingCalls are calls of each kind, stopped while their handle is closed.
func closingCalls() (all []interference) {
	for i, st := range troubledStarts {
		for j, who := range everyKind {
			for _, stop := range []ending{atReading, atLook1 + ending((i+j)%3)} {
				all = append(all, interference{start: st, first: who, second: "close", shared: true, stop: stop})
			}
		}
	}
	return all
}

// objectLast convicts the last step because of something that its answer does not show.
func (w *lockstep) objectLast(rule RuleID, what string) {
	last := w.steps[len(w.steps)-1]
	w.convict(rule, 0, last.result, last.result, what)
}

// raw makes a listing directly on the handle and returns the very rows.
func (n *node) raw(c call) (rows []registry.Placement, nodes []registry.Node) {
	w := n.w
	w.t.needs(c.Kind)
	var patience patience
	for {
		var err error
		w.t.watch(c.String, func(ctx context.Context) {
			if c.Kind == op.ListActors {
				rows, _, err = n.h.ListActors(ctx, c.Node, c.Page)
			} else {
				nodes, _, err = n.h.ListNodes(ctx, c.Status, c.Page)
			}
		})
		w.note(n, c, op.Result{Outcome: op.OK, Actors: slices.Clone(rows), Nodes: slices.Clone(nodes), Err: err})
		switch {
		case err == nil:
			return rows, nodes
		case !trouble(err) || patience.over(err):
			w.t.unanswered(fmt.Sprintf("%s: %v", n.name, c), err)
		}
		w.t.troubles.Add(1)
	}
}

// overwrite writes over all that a slice can reach.
func overwrite[T any](rows []T, with T) {
	rows = rows[:cap(rows)]
	for i := range rows {
		rows[i] = with
	}
}

func ownRows(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		var leases []registry.Lease
		for i := range 9 {
			leases = append(leases, w.is(n1.claim(w.actor(fmt.Sprintf("a%d", i))), nil).Lease())
		}
		actors, nodes := listActors(n1.ref, 4), listNodes(registry.AnyStatus, 4)
		for _, n := range []*node{n1, n2, n1} {
			rows, _ := n.raw(actors)
			_, members := n.raw(nodes)
			keptRows, keptMembers := slices.Clone(rows), slices.Clone(members)
			w.is(n1.do(renew(leases[0])), nil)
			w.is(n1.do(release(leases[1])), nil)
			leases[1] = w.is(n1.claim(leases[1].Actor), nil).Lease()
			w.is(n2.do(heartbeat(n2.ref)), nil)
			n.raw(actors)
			n.raw(nodes)
			if !slices.Equal(rows, keptRows) || !slices.Equal(members, keptMembers) {
				w.objectLast(ValuesOwn, "rows that an earlier listing returned have changed meanwhile")
			}
			overwrite(rows, registry.Placement{Actor: w.actor("overwritten"), Holder: n2.ref, Token: 77, Version: 77})
			overwrite(members, registry.Node{Ref: registry.NodeRef{ID: "overwritten", Epoch: 77}})
			for _, m := range []*node{n1, n2} {
				w.sameRows(m, actors)
				w.sameRows(m, nodes)
			}
			for _, l := range leases {
				w.is(n2.do(lookup(l.Actor)), nil)
			}
			w.is(n1.do(getNode(n2.ref.ID)), nil)
		}
	})
}

// sameRows convicts a listing that is not the reference's, after rows returned
// before were overwritten.
func (w *lockstep) sameRows(n *node, c call) {
	got := w.untroubled(n, c)
	want, _ := w.specified(n, c, got)
	if diff := w.diff(n, got, want); diff != "" {
		w.note(n, c, got)
		w.convict(ValuesOwn, 0, got, want, diff+"\nthe caller has overwritten the rows that an earlier listing returned to it")
	}
}

func ownArguments(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		var leases []registry.Lease
		for _, name := range []string{"d", "b", "c", "a", "e"} { // in no order that a backend may like better
			leases = append(leases, w.is(n1.claim(w.actor(name)), nil).Lease())
		}
		for range 2 {
			w.advance(w.cfg.TTL / 4)
			passed := slices.Clone(leases)
			got := w.session.do(n1.name, n1.h, call{Call: op.Call{Kind: op.RenewBatch, Leases: passed}})
			c := renewBatchCall(leases)
			w.note(n1, c, got)
			want, _ := w.specified(n1, c, got)
			w.compare(n1, c, false, got, want)
			if !slices.Equal(passed, leases) {
				w.objectLast(ValuesOwn, "the call has changed the leases that were passed to it")
			}
			overwrite(passed, registry.Lease{Actor: w.actor("overwritten"), Holder: n2.ref, Token: 77, Version: 77})
			for _, l := range leases {
				w.auditOne(lookup(l.Actor), ValuesOwn)
			}
			w.auditOne(listActors(n1.ref, 3), ValuesOwn)
		}
		w.ownRenewals(n1, leases)
	})
}

// ownRenewals looks at the results of a batch after the next one, and overwrites them.
func (w *lockstep) ownRenewals(n *node, leases []registry.Lease) {
	c := renewBatchCall(leases)
	own, err := w.cluster.Open(w.cfg, n.clock) // without the wrappers of the suite, which copy
	if err != nil {
		w.t.giveUp("Cluster.Open: %v", err)
	}
	defer own.Close()
	batch := func() (results []registry.Renewal) {
		w.advance(w.cfg.TTL / 8)
		w.t.watch(c.String, func(ctx context.Context) { results = own.(registry.BatchRenewer).RenewBatch(ctx, c.Leases) })
		got := op.Result{Outcome: op.OK}
		for _, r := range results {
			one := op.Failed(r.Err)
			if r.Err == nil {
				one.Record = registry.Placement(r.Lease)
			}
			got.Renewals = append(got.Renewals, one)
		}
		w.note(n, c, got)
		want, _ := w.specified(n, c, got)
		w.compare(n, c, false, got, want)
		return results
	}
	same := func(a, b registry.Renewal) bool {
		return a.Lease == b.Lease && op.ReasonOf(a.Err) == op.ReasonOf(b.Err)
	}
	first := batch()
	kept := slices.Clone(first)
	second := batch()
	if !slices.EqualFunc(first, kept, same) {
		w.objectLast(ValuesOwn, "the results that an earlier batch returned have changed meanwhile")
	}
	overwrite(second, registry.Renewal{Err: registry.ErrNotHeld})
	for _, l := range leases {
		w.auditOne(lookup(l.Actor), ValuesOwn)
	}
}

// ownErrors collects refusals of every kind and looks at them again after more.
func ownErrors(t *trial) {
	t.in(t.cfg, func(w *lockstep) {
		n1, n2 := w.node("n1", 0), w.node("n2", 0)
		l := w.is(n1.claim(w.actor("a")), nil).Lease()
		m := w.is(n2.claim(w.actor("b")), nil).Lease()
		old := w.is(n1.claim(w.actor("c")), nil).Lease()
		w.is(n1.do(release(old)), nil)
		fenced := m
		m = w.is(n2.do(transfer(m, n1.ref)), nil).Lease()
		type kept struct {
			c   call
			got op.Result
		}
		var all []kept
		refuse := func(n *node, c call) { all = append(all, kept{c, n.do(c)}) }
		for range 2 {
			for _, n := range []*node{n1, n2} {
				refuse(n, claim(l.Actor, n2.ref, w.claimID()))
				refuse(n, claim(m.Actor, n2.ref, w.claimID()))
				refuse(n, renew(fenced))
				refuse(n, renew(old))
				refuse(n, validate(old.Actor, old.Token))
				refuse(n, claim(l.Actor, registry.NodeRef{ID: "n2", Epoch: 9}, w.claimID()))
				refuse(n, heartbeat(registry.NodeRef{ID: "n1", Epoch: 9}))
				refuse(n, markFailed(n1.ref))
				refuse(n, registerNode("n2", registry.NodeInfo{}, registry.IfAbsent))
				refuse(n, lookup(registry.ActorID{}))
			}
			l = w.is(n1.do(renew(l)), nil).Lease()
			w.is(n2.do(heartbeat(n2.ref)), nil)
			for _, k := range all {
				o := judgeKept(&k.got)
				if problem := identityProblem(t.judge.dialect, &k.c.Call, &k.got); problem != "" {
					o = &objection{rule: ErrorIdentity, found: problem}
				}
				if o != nil {
					w.convict(o.rule, 0, k.got, k.got, fmt.Sprintf("of %v: %s", k.c, o.found))
				}
			}
		}
	})
}
