package adapt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// ErrChanged is the error of a compare-and-set that found another revision.
var ErrChanged = errors.New("the entry has changed")

// Directory is a store of entries with compare-and-set on a revision, such as an actor
// directory. Revisions of an entry only grow, also when it is removed and made again.
// The functions are safe for concurrent use.
//
// The lease is lent: an entry's value says who holds the actor, until when, and under
// which token, which is the revision of the entry that granted it.
type Directory struct {
	// Register writes an entry whose revision is was, 0 for none there. It returns the
	// new revision, or an error matching ErrChanged.
	Register func(ctx context.Context, key string, value []byte, was uint64) (revision uint64, err error)

	// Unregister removes an entry whose revision is was, or fails with ErrChanged.
	Unregister func(ctx context.Context, key string, was uint64) error

	// Lookup reads an entry, never from a cache. found is false where there is none.
	Lookup func(ctx context.Context, key string) (value []byte, revision uint64, found bool, err error)

	// List reads all entries, where the directory can; nil: it cannot.
	List func(ctx context.Context, entry func(key string, value []byte, revision uint64)) error
}

// Dialect is what a directory is judged in: tokens and versions are revisions, a
// released entry is gone, there is no membership.
func (d Directory) Dialect() dialect.Dialect {
	return dialect.Dialect{SparseTokens: true, SparseVersions: true, Forgets: true, NoMembership: true, NoListing: d.List == nil}
}

// Cluster returns a cluster of handles that use the directory.
func (d Directory) Cluster(cfg registry.Config) *Cluster {
	e := &entries{d, cfg}
	return &Cluster{dialect: d.Dialect(), cfg: cfg, answer: e.answer}
}

// entries are a directory with leases.
type entries struct {
	Directory
	cfg registry.Config
}

// entry is the value of a held actor.
type entry struct {
	Actor   registry.ActorID
	Holder  registry.NodeRef
	Token   registry.Token // 0: the revision of this entry
	Expiry  registry.Instant
	ClaimID registry.ClaimID
}

func (e entry) placement(revision uint64) registry.Placement {
	if e.Token == 0 {
		e.Token = registry.Token(revision)
	}
	return registry.Placement{Actor: e.Actor, Holder: e.Holder, Token: e.Token, Version: registry.Version(revision), Expiry: e.Expiry, ClaimID: e.ClaimID}
}

func decode(value []byte, revision uint64) (registry.Placement, error) {
	var e entry
	if err := json.Unmarshal(value, &e); err != nil {
		return registry.Placement{}, fmt.Errorf("revision %d: %w", revision, err)
	}
	return e.placement(revision), nil
}

// attempts is how often an operation is begun again that finds its entry changed.
const attempts = 100

func (e *entries) answer(ctx context.Context, clock registry.Clock, c *op.Call) op.Result {
	if c.Kind.Lists() {
		return e.list(ctx, c)
	}
	for range attempts {
		r := e.try(ctx, clock, c)
		if !errors.Is(r.Err, ErrChanged) {
			return r
		}
	}
	return op.Failed(fmt.Errorf("%w: the entry changed %d times", registry.ErrUnavailable, attempts))
}

// try decides by what it reads and writes on condition that it is still there: the
// decision and the write are one step.
func (e *entries) try(ctx context.Context, clock registry.Clock, c *op.Call) op.Result {
	value, revision, found, err := e.Lookup(ctx, key(c.Actor))
	if err != nil {
		return op.Failed(fmt.Errorf("%w: %w", registry.ErrUnavailable, err)) // nothing was written
	}
	var p registry.Placement
	if found {
		if p, err = decode(value, revision); err != nil {
			return op.Failed(fmt.Errorf("%w: %w", registry.ErrUnavailable, err))
		}
	}
	var now registry.Instant
	if c.Kind.Timed() {
		now = clock.Now()
	}
	switch c.Kind {
	case op.Lookup, op.Watch:
		return op.Result{Outcome: op.OK, Found: found, Record: p}
	case op.Claim:
		phase := e.cfg.Phase(p.Expiry, now)
		if found && p.Holder == c.Node && p.ClaimID == c.ClaimID && phase < registry.Lapsed {
			return op.Result{Outcome: op.OK, Record: p}
		}
		if found && phase != registry.Reclaimable {
			return op.Failed(&registry.Refusal{Reason: registry.ErrHeld, Placement: p, Now: now})
		}
		return e.write(ctx, c, entry{Actor: c.Actor, Holder: c.Node, Expiry: now.Add(e.cfg.TTL), ClaimID: c.ClaimID}, revision)
	}
	if reason := e.refusal(c, p, found, now); reason != nil {
		return op.Failed(&registry.Refusal{Reason: reason, Placement: p, Now: now})
	}
	switch c.Kind {
	case op.Renew:
		return e.write(ctx, c, entry{Actor: c.Actor, Holder: p.Holder, Token: p.Token, Expiry: max(p.Expiry, now.Add(e.cfg.TTL)), ClaimID: p.ClaimID}, revision)
	case op.Transfer:
		return e.write(ctx, c, entry{Actor: c.Actor, Holder: c.To, Expiry: now.Add(e.cfg.TTL)}, revision)
	case op.Release:
		return unsettled(e.Unregister(ctx, key(c.Actor), revision))
	}
	return op.Result{Outcome: op.OK} // Validate
}

// refusal is the reason to refuse a tenure, nil for none.
func (e *entries) refusal(c *op.Call, p registry.Placement, found bool, now registry.Instant) error {
	phase := e.cfg.Phase(p.Expiry, now)
	switch {
	case !found || c.Token > p.Token || c.Token == p.Token && c.Kind != op.Validate && c.Node != p.Holder:
		return registry.ErrNotHeld
	case c.Token < p.Token:
		return registry.ErrFenced
	case c.Kind == op.Renew && phase >= registry.Lapsed, c.Kind == op.Transfer && phase != registry.Live:
		return registry.ErrLapsed
	}
	return nil
}

func (e *entries) write(ctx context.Context, c *op.Call, v entry, was uint64) op.Result {
	value, err := json.Marshal(v)
	if err != nil {
		return op.Failed(err)
	}
	revision, err := e.Register(ctx, key(c.Actor), value, was)
	if err != nil {
		return unsettled(err)
	}
	return op.Result{Outcome: op.OK, Record: v.placement(revision)}
}

// unsettled answers with the error of a write, which may have happened unless it
// found the entry changed.
func unsettled(err error) op.Result {
	if err == nil || errors.Is(err, ErrChanged) || errors.Is(err, registry.ErrUnavailable) {
		return op.Failed(err)
	}
	return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: err})
}

// list reads all entries and returns those of the node, in one page of the order of
// their keys.
func (e *entries) list(ctx context.Context, c *op.Call) op.Result {
	var rows []row
	err := e.List(ctx, func(key string, value []byte, revision uint64) {
		if p, err := decode(value, revision); err == nil && p.Holder == c.Node && key > string(c.Page.After) {
			rows = append(rows, row{key, p})
		}
	})
	if err != nil {
		return op.Failed(fmt.Errorf("%w: %w", registry.ErrUnavailable, err))
	}
	return page(rows, c.Page.Rows())
}
