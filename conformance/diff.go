package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

var errUnnamed = errors.New("an error that the contract does not have")

// class returns the contract's error that err matches, nil for success.
func class(err error) error {
	switch r := op.ReasonOf(err); r {
	case "":
		return nil
	case op.NotListed:
		return errUnnamed
	default:
		return r.Err()
	}
}

// differs says that the answers are of different classes, which needs no words.
const differs = "the outcome differs"

// diff describes the first difference between the answers, "" when both say
// the same.
func (w *lockstep) diff(n *node, got, want op.Result) string {
	if class(got.Err) != class(want.Err) {
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

func (w *lockstep) rowsDiff(n *node, got, want op.Result) string {
	if len(got.Renewals) != len(want.Renewals) {
		return fmt.Sprintf("%d results, want %d", len(got.Renewals), len(want.Renewals))
	}
	for i, g := range got.Renewals {
		x := want.Renewals[i]
		if d := w.diff(n, g, x); d != "" {
			return fmt.Sprintf("result %d is %s, want %s: %s", i, w.resultText(op.Renew, g), w.resultText(op.Renew, x), d)
		}
	}
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

func (w *lockstep) placeDiff(got, want registry.Placement) string {
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

func (w *lockstep) nodeDiff(got, want registry.Node) string {
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
func (w *lockstep) same(got, want registry.Instant) bool {
	if w.exact {
		return got == want
	}
	d := got.Sub(want)
	return max(d, -d) <= 2*w.cfg.MaxClockSkew+w.cfg.TTL/4
}

// detailDiff compares what two errors of the same class tell.
func (w *lockstep) detailDiff(n *node, got, want error) string {
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
		if class(want) == registry.ErrHeld && !w.dialect.BareRecords {
			return "no registry.Refusal is in the error"
		}
		return "" // details may be absent
	}
	if r.Reason != class(want) {
		return fmt.Sprintf("the refusal's reason is %v", r.Reason)
	}
	place, node := w.truth(r, s)
	held := class(want) == registry.ErrHeld && !w.dialect.BareRecords
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
func (w *lockstep) truth(told, want *registry.Refusal) (registry.Placement, registry.Node) {
	place, node := want.Placement, want.Node
	ctx := context.WithoutCancel(w.t.ctx)
	switch want.Reason {
	case registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive:
		place, _, _ = w.observer.model.Lookup(ctx, told.Placement.Actor)
	default:
		node, _, _ = w.observer.model.GetNode(ctx, told.Node.Ref.ID)
	}
	return place, node
}
