package lockstep

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// differs says that the answers are of different classes, which needs no words.
const differs = "the outcome differs"

// Diff describes the first difference between the answers, "" when both say
// the same.
func (w *Run) Diff(n *Node, got, want op.Result) string {
	if call.Class(got.Err) != call.Class(want.Err) {
		return differs
	}
	if want.Err != nil {
		return w.detailDiff(n, got.Err, want.Err)
	}
	if got.Found != want.Found {
		return "found differs"
	}
	if d := w.placeDiff(got.Record, want.Record); d != "" {
		return d
	}
	if d := w.nodeDiff(got.Node, want.Node); d != "" {
		return d
	}
	return w.rowsDiff(n, got, want)
}

func (w *Run) rowsDiff(n *Node, got, want op.Result) string {
	if len(got.Renewals) != len(want.Renewals) {
		return fmt.Sprintf("%d results, want %d", len(got.Renewals), len(want.Renewals))
	}
	for i, g := range got.Renewals {
		x := want.Renewals[i]
		if d := w.Diff(n, g, x); d != "" {
			return fmt.Sprintf("result %d is %s, want %s: %s", i, w.resultText(op.Renew, g), w.resultText(op.Renew, x), d)
		}
	}
	want.Actors = w.remembered(n, got, want)
	if len(got.Actors) != len(want.Actors) || len(got.Nodes) != len(want.Nodes) {
		return fmt.Sprintf("%d rows, want %d", len(got.Actors)+len(got.Nodes), len(want.Actors)+len(want.Nodes))
	}
	for i := range got.Actors {
		if d := w.placeDiff(got.Actors[i], want.Actors[i]); d != "" {
			return fmt.Sprintf("row of %v: %s", want.Actors[i].Actor, d)
		}
	}
	for i := range got.Nodes {
		if d := w.nodeDiff(got.Nodes[i], want.Nodes[i]); d != "" {
			return fmt.Sprintf("row of %v: %s", want.Nodes[i].Ref.ID, d)
		}
	}
	return ""
}

// remembered are the rows that a listing must have: in a dialect that forgets, what
// has no row may be gone where a lookup may not find it, and what was not found once
// has none.
func (w *Run) remembered(n *Node, got, want op.Result) (rows []registry.Placement) {
	if !w.dialect.Forgets {
		return want.Actors
	}
	for _, p := range want.Actors {
		_, there := find(got.Actors, func(q registry.Placement) bool { return q.Actor == p.Actor })
		lookup := call.Lookup(p.Actor)
		view := w.spec.View(&lookup.Call)
		if view.Least.Gone {
			continue
		}
		view.Record = p
		decisions := reference.Decisions(w.Cfg, w.dialect, view, &lookup.Call, n.reads.Now())
		if there || !slices.Contains(decisions, reference.Decision{Guard: reference.Forgotten}) {
			rows = append(rows, p)
		}
	}
	return rows
}

// RowsAreTrue convicts a page, the last step, that has a row which is not as the record or
// the registration is: nobody changes any while it is read.
func (w *Run) RowsAreTrue(got op.Result) {
	if len(w.possible()) > 1 || len(w.Late) > 0 {
		return // it is not known how they are
	}
	ctx := context.WithoutCancel(w.T.Ctx)
	for _, row := range got.Actors {
		now, _, _ := w.Observer.model.Lookup(ctx, row.Actor)
		if d := w.placeDiff(row, now); d != "" {
			w.Convict(contract.PagedListing, 0, got, op.Result{Outcome: op.OK, Actors: []registry.Placement{now}}, fmt.Sprintf("row of %v: %s", row.Actor, d))
		}
	}
	for _, row := range got.Nodes {
		now, _, _ := w.Observer.model.GetNode(ctx, row.Ref.ID)
		if d := w.nodeDiff(row, now); d != "" {
			w.Convict(contract.PagedListing, 0, got, op.Result{Outcome: op.OK, Nodes: []registry.Node{now}}, fmt.Sprintf("row of %v: %s", row.Ref.ID, d))
		}
	}
}

func (w *Run) placeDiff(got, want registry.Placement) string {
	got = reference.Fill(w.dialect, want, got)
	switch {
	case got.Actor != want.Actor:
		return fmt.Sprintf("actor %v, want %v", got.Actor, want.Actor)
	case got.Holder != want.Holder:
		return fmt.Sprintf("holder %v, want %v", got.Holder, want.Holder)
	case got.Token != want.Token:
		return fmt.Sprintf("token %d, want %d", got.Token, want.Token)
	case got.Version != want.Version:
		return fmt.Sprintf("version %d, want %d", got.Version, want.Version)
	case !w.same(got.Expiry, want.Expiry) && !(got.Expiry < want.Expiry && want.Expiry.Sub(got.Expiry) <= w.dialect.HoldsLonger):
		return fmt.Sprintf("expiry %s, want %s", w.rel(got.Expiry), w.rel(want.Expiry))
	case got.ClaimID != want.ClaimID:
		return fmt.Sprintf("claim id %v, want %v", got.ClaimID, want.ClaimID)
	}
	return ""
}

func (w *Run) nodeDiff(got, want registry.Node) string {
	switch {
	case got.Ref != want.Ref:
		return fmt.Sprintf("incarnation %v, want %v", got.Ref, want.Ref)
	case got.Info != want.Info:
		return fmt.Sprintf("info %+v, want %+v", got.Info, want.Info)
	case got.Status != want.Status:
		return fmt.Sprintf("status %v, want %v", got.Status, want.Status)
	case !w.same(got.LastSeen, want.LastSeen):
		return fmt.Sprintf("last seen %s, want %s", w.rel(got.LastSeen), w.rel(want.LastSeen))
	}
	return ""
}

// same compares readings: exactly, or within the slack of real time.
func (w *Run) same(got, want registry.Instant) bool {
	if w.Exact {
		return got == want
	}
	d := got.Sub(want)
	return max(d, -d) <= w.margins().Expiry
}

// detailDiff compares what two errors of the same class tell.
func (w *Run) detailDiff(n *Node, got, want error) string {
	if errors.Is(want, registry.ErrInvalid) {
		var d *registry.InvalidError
		if !errors.As(got, &d) || d.Field == "" {
			return "no registry.InvalidError that names the argument is in the error"
		}
		return ""
	}
	var r, s *registry.Refusal
	if !errors.As(want, &s) {
		return ""
	}
	if !errors.As(got, &r) {
		if call.Class(want) == registry.ErrHeld && !w.dialect.BareRecords {
			return "no registry.Refusal is in the error"
		}
		return "" // details may be absent
	}
	if call.Class(r.Reason) != call.Class(want) {
		return fmt.Sprintf("the refusal's reason is %v", r.Reason)
	}
	place, node := w.truth(r, s)
	held := call.Class(want) == registry.ErrHeld && !w.dialect.BareRecords
	if d := w.placeDiff(r.Placement, place); d != "" && (held || r.Placement != registry.Placement{}) {
		return "the refusal tells " + d
	}
	if d := w.nodeDiff(r.Node, node); d != "" && (r.Node != registry.Node{}) {
		return "the refusal tells " + d
	}
	if r.Now != 0 && !w.same(r.Now, n.reads.Now()) {
		return fmt.Sprintf("the refusal tells reading %s, the clock reads %s", w.rel(r.Now), w.rel(n.reads.Now()))
	}
	return ""
}

// truth is what the details of a refusal must be where it tells them: the record
// for a refusal about a record, the registration for one about a node, as the
// reference, which has refused the same call, tells them. The other of the two is
// not asked for. Where it is told all the same it has to be true of what it names.
func (w *Run) truth(told, want *registry.Refusal) (registry.Placement, registry.Node) {
	place, node := want.Placement, want.Node
	ctx := context.WithoutCancel(w.T.Ctx)
	switch want.Reason {
	case registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive:
		place, _, _ = w.Observer.model.Lookup(ctx, told.Placement.Actor)
	default:
		node, _, _ = w.Observer.model.GetNode(ctx, told.Node.Ref.ID)
	}
	return place, node
}

func find[T any](rows []T, is func(T) bool) (row T, found bool) {
	i := slices.IndexFunc(rows, is)
	if i < 0 {
		return row, false
	}
	return rows[i], true
}
