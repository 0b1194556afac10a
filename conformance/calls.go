package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// call is one operation as a case asks for it, of the backend and of the
// reference.
type call struct {
	op.Call
	bare    bool        // of a listing: one page, as it is answered
	onePage bool        // of a listing: one page is read, and only whether it is refused is compared; else all of it
	under   contextFunc // the context in which it is made, from the one given; nil: that one
	note    string      // what is special about it, for the text
}

type contextFunc func(context.Context) (context.Context, context.CancelFunc)

func (c call) String() string { return plainText.Call(&c.Call) }

// plainText shows what is not about the times of a history.
var plainText = op.Text{Namespace: "conform"}

// do makes the call on h. A listing is read whole, page by page, and sorted. Where
// a handle cannot watch, as the reference's cannot, it looks: that is what a watch
// answers when the version differs already.
func (c *call) do(ctx context.Context, h registry.Handle) op.Result {
	if c.under != nil {
		var cancel context.CancelFunc
		ctx, cancel = c.under(ctx)
		defer cancel()
	}
	switch {
	case c.bare:
		return op.Do(ctx, h, &c.Call)
	case c.Kind.Lists() && c.onePage:
		r := op.Do(ctx, h, &c.Call)
		return op.Result{Outcome: r.Outcome, Reason: r.Reason, Err: r.Err}
	case c.Kind.Lists():
		return allPages(c.Call, func(page op.Call) op.Result { return op.Do(ctx, h, &page) })
	case c.Kind == op.Watch && !op.PowersOf(h).Watch:
		return op.Do(ctx, h, &op.Call{Kind: op.Lookup, Actor: c.Actor})
	}
	return op.Do(ctx, h, &c.Call)
}

// inLargePages returns the call as the reference is asked: a listing that is read
// whole does not depend on the size of its pages, and large ones are quicker.
func (c call) inLargePages() *call {
	if c.Kind.Lists() && !c.onePage && c.Page.Validate() == nil {
		c.Page.Limit = registry.MaxPageLimit
	}
	return &c
}

// in returns the call in the context that f makes.
func (c call) in(f contextFunc) call {
	c.under = f
	return c
}

func lookup(a registry.ActorID) call { return call{Call: op.Call{Kind: op.Lookup, Actor: a}} }

func getNode(id registry.NodeID) call {
	return call{Call: op.Call{Kind: op.GetNode, Node: registry.NodeRef{ID: id}}}
}

func claim(a registry.ActorID, node registry.NodeRef, id registry.ClaimID) call {
	return call{Call: op.Call{Kind: op.Claim, Actor: a, Node: node, ClaimID: id}}
}

func renew(l registry.Lease) call   { return call{Call: op.OnLease(op.Renew, l)} }
func release(l registry.Lease) call { return call{Call: op.OnLease(op.Release, l)} }

func transfer(l registry.Lease, to registry.NodeRef) call {
	c := call{Call: op.OnLease(op.Transfer, l)}
	c.To = to
	return c
}

func validate(a registry.ActorID, token registry.Token) call {
	return call{Call: op.Call{Kind: op.Validate, Actor: a, Token: token}}
}

func renewBatchCall(leases []registry.Lease) call {
	return call{Call: op.Call{Kind: op.RenewBatch, Leases: slices.Clone(leases)}}
}

func watchCall(a registry.ActorID, seen registry.Version) call {
	return call{Call: op.Call{Kind: op.Watch, Actor: a, Seen: seen}}
}

func registerNode(id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) call {
	return call{Call: op.Call{Kind: op.RegisterNode, Node: registry.NodeRef{ID: id}, Info: info, Mode: mode}}
}

func aboutNode(k op.Kind, ref registry.NodeRef) call { return call{Call: op.Call{Kind: k, Node: ref}} }

func heartbeat(ref registry.NodeRef) call  { return aboutNode(op.Heartbeat, ref) }
func markFailed(ref registry.NodeRef) call { return aboutNode(op.MarkFailed, ref) }
func deregister(ref registry.NodeRef) call { return aboutNode(op.DeregisterNode, ref) }

// listActors and listNodes read a whole listing in pages of limit.
func listActors(ref registry.NodeRef, limit int) call {
	return call{Call: op.Call{Kind: op.ListActors, Node: ref, Page: registry.Page{Limit: limit}}}
}

func listNodes(status registry.NodeStatus, limit int) call {
	return call{Call: op.Call{Kind: op.ListNodes, Status: status, Page: registry.Page{Limit: limit}}}
}

// listActorsPage and listNodesPage read one page.
func listActorsPage(ref registry.NodeRef, p registry.Page) call {
	return call{Call: op.Call{Kind: op.ListActors, Node: ref, Page: p}, onePage: true}
}

func listNodesPage(s registry.NodeStatus, p registry.Page) call {
	return call{Call: op.Call{Kind: op.ListNodes, Status: s, Page: p}, onePage: true}
}

// closeHandle makes Close a call like the others, so that it is seen and repeated.
func closeHandle() call { return call{Call: op.Call{Kind: op.Close}} }

// maxPages ends a listing whose cursor never does.
const maxPages = 10_000

var errEndless = errors.New("the listing does not end")

// allPages reads a listing from the call's page to the end. Its rows are sorted:
// their order is the backend's choice.
func allPages(c op.Call, read func(op.Call) op.Result) op.Result {
	all := op.Result{Outcome: op.OK}
	for range maxPages {
		r := read(c)
		for p := (patience{}); trouble(r.Err) && !p.over(r.Err); {
			r = read(c) // of this page alone: of many, one is likely to fail
		}
		if r.Err != nil {
			return r
		}
		if rows := len(r.Actors) + len(r.Nodes); rows > c.Page.Rows() {
			return op.Failed(fmt.Errorf("a page of %d rows, the limit is %d", rows, c.Page.Rows()))
		}
		all.Actors, all.Nodes = append(all.Actors, r.Actors...), append(all.Nodes, r.Nodes...)
		if r.Next == "" {
			slices.SortFunc(all.Actors, func(a, b registry.Placement) int {
				return cmp.Or(cmp.Compare(a.Actor.Namespace, b.Actor.Namespace), cmp.Compare(a.Actor.Name, b.Actor.Name))
			})
			slices.SortFunc(all.Nodes, func(a, b registry.Node) int { return cmp.Compare(a.Ref.ID, b.Ref.ID) })
			return all
		}
		c.Page.After = r.Next
	}
	return op.Failed(errEndless)
}
