package sections

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/answers"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/concurrent"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/conformance/internal/lockstep"
	"github.com/kelpie-registry/registry/conformance/internal/schedule"
	"github.com/kelpie-registry/registry/conformance/internal/traffic"
	"github.com/kelpie-registry/registry/conformance/internal/trial"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
)

func handlesSection() trial.Section {
	tenures := traffic.Mix{op.Claim: 24, op.Renew: 10, op.Release: 8, op.Transfer: 6, op.Lookup: 6, op.Validate: 4, op.ListActors: 3,
		op.RegisterNode: 3, op.Heartbeat: 3, op.GetNode: 2, op.ListNodes: 2, op.Close: 7}
	return trial.Section{
		Name: "handles",
		Doc:  "several callers of one handle: its Close while they are busy, whose the values are that go in and out, watches and batches in numbers",
		Cases: slices.Concat([]trial.Case{
			{Name: "close-race", Doc: "handles are closed while they are used, by one caller or by several, checked for linearizability", Draws: true,
				Rules: []contract.RuleID{contract.ClosedSecond, contract.ErrorIdentity, contract.ErrorKept, contract.Linearizability, contract.CallsReturn},
				Run: func(t *trial.Trial) {
					concurrent.Scenarios(t, concurrent.Profile{Clients: [2]int{2, 6}, Actors: 3, Rounds: 3, Program: 3, Mix: tenures,
						Between: traffic.Mix{traffic.Tick: 5, traffic.Drift: 3}, Histories: 120})
				}},
			{Name: "close-under-way", Doc: "a handle is closed while one of its operations is stopped on its way",
				Rules: []contract.RuleID{contract.ClosedSecond, contract.AmbiguousTruth, contract.Linearizability, contract.CallsReturn},
				Run:   func(t *trial.Trial) { schedule.Interferences(t, capable(t, closingCalls())) }},
			{Name: "close-at-once", Doc: "many close one handle at the same time, while watches wait through it: each Close returns",
				Rules: []contract.RuleID{contract.ClosedSecond, contract.CallsReturn}, Run: closeAtOnce},
			{Name: "rows", Doc: "rows that were returned are overwritten by the caller, and those of earlier calls stay as they were",
				Rules: []contract.RuleID{contract.ValuesOwn}, Run: ownRows},
			{Name: "arguments", Doc: "leases that were passed in a batch are overwritten by the caller, and are not changed by the backend",
				Rules: []contract.RuleID{contract.ValuesOwn}, Needs: []backend.Capability{backend.BatchRenew}, Run: ownArguments},
			{Name: "left-behind", Doc: "handles are opened, used and closed, again and again: no goroutine is left behind",
				Rules: []contract.RuleID{contract.CloseFrees}, Run: leftBehind},
			{Name: "errors", Doc: "errors that were returned still tell what they told after later calls",
				Rules: []contract.RuleID{contract.ErrorKept, contract.ErrorIdentity}, Run: ownErrors},
		}, watchCases(), batchCases()),
	}
}

// closingCalls are calls of each kind, stopped while their handle is closed.
func closingCalls() (all []schedule.Interference) {
	for i, st := range troubledStarts {
		for j, who := range everyKind {
			for _, stop := range []contexts.Ending{contexts.AtReading, contexts.AtLook1 + contexts.Ending((i+j)%3)} {
				all = append(all, schedule.Interference{Start: st, First: who, Second: "close", Shared: true, Stop: stop})
			}
		}
	}
	return all
}

// closeAtOnce closes handles that were used, by many at the same time.
func closeAtOnce(t *trial.Trial) {
	const closers, handles = 8, 30
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n := w.Node("n1", 0)
		l := w.Is(n.Claim(w.Actor("a")), nil).Lease()
		for range handles {
			n.Reopen()
			w.Is(n.Do(call.Renew(l)), nil)
			if w.T.Judge.Found[backend.Watch] {
				now := w.Untroubled(w.Observer, call.Lookup(l.Actor)).Record
				defer w.Waits(n, l.Actor, now.Version).Stop()
			}
			begin, ended := make(chan struct{}), make(chan op.Result, closers)
			h := n.H
			for range closers {
				w.T.Async(func() {
					<-begin
					ended <- w.Session.Do(n.Name, h, call.CloseHandle())
				})
			}
			close(begin)
			for range closers {
				w.T.Watch(call.CloseHandle().String, func(context.Context) {
					if got := <-ended; got.Err != nil && !call.Trouble(got.Err) {
						w.Note(n, call.CloseHandle(), got)
						w.Convict(contract.ClosedSecond, 0, got, op.Failed(nil), fmt.Sprintf("%d close the handle at the same time", closers))
					}
				})
			}
		}
	})
}

// objectLast convicts the last step because of something that its answer does not show.
func objectLast(w *lockstep.Run, rule contract.RuleID, what string) {
	last := w.Steps[len(w.Steps)-1]
	w.Convict(rule, 0, last.Result, last.Result, what)
}

// raw makes a listing directly on the handle and returns the very rows.
func raw(n *lockstep.Node, c call.Call) (rows []registry.Placement, nodes []registry.Node) {
	w := n.W
	w.T.Needs(c.Kind)
	var patience call.Patience
	for {
		var err error
		w.T.Watch(c.String, func(ctx context.Context) {
			if c.Kind == op.ListActors {
				rows, _, err = n.H.ListActors(ctx, c.Node, c.Page)
			} else {
				nodes, _, err = n.H.ListNodes(ctx, c.Status, c.Page)
			}
		})
		w.Note(n, c, op.Result{Outcome: op.OK, Actors: slices.Clone(rows), Nodes: slices.Clone(nodes), Err: err})
		switch {
		case err == nil:
			return rows, nodes
		case !call.Trouble(err) || patience.Over(err):
			w.T.Unanswered(fmt.Sprintf("%s: %v", n.Name, c), err)
		}
		w.T.Troubles.Add(1)
	}
}

// overwrite writes over all that a slice can reach.
func overwrite[T any](rows []T, with T) {
	rows = rows[:cap(rows)]
	for i := range rows {
		rows[i] = with
	}
}

func ownRows(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		var leases []registry.Lease
		for i := range 9 {
			leases = append(leases, w.Is(n1.Claim(w.Actor(fmt.Sprintf("a%d", i))), nil).Lease())
		}
		actors, nodes := call.ListActors(n1.Ref, 4), call.ListNodes(registry.AnyStatus, 4)
		for _, n := range []*lockstep.Node{n1, n2, n1} {
			rows, _ := raw(n, actors)
			_, members := raw(n, nodes)
			keptRows, keptMembers := slices.Clone(rows), slices.Clone(members)
			w.Is(n1.Do(call.Renew(leases[0])), nil)
			w.Is(n1.Do(call.Release(leases[1])), nil)
			leases[1] = w.Is(n1.Claim(leases[1].Actor), nil).Lease()
			w.Advance(time.Millisecond) // a row of each listing differs from before
			w.Is(n2.Do(call.Heartbeat(n2.Ref)), nil)
			latest, _ := raw(n, actors)
			_, latestMembers := raw(n, nodes)
			if !slices.Equal(rows, keptRows) || !slices.Equal(members, keptMembers) {
				objectLast(w, contract.ValuesOwn, "rows that an earlier listing returned have changed meanwhile")
			}
			for _, r := range [][]registry.Placement{rows, latest} {
				overwrite(r, registry.Placement{Actor: w.Actor("overwritten"), Holder: n2.Ref, Token: 77, Version: 77})
			}
			for _, m := range [][]registry.Node{members, latestMembers} {
				overwrite(m, registry.Node{Ref: registry.NodeRef{ID: "overwritten", Epoch: 77}})
			}
			for _, m := range []*lockstep.Node{n1, n2} {
				sameRows(w, m, actors)
				sameRows(w, m, nodes)
			}
			for _, l := range leases {
				w.Is(n2.Do(call.Lookup(l.Actor)), nil)
			}
			w.Is(n1.Do(call.GetNode(n2.Ref.ID)), nil)
		}
	})
}

// sameRows convicts a listing that is not the reference's, after rows returned
// before were overwritten.
func sameRows(w *lockstep.Run, n *lockstep.Node, c call.Call) {
	got := w.Untroubled(n, c)
	want, _ := w.Specified(n, c, got)
	if diff := w.Diff(n, got, want); diff != "" {
		w.Note(n, c, got)
		w.Convict(contract.ValuesOwn, 0, got, want, diff+"\nthe caller has overwritten the rows that an earlier listing returned to it")
	}
}

func ownArguments(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		var leases []registry.Lease
		for _, name := range []string{"d", "b", "c", "a", "e"} { // in no order that a backend may like better
			leases = append(leases, w.Is(n1.Claim(w.Actor(name)), nil).Lease())
		}
		for range 2 {
			w.Advance(w.Cfg.TTL / 4)
			passed := slices.Clone(leases)
			before := w.Time.Now()
			got := w.Session.Do(n1.Name, n1.H, call.Call{Call: op.Call{Kind: op.RenewBatch, Leases: passed}})
			w.Made(n1, call.RenewBatchCall(leases), got, before)
			if !slices.Equal(passed, leases) {
				objectLast(w, contract.ValuesOwn, "the call has changed the leases that were passed to it")
			}
			overwrite(passed, registry.Lease{Actor: w.Actor("overwritten"), Holder: n2.Ref, Token: 77, Version: 77})
			for _, l := range leases {
				w.AuditOne(call.Lookup(l.Actor), contract.ValuesOwn)
			}
			w.AuditOne(call.ListActors(n1.Ref, 3), contract.ValuesOwn)
		}
		ownRenewals(w, n1, leases)
	})
}

// ownRenewals looks at the results of a batch after the next one, and overwrites them.
func ownRenewals(w *lockstep.Run, n *lockstep.Node, leases []registry.Lease) {
	c := call.RenewBatchCall(leases)
	own, err := w.OpenWith(w.Cfg, n.Clock) // without the wrappers of the suite, which copy
	if err != nil {
		w.T.GiveUp("Cluster.Open: %v", err)
	}
	defer own.Close()
	batch := func() (results []registry.Renewal) {
		w.Advance(w.Cfg.TTL / 8)
		before := w.Time.Now()
		w.T.Watch(c.String, func(ctx context.Context) { results = own.(registry.BatchRenewer).RenewBatch(ctx, c.Leases) })
		got := op.Result{Outcome: op.OK}
		for _, r := range results {
			one := op.Failed(r.Err)
			if r.Err == nil {
				one.Record = registry.Placement(r.Lease)
			}
			got.Renewals = append(got.Renewals, one)
		}
		w.Made(n, c, got, before)
		return results
	}
	same := func(a, b registry.Renewal) bool {
		return a.Lease == b.Lease && op.ReasonOf(a.Err) == op.ReasonOf(b.Err)
	}
	first := batch()
	kept := slices.Clone(first)
	second := batch()
	if !slices.EqualFunc(first, kept, same) {
		objectLast(w, contract.ValuesOwn, "the results that an earlier batch returned have changed meanwhile")
	}
	overwrite(second, registry.Renewal{Err: registry.ErrNotHeld})
	for _, l := range leases {
		w.AuditOne(call.Lookup(l.Actor), contract.ValuesOwn)
	}
}

// ownErrors collects refusals of every kind and looks at them again after more.
func ownErrors(t *trial.Trial) {
	lockstep.In(t, t.Cfg, func(w *lockstep.Run) {
		n1, n2 := w.Node("n1", 0), w.Node("n2", 0)
		l := w.Is(n1.Claim(w.Actor("a")), nil).Lease()
		m := w.Is(n2.Claim(w.Actor("b")), nil).Lease()
		old := w.Is(n1.Claim(w.Actor("c")), nil).Lease()
		w.Is(n1.Do(call.Release(old)), nil)
		fenced := m
		m = w.Is(n2.Do(call.Transfer(m, n1.Ref)), nil).Lease()
		type kept struct {
			c   call.Call
			got op.Result
		}
		var all []kept
		refuse := func(n *lockstep.Node, c call.Call) { all = append(all, kept{c, n.Do(c)}) }
		for range 2 {
			for _, n := range []*lockstep.Node{n1, n2} {
				refuse(n, call.Claim(l.Actor, n2.Ref, w.ClaimID()))
				refuse(n, call.Claim(m.Actor, n2.Ref, w.ClaimID()))
				refuse(n, call.Renew(fenced))
				refuse(n, call.Renew(old))
				refuse(n, call.Validate(old.Actor, old.Token))
				refuse(n, call.Claim(l.Actor, registry.NodeRef{ID: "n2", Epoch: 9}, w.ClaimID()))
				refuse(n, call.Heartbeat(registry.NodeRef{ID: "n1", Epoch: 9}))
				refuse(n, call.MarkFailed(n1.Ref))
				refuse(n, call.RegisterNode("n2", registry.NodeInfo{}, registry.IfAbsent))
				refuse(n, call.Lookup(registry.ActorID{}))
			}
			l = w.Is(n1.Do(call.Renew(l)), nil).Lease()
			w.Is(n2.Do(call.Heartbeat(n2.Ref)), nil)
			for _, k := range all {
				o := answers.JudgeKept(&k.got)
				if problem := answers.IdentityProblem(t.Judge.Dialect, &k.c.Call, &k.got); problem != "" {
					o = &answers.Objection{Rule: contract.ErrorIdentity, Found: problem}
				}
				if o != nil {
					w.Convict(o.Rule, 0, k.got, k.got, fmt.Sprintf("of %v: %s", k.c, o.Found))
				}
			}
		}
	})
}
