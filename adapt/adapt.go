// Package adapt makes a registry.Handle of what a lock library, an election or an
// actor directory has: three or four functions. The conformance suite can then judge
// it as it is, in its dialect.
//
// An adapter checks arguments, closed handles and contexts as the contract asks for.
// It lends what the library does not have and the suite needs, and nothing else: the
// library alone decides who holds what and until when. What is lent is in the dialect,
// so that a report says it. Its answers are passed on also when they are wrong.
//
// [Lock] is for whatever is acquired and released, [Election] for candidates and
// leaders, [Directory] for a store of entries with compare-and-set.
package adapt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// Cluster is one adapted store: the handles opened on it share what is lent. It has
// the methods of a conformance.Cluster.
type Cluster struct {
	dialect dialect.Dialect
	cfg     registry.Config
	answer  func(ctx context.Context, clock registry.Clock, c *op.Call) op.Result
	close   func() error
}

// Dialect is the one that the store is judged in.
func (c *Cluster) Dialect() dialect.Dialect { return c.dialect }

// Close frees the store.
func (c *Cluster) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// OnClose sets what frees the store, and returns the cluster.
func (c *Cluster) OnClose(f func() error) *Cluster {
	c.close = f
	return c
}

// Open returns a handle. cfg must be the cluster's (ErrConfigMismatch).
func (c *Cluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Match(c.cfg); err != nil {
		return nil, err
	}
	h := &handle{cluster: c, clock: clock}
	return op.Handle(h.do, op.Powers{}), nil
}

// handle does what precedes the store, in the contract's order.
type handle struct {
	cluster *Cluster
	clock   registry.Clock

	mu     sync.Mutex
	closed bool
}

func (h *handle) do(ctx context.Context, c op.Call) op.Result {
	if !h.cluster.dialect.Offers(c.Kind) {
		return op.Failed(errors.ErrUnsupported)
	}
	if err := c.Validate(); err != nil {
		return op.Failed(err)
	}
	h.mu.Lock()
	closed := h.closed
	h.closed = closed || c.Kind == op.Close
	h.mu.Unlock()
	switch {
	case c.Kind == op.Close:
		return op.Failed(nil)
	case closed:
		return op.Failed(registry.ErrClosed)
	case ctx.Err() != nil:
		return op.Failed(ctx.Err())
	}
	return h.cluster.answer(ctx, h.clock, &c)
}

// failed answers with a library's error. One that the contract has is passed on; any
// other leaves the outcome open, also a context's: the request may have been sent.
func failed(c *op.Call, err error) op.Result {
	var refusal *registry.Refusal
	var known *registry.AmbiguousError
	switch {
	case errors.As(err, &refusal), errors.As(err, &known), errors.Is(err, registry.ErrUnavailable):
		return op.Failed(err)
	case errors.Is(err, registry.ErrHeld), errors.Is(err, registry.ErrNotHeld), errors.Is(err, registry.ErrFenced), errors.Is(err, registry.ErrLapsed):
		return op.Failed(err)
	case c.Kind.Mutates():
		return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: err})
	}
	return op.Failed(fmt.Errorf("%w: %w", registry.ErrUnavailable, err))
}

// key is the library's name of an actor. Two actors never have the same.
func key(a registry.ActorID) string {
	return strconv.Itoa(len(a.Namespace)) + "/" + a.Namespace + "/" + a.Name
}

// owner is the library's name of a node's incarnation, and holder is its inverse.
func owner(n registry.NodeRef) string { return fmt.Sprintf("%s#%d", n.ID, n.Epoch) }

func holder(owner string) registry.NodeRef {
	i := strings.LastIndexByte(owner, '#')
	if i < 0 {
		return registry.NodeRef{ID: registry.NodeID(owner), Epoch: 1}
	}
	epoch, _ := strconv.ParseUint(owner[i+1:], 10, 64)
	return registry.NodeRef{ID: registry.NodeID(owner[:i]), Epoch: registry.Epoch(epoch)}
}
