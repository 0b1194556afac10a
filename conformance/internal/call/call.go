// Package call has an operation as a case asks for it, short forms for each kind of
// operation, and how often a call is repeated that a store in trouble did not answer.
package call

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// Call is one operation as a case asks for it, of the backend and of the
// reference.
type Call struct {
	op.Call
	Bare    bool        // of a listing: one page, as it is answered
	OnePage bool        // of a listing: one page is read, and only whether it is refused is compared; else all of it
	Under   contextFunc // the context in which it is made, from the one given; nil: that one
	Note    string      // what is special about it, for the text
}

type contextFunc func(context.Context) (context.Context, context.CancelFunc)

func (c Call) String() string { return PlainText.Call(&c.Call) }

// PlainText shows what is not about the times of a history.
var PlainText = op.Text{Namespace: "conform"}

// Do makes the call on h. A listing is read whole, page by page, and sorted. Where
// a handle cannot watch, as the reference's cannot, it looks: that is what a watch
// answers when the version differs already.
func (c *Call) Do(ctx context.Context, h registry.Handle) op.Result {
	if c.Under != nil {
		var cancel context.CancelFunc
		ctx, cancel = c.Under(ctx)
		defer cancel()
	}
	switch {
	case c.Bare:
		return op.Do(ctx, h, &c.Call)
	case c.Kind.Lists() && c.OnePage:
		r := op.Do(ctx, h, &c.Call)
		return op.Result{Outcome: r.Outcome, Reason: r.Reason, Err: r.Err}
	case c.Kind.Lists():
		return AllPages(c.Call, func(page op.Call) op.Result { return op.Do(ctx, h, &page) })
	case c.Kind == op.Watch && !op.PowersOf(h).Watch:
		return op.Do(ctx, h, &op.Call{Kind: op.Lookup, Actor: c.Actor})
	}
	return op.Do(ctx, h, &c.Call)
}

// InLargePages returns the call as the reference is asked: a listing that is read
// whole does not depend on the size of its pages, and large ones are quicker.
func (c Call) InLargePages() *Call {
	if c.Kind.Lists() && !c.OnePage && c.Page.Validate() == nil {
		c.Page.Limit = registry.MaxPageLimit
	}
	return &c
}

// In returns the call in the context that f makes.
func (c Call) In(f contextFunc) Call {
	c.Under = f
	return c
}

func Lookup(a registry.ActorID) Call { return Call{Call: op.Call{Kind: op.Lookup, Actor: a}} }

func GetNode(id registry.NodeID) Call {
	return Call{Call: op.Call{Kind: op.GetNode, Node: registry.NodeRef{ID: id}}}
}

func Claim(a registry.ActorID, node registry.NodeRef, id registry.ClaimID) Call {
	return Call{Call: op.Call{Kind: op.Claim, Actor: a, Node: node, ClaimID: id}}
}

func Renew(l registry.Lease) Call   { return Call{Call: op.OnLease(op.Renew, l)} }
func Release(l registry.Lease) Call { return Call{Call: op.OnLease(op.Release, l)} }

func Transfer(l registry.Lease, to registry.NodeRef) Call {
	c := Call{Call: op.OnLease(op.Transfer, l)}
	c.To = to
	return c
}

func Validate(a registry.ActorID, token registry.Token) Call {
	return Call{Call: op.Call{Kind: op.Validate, Actor: a, Token: token}}
}

func RenewBatchCall(leases []registry.Lease) Call {
	return Call{Call: op.Call{Kind: op.RenewBatch, Leases: slices.Clone(leases)}}
}

func WatchCall(a registry.ActorID, seen registry.Version) Call {
	return Call{Call: op.Call{Kind: op.Watch, Actor: a, Seen: seen}}
}

func RegisterNode(id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) Call {
	return Call{Call: op.Call{Kind: op.RegisterNode, Node: registry.NodeRef{ID: id}, Info: info, Mode: mode}}
}

func aboutNode(k op.Kind, ref registry.NodeRef) Call { return Call{Call: op.Call{Kind: k, Node: ref}} }

func Heartbeat(ref registry.NodeRef) Call  { return aboutNode(op.Heartbeat, ref) }
func MarkFailed(ref registry.NodeRef) Call { return aboutNode(op.MarkFailed, ref) }
func Deregister(ref registry.NodeRef) Call { return aboutNode(op.DeregisterNode, ref) }

// ListActors and listNodes read a whole listing in pages of limit.
func ListActors(ref registry.NodeRef, limit int) Call {
	return Call{Call: op.Call{Kind: op.ListActors, Node: ref, Page: registry.Page{Limit: limit}}}
}

func ListNodes(status registry.NodeStatus, limit int) Call {
	return Call{Call: op.Call{Kind: op.ListNodes, Status: status, Page: registry.Page{Limit: limit}}}
}

// ListActorsPage and listNodesPage read one page.
func ListActorsPage(ref registry.NodeRef, p registry.Page) Call {
	return Call{Call: op.Call{Kind: op.ListActors, Node: ref, Page: p}, OnePage: true}
}

func ListNodesPage(s registry.NodeStatus, p registry.Page) Call {
	return Call{Call: op.Call{Kind: op.ListNodes, Status: s, Page: p}, OnePage: true}
}

// CloseHandle makes Close a call like the others, so that it is seen and repeated.
func CloseHandle() Call { return Call{Call: op.Call{Kind: op.Close}} }

// MaxPages ends a listing whose cursor never does.
const MaxPages = 10_000

var errEndless = errors.New("the listing does not end")

// AllPages reads a listing from the call's page to the end. Its rows are sorted:
// their order is the backend's choice.
func AllPages(c op.Call, read func(op.Call) op.Result) op.Result {
	all := op.Result{Outcome: op.OK}
	for range MaxPages {
		r := read(c)
		for p := (Patience{}); Trouble(r.Err) && !p.Over(r.Err); {
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

// Class returns the contract's error that err matches, nil for success.
func Class(err error) error {
	switch r := op.ReasonOf(err); r {
	case "":
		return nil
	case op.NotListed:
		return errUnnamed
	default:
		return r.Err()
	}
}

var errUnnamed = errors.New("an error that the contract does not have")

// Trouble reports whether err says that the store could not decide.
func Trouble(err error) bool {
	return errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrAmbiguous) ||
		errors.Is(err, context.DeadlineExceeded)
}

// SilentError is the trouble of a store that has never answered anything of a kind. It
// is what the last of the calls ended with.
type SilentError struct {
	What string
	Last error
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("the store answers no call of %s: all that were made failed, the last with: %v", e.What, e.Last)
}

// Unwrap returns the last error.
func (e *SilentError) Unwrap() error { return e.Last }

// Patience counts how often a call was made in vain, and how much of its time it ran
// into a deadline.
type Patience struct{ attempts, waited int }

// Over counts a call that ended with err, and reports whether that was the last. If not it
// lets some time pass once there were several: a store may be about to start, or have had
// enough for the moment.
func (p *Patience) Over(err error) bool {
	if errors.As(err, new(*SilentError)) {
		return true
	}
	p.attempts++
	switch {
	case !errors.Is(err, context.DeadlineExceeded):
	case errors.Is(err, registry.ErrUnavailable), errors.Is(err, registry.ErrAmbiguous):
		p.waited++ // a cause: the deadline may have been a shorter one of the store's own
	default:
		p.waited += 2
	}
	if p.attempts == PatientAttempts || p.waited >= patientWaits {
		return true
	}
	if late := p.attempts - eagerAttempts; late > 0 {
		time.Sleep(min(patientPause, patientPause>>6<<late))
	}
	return false
}

// Reads reports whether it is to be read what has become of the latest attempt, before
// the next one. Between two readings there are more and more attempts: a store that
// fails in a pattern, as every third time, would else fail at the same call each time
// around.
func (p *Patience) Reads() bool {
	for n, next := p.attempts, 1; n > 0; next++ {
		if n -= next; n == 0 {
			return true
		}
	}
	return p.attempts == 0
}

// PatientAttempts is how often a call is made that the store, being in trouble,
// does not answer. One that runs into its deadline is made five times, and ten times
// where the deadline is only the cause of its error.
const (
	PatientAttempts = 40
	patientWaits    = 10
	eagerAttempts   = 10 // those that are made at once
	patientPause    = 5 * time.Millisecond
)
