package remote

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/wire"
)

// handle is a registry.Handle whose operations are requests.
type handle struct {
	p     *Process
	name  string
	clock registry.Clock
}

var _ registry.Handle = (*handle)(nil)

// ask sends one operation with a reading of the clock, made now. Strings that
// JSON cannot carry are refused here, as the registry would have to.
func (h *handle) ask(ctx context.Context, r request, write bool) (response, error) {
	for field, s := range map[string]string{
		"actor namespace": r.Actor.id().Namespace, "actor name": r.Actor.id().Name, "node id": string(r.Node.ref().ID),
		"target node id": string(r.To.ref().ID), "node address": r.Address, "cursor": string(r.After),
	} {
		if !utf8.ValidString(s) {
			return response{}, &registry.InvalidError{Field: field, Problem: "is not valid UTF-8"}
		}
	}
	r.Handle = h.name
	if h.p.greeting.Time == timePassed {
		now := h.clock.Now()
		r.Now = &now
	}
	return h.p.ask(ctx, r, write)
}

func (h *handle) lease(ctx context.Context, r request) (registry.Lease, error) {
	a, err := h.ask(ctx, r, true)
	if err != nil {
		return registry.Lease{}, err
	}
	p, err := a.Record.placement()
	return p.Lease(), err
}

// Claim implements [registry.Registry].
func (h *handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	return h.lease(ctx, request{Op: "Claim", Actor: actorOf(actor), Node: refOf(node), ClaimID: wire.ClaimID(id)})
}

func tenure(op string, l registry.Lease) request {
	return request{Op: op, Actor: actorOf(l.Actor), Node: refOf(l.Holder), Token: l.Token}
}

// Renew implements [registry.Registry].
func (h *handle) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	return h.lease(ctx, tenure("Renew", l))
}

// Release implements [registry.Registry].
func (h *handle) Release(ctx context.Context, l registry.Lease) error {
	_, err := h.ask(ctx, tenure("Release", l), true)
	return err
}

// Transfer implements [registry.Registry].
func (h *handle) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	r := tenure("Transfer", l)
	r.To = refOf(to)
	return h.lease(ctx, r)
}

// Lookup implements [registry.Registry].
func (h *handle) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	a, err := h.ask(ctx, request{Op: "Lookup", Actor: actorOf(actor)}, false)
	p, wrong := a.Record.placement() // what is told beside an error is passed on, to be judged
	if err == nil {
		err = wrong
	}
	return p, a.Found, err
}

// Validate implements [registry.Registry].
func (h *handle) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	_, err := h.ask(ctx, request{Op: "Validate", Actor: actorOf(actor), Token: token}, false)
	return err
}

// ListActors implements [registry.Registry].
func (h *handle) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	a, err := h.ask(ctx, request{Op: "ListActors", Node: refOf(node), After: page.After, Limit: page.Limit}, false)
	if err != nil {
		return nil, "", err
	}
	var rows []registry.Placement
	for _, r := range a.Records {
		p, err := r.placement()
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, p)
	}
	return rows, a.Next, nil
}

// Close implements [registry.Registry].
func (h *handle) Close() error {
	_, err := h.p.ask(context.Background(), request{Op: "Close", Handle: h.name}, true)
	return err
}

// RegisterNode implements [registry.Membership].
func (h *handle) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	a, err := h.ask(ctx, request{Op: "RegisterNode", Node: refOf(registry.NodeRef{ID: id}), Address: info.Address, Mode: mode}, true)
	return a.Node.node(), err
}

func (h *handle) aboutNode(ctx context.Context, op string, n registry.NodeRef) error {
	_, err := h.ask(ctx, request{Op: op, Node: refOf(n)}, true)
	return err
}

// Heartbeat implements [registry.Membership].
func (h *handle) Heartbeat(ctx context.Context, n registry.NodeRef) error {
	return h.aboutNode(ctx, "Heartbeat", n)
}

// MarkFailed implements [registry.Membership].
func (h *handle) MarkFailed(ctx context.Context, n registry.NodeRef) error {
	return h.aboutNode(ctx, "MarkFailed", n)
}

// DeregisterNode implements [registry.Membership].
func (h *handle) DeregisterNode(ctx context.Context, n registry.NodeRef) error {
	return h.aboutNode(ctx, "DeregisterNode", n)
}

// GetNode implements [registry.Membership].
func (h *handle) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	a, err := h.ask(ctx, request{Op: "GetNode", Node: refOf(registry.NodeRef{ID: id})}, false)
	return a.Node.node(), a.Found, err
}

// ListNodes implements [registry.Membership].
func (h *handle) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	a, err := h.ask(ctx, request{Op: "ListNodes", Status: status, After: page.After, Limit: page.Limit}, false)
	if err != nil {
		return nil, "", err
	}
	var rows []registry.Node
	for _, n := range a.Nodes {
		rows = append(rows, n.node())
	}
	return rows, a.Next, nil
}

// batcher and watcher are the optional powers of a handle.
type batcher struct{ b *handle }

// RenewBatch implements [registry.BatchRenewer].
func (b batcher) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	r := request{Op: "RenewBatch"}
	for _, l := range leases {
		r.Leases = append(r.Leases, record{Actor: *actorOf(l.Actor), Holder: refOf(l.Holder), Token: l.Token})
	}
	results := make([]registry.Renewal, len(leases))
	a, err := b.b.ask(ctx, r, true)
	if err == nil && len(a.Renewals) != len(leases) {
		err = fmt.Errorf("answer to request %d has %d renewals for %d leases", a.ID, len(a.Renewals), len(leases))
	}
	for i := range results {
		results[i].Err = err
		if err == nil {
			results[i] = a.Renewals[i].renewal()
		}
	}
	return results
}

func (r renewal) renewal() registry.Renewal {
	if r.Error != nil {
		err, breach := r.Error.err()
		if breach != nil {
			err = breach
		}
		return registry.Renewal{Err: err}
	}
	p, err := r.Record.placement()
	return registry.Renewal{Lease: p.Lease(), Err: err}
}

type watcher struct{ w *handle }

// Watch implements [registry.Watcher].
func (w watcher) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	a, err := w.w.ask(ctx, request{Op: "Watch", Actor: actorOf(actor), Seen: seen}, false)
	if err != nil {
		return registry.Placement{}, err
	}
	return a.Record.placement()
}
