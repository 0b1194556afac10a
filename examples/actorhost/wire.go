package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/kelpie-registry/registry"
)

// call is one operation of the registry as JSON: the fields that it takes, and
// the reading of the caller's clock. A runtime with its registry in another
// process needs something like it; here it is as plain as it gets.
type call struct {
	Op    string
	Now   registry.Instant
	Actor registry.ActorID
	Node  registry.NodeRef
	To    registry.NodeRef
	Lease registry.Lease
	Claim registry.ClaimID
	Token registry.Token
	Info  registry.NodeInfo
	Mode  registry.RegisterMode
	Page  registry.Page
	Want  registry.NodeStatus
}

type answer struct {
	Lease  registry.Lease
	Found  bool
	Node   registry.Node
	Nodes  []registry.Node
	Actors []registry.Placement
	Next   registry.Cursor

	Reason  string            // of an error: its text, which names one of the contract's
	Refusal *registry.Refusal // without its Reason
}

// known are the errors that cross the wire as themselves.
var known = []error{
	registry.ErrInvalid, registry.ErrClosed, registry.ErrNodeUnknown, registry.ErrNodeFailed, registry.ErrNodeExists, registry.ErrNodeAlive,
	registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed, registry.ErrHeld, registry.ErrUnavailable,
}

// do carries a call out on a handle.
func (c call) do(ctx context.Context, h registry.Handle) (a answer) {
	var err error
	switch c.Op {
	case "Claim":
		a.Lease, err = h.Claim(ctx, c.Actor, c.Node, c.Claim)
	case "Renew":
		a.Lease, err = h.Renew(ctx, c.Lease)
	case "Release":
		err = h.Release(ctx, c.Lease)
	case "Transfer":
		a.Lease, err = h.Transfer(ctx, c.Lease, c.To)
	case "Lookup":
		var p registry.Placement
		p, a.Found, err = h.Lookup(ctx, c.Actor)
		a.Lease = p.Lease()
	case "Validate":
		err = h.Validate(ctx, c.Actor, c.Token)
	case "ListActors":
		a.Actors, a.Next, err = h.ListActors(ctx, c.Node, c.Page)
	case "RegisterNode":
		a.Node, err = h.RegisterNode(ctx, c.Node.ID, c.Info, c.Mode)
	case "Heartbeat":
		err = h.Heartbeat(ctx, c.Node)
	case "MarkFailed":
		err = h.MarkFailed(ctx, c.Node)
	case "DeregisterNode":
		err = h.DeregisterNode(ctx, c.Node)
	case "GetNode":
		a.Node, a.Found, err = h.GetNode(ctx, c.Node.ID)
	case "ListNodes":
		a.Nodes, a.Next, err = h.ListNodes(ctx, c.Want, c.Page)
	default:
		err = &registry.InvalidError{Field: "operation", Problem: fmt.Sprintf("is %q", c.Op)}
	}
	if err == nil {
		return a
	}
	a.Reason = err.Error()
	for _, k := range known {
		if errors.Is(err, k) {
			a.Reason = k.Error()
		}
	}
	if errors.As(err, &a.Refusal) {
		detail := *a.Refusal
		detail.Reason = nil
		a.Refusal = &detail
	}
	return a
}

func (a answer) err() error {
	if a.Reason == "" {
		return nil
	}
	for _, k := range known {
		if k.Error() == a.Reason {
			if a.Refusal != nil {
				a.Refusal.Reason = k
				return a.Refusal
			}
			return k
		}
	}
	return errors.New(a.Reason)
}

// client is a registry.Handle over HTTP.
type client struct {
	url   string
	clock registry.Clock
}

var _ registry.Handle = client{}

// ask sends one call. When no answer comes it may have happened, and it may
// still happen: the request can be in the store's socket.
func (c client) ask(ctx context.Context, q call) (answer, error) {
	q.Now = c.clock.Now()
	var a answer
	if err := post(ctx, c.url+"/registry", q, &a); err != nil {
		return a, &registry.AmbiguousError{MayStillApply: true, Cause: err}
	}
	return a, a.err()
}

// post sends a request as JSON and reads the answer into reply.
func post(ctx context.Context, url string, body, reply any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return &statusError{resp.StatusCode, string(bytes.TrimSpace(why))}
	}
	return json.NewDecoder(resp.Body).Decode(reply)
}

type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.code, e.text) }

// Claim implements [registry.Registry].
func (c client) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	a, err := c.ask(ctx, call{Op: "Claim", Actor: actor, Node: node, Claim: id})
	return a.Lease, err
}

// Renew implements [registry.Registry].
func (c client) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	a, err := c.ask(ctx, call{Op: "Renew", Lease: l})
	return a.Lease, err
}

// Release implements [registry.Registry].
func (c client) Release(ctx context.Context, l registry.Lease) error {
	_, err := c.ask(ctx, call{Op: "Release", Lease: l})
	return err
}

// Transfer implements [registry.Registry].
func (c client) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	a, err := c.ask(ctx, call{Op: "Transfer", Lease: l, To: to})
	return a.Lease, err
}

// Lookup implements [registry.Registry].
func (c client) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	a, err := c.ask(ctx, call{Op: "Lookup", Actor: actor})
	return registry.Placement(a.Lease), a.Found, err
}

// Validate implements [registry.Registry].
func (c client) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	_, err := c.ask(ctx, call{Op: "Validate", Actor: actor, Token: token})
	return err
}

// ListActors implements [registry.Registry].
func (c client) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	a, err := c.ask(ctx, call{Op: "ListActors", Node: node, Page: page})
	return a.Actors, a.Next, err
}

// Close implements [registry.Registry]; there is nothing to close.
func (c client) Close() error { return nil }

// RegisterNode implements [registry.Membership].
func (c client) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	a, err := c.ask(ctx, call{Op: "RegisterNode", Node: registry.NodeRef{ID: id}, Info: info, Mode: mode})
	return a.Node, err
}

// Heartbeat implements [registry.Membership].
func (c client) Heartbeat(ctx context.Context, n registry.NodeRef) error {
	_, err := c.ask(ctx, call{Op: "Heartbeat", Node: n})
	return err
}

// MarkFailed implements [registry.Membership].
func (c client) MarkFailed(ctx context.Context, n registry.NodeRef) error {
	_, err := c.ask(ctx, call{Op: "MarkFailed", Node: n})
	return err
}

// DeregisterNode implements [registry.Membership].
func (c client) DeregisterNode(ctx context.Context, n registry.NodeRef) error {
	_, err := c.ask(ctx, call{Op: "DeregisterNode", Node: n})
	return err
}

// GetNode implements [registry.Membership].
func (c client) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	a, err := c.ask(ctx, call{Op: "GetNode", Node: registry.NodeRef{ID: id}})
	return a.Node, a.Found, err
}

// ListNodes implements [registry.Membership].
func (c client) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	a, err := c.ask(ctx, call{Op: "ListNodes", Want: status, Page: page})
	return a.Nodes, a.Next, err
}
