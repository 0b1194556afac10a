package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/linearizability"
)

// The operations.

func lookup(a registry.ActorID) call {
	return call{kind: "Lookup", args: nameText(a), actor: a, read: true, ask: &linearizability.Ask{Actor: a}, do: func(ctx context.Context, h registry.Handle) (r answer) {
		r.place, r.found, r.err = h.Lookup(ctx, a)
		r.absent = !r.found && r.err == nil
		return r
	}}
}

func getNode(id registry.NodeID) call {
	return call{kind: "GetNode", args: short(string(id)), about: id, read: true, ask: &linearizability.Ask{Node: registry.NodeRef{ID: id}}, do: func(ctx context.Context, h registry.Handle) (r answer) {
		r.node, r.found, r.err = h.GetNode(ctx, id)
		r.absent = !r.found && r.err == nil
		return r
	}}
}

func claim(a registry.ActorID, node registry.NodeRef, id registry.ClaimID) call {
	return call{kind: "Claim", args: fmt.Sprintf("%s, %s, id %.4s", nameText(a), refText(node), id), actor: a, about: node.ID,
		ask: &linearizability.Ask{Actor: a, Node: node, ClaimID: id},
		do: func(ctx context.Context, h registry.Handle) answer {
			l, err := h.Claim(ctx, a, node, id)
			return answer{place: registry.Placement(l), err: err}
		}}
}

func leaseText(l registry.Lease) string {
	return fmt.Sprintf("%s by %s token %d", nameText(l.Actor), refText(l.Holder), l.Token)
}

// tenureAsk is what Renew, Release and Transfer go by of a lease.
func tenureAsk(l registry.Lease, to registry.NodeRef) *linearizability.Ask {
	return &linearizability.Ask{Actor: l.Actor, Node: l.Holder, Token: l.Token, To: to}
}

func renew(l registry.Lease) call {
	return call{kind: "Renew", args: leaseText(l), actor: l.Actor, ask: tenureAsk(l, registry.NodeRef{}), do: func(ctx context.Context, h registry.Handle) answer {
		l, err := h.Renew(ctx, l)
		return answer{place: registry.Placement(l), err: err}
	}}
}

func release(l registry.Lease) call {
	return call{kind: "Release", args: leaseText(l), actor: l.Actor, token: l.Token, ask: tenureAsk(l, registry.NodeRef{}), do: func(ctx context.Context, h registry.Handle) answer {
		return answer{err: h.Release(ctx, l)}
	}}
}

func transfer(l registry.Lease, to registry.NodeRef) call {
	return call{kind: "Transfer", args: fmt.Sprintf("%s, to %s", leaseText(l), refText(to)), actor: l.Actor, token: l.Token, about: to.ID,
		ask: tenureAsk(l, to),
		do: func(ctx context.Context, h registry.Handle) answer {
			l, err := h.Transfer(ctx, l, to)
			return answer{place: registry.Placement(l), err: err}
		}}
}

func validate(a registry.ActorID, token registry.Token) call {
	return call{kind: "Validate", args: fmt.Sprintf("%s, token %d", nameText(a), token), actor: a, read: true,
		ask: &linearizability.Ask{Actor: a, Token: token},
		do:  func(ctx context.Context, h registry.Handle) answer { return answer{err: h.Validate(ctx, a, token)} }}
}

func registerNode(id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) call {
	return call{kind: "RegisterNode", args: fmt.Sprintf("%s, %v", short(string(id)), mode), about: id,
		ask: &linearizability.Ask{Node: registry.NodeRef{ID: id}, Info: info, Mode: mode},
		do: func(ctx context.Context, h registry.Handle) (r answer) {
			r.node, r.err = h.RegisterNode(ctx, id, info, mode)
			return r
		}}
}

func nodeCall(kind string, ref registry.NodeRef, f func(registry.Handle, context.Context, registry.NodeRef) error) call {
	return call{kind: kind, args: refText(ref), about: ref.ID, ask: &linearizability.Ask{Node: ref}, do: func(ctx context.Context, h registry.Handle) answer {
		return answer{err: f(h, ctx, ref)}
	}}
}

func heartbeat(ref registry.NodeRef) call {
	return nodeCall("Heartbeat", ref, func(h registry.Handle, ctx context.Context, r registry.NodeRef) error { return h.Heartbeat(ctx, r) })
}

func markFailed(ref registry.NodeRef) call {
	return nodeCall("MarkFailed", ref, func(h registry.Handle, ctx context.Context, r registry.NodeRef) error { return h.MarkFailed(ctx, r) })
}

func deregister(ref registry.NodeRef) call {
	return nodeCall("DeregisterNode", ref, func(h registry.Handle, ctx context.Context, r registry.NodeRef) error {
		return h.DeregisterNode(ctx, r)
	})
}

// listActors reads the whole listing in pages of limit and sorts it.
func listActors(ref registry.NodeRef, limit int) call {
	return call{kind: "ListActors", args: fmt.Sprintf("%s, pages of %d", refText(ref), limit), read: true,
		ask: &linearizability.Ask{Node: ref, Page: registry.Page{Limit: limit}},
		do: func(ctx context.Context, h registry.Handle) (r answer) {
			r.places, r.err = pages(limit, func(p registry.Page) ([]registry.Placement, registry.Cursor, error) { return h.ListActors(ctx, ref, p) })
			slices.SortFunc(r.places, func(a, b registry.Placement) int {
				return cmp.Or(cmp.Compare(a.Actor.Namespace, b.Actor.Namespace), cmp.Compare(a.Actor.Name, b.Actor.Name))
			})
			return r
		}}
}

func listNodes(status registry.NodeStatus, limit int) call {
	return call{kind: "ListNodes", args: fmt.Sprintf("%v, pages of %d", status, limit), read: true,
		ask: &linearizability.Ask{Status: status, Page: registry.Page{Limit: limit}},
		do: func(ctx context.Context, h registry.Handle) (r answer) {
			r.nodes, r.err = pages(limit, func(p registry.Page) ([]registry.Node, registry.Cursor, error) { return h.ListNodes(ctx, status, p) })
			slices.SortFunc(r.nodes, func(a, b registry.Node) int { return cmp.Compare(a.Ref.ID, b.Ref.ID) })
			return r
		}}
}

// maxPages ends a listing whose cursor never does.
const maxPages = 10_000

var errEndless = errors.New("the listing does not end")

func pages[T any](limit int, fetch func(registry.Page) ([]T, registry.Cursor, error)) (all []T, err error) {
	page := registry.Page{Limit: limit}
	all = []T{} // none is an answer too
	for range maxPages {
		rows, next, err := fetch(page)
		if err != nil {
			return nil, err
		}
		if len(rows) > page.Rows() {
			return nil, fmt.Errorf("a page of %d rows, the limit is %d", len(rows), page.Rows())
		}
		all = append(all, rows...)
		if next == "" {
			return all, nil
		}
		page.After = next
	}
	return nil, errEndless
}

// closeHandle makes Close a call like the others, so that it is seen and repeated.
func closeHandle() call {
	return call{kind: "Close", read: true, do: func(_ context.Context, h registry.Handle) answer { return answer{err: h.Close()} }}
}

// nameText shows an actor by its name alone where the suite chose the namespace,
// and in full, quoted, where the names are what the case is about.
func nameText(a registry.ActorID) string {
	if a.Namespace == "conform" || a.Namespace == "model" {
		return short(a.Name)
	}
	return short(a.Namespace) + "/" + short(a.Name)
}

func refText(r registry.NodeRef) string { return fmt.Sprintf("%s#%d", short(string(r.ID)), r.Epoch) }

func short(s string) string {
	const most = 24
	if s != "" && len(s) <= most && strings.IndexFunc(s, func(r rune) bool { return r > '~' || r <= ' ' || r == '/' }) < 0 {
		return s
	}
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(s[:8]), len(s))
}
