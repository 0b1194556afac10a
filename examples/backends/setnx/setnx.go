// Package setnx is the popular Redis lock as a registry, as it is often written:
// SET key value NX PX ttl takes the lock, SET XX PX keeps it, DEL gives it back.
// It is wrong and is here to be convicted. Do not use it.
//
// Only the lock is the popular one. The membership is that of package redis,
// which passes, so that whatever the suite finds is the lock's.
package setnx

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/backends/internal/admit"
)

// Open returns a handle whose leases are SET NX PX locks. members keeps the nodes.
func Open(client *redis.Client, cluster string, cfg registry.Config, members registry.Membership) registry.Handle {
	return admit.Handle(&handle{members, client, "{" + cluster + "}:lock:", cfg})
}

type handle struct {
	registry.Membership
	client *redis.Client
	prefix string
	cfg    registry.Config
}

func (h *handle) key(a registry.ActorID) string { return h.prefix + a.Namespace + "\x00" + a.Name }

// set writes the lock. The value is the whole lease, which is more than usual: it
// lets Lookup tell what was granted. mode is NX or XX.
func (h *handle) set(ctx context.Context, mode string, l registry.Lease) (bool, error) {
	b, err := json.Marshal(l)
	if err != nil {
		return false, err
	}
	err = h.client.SetArgs(ctx, h.key(l.Actor), b, redis.SetArgs{Mode: mode, TTL: h.cfg.TTL}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, trouble(err)
	}
	return true, nil
}

// lease has no token to give: every tenure's is 1, and its versions begin anew.
func (h *handle) lease(a registry.ActorID, holder registry.NodeRef, id registry.ClaimID, now registry.Instant) registry.Lease {
	return registry.Lease{Actor: a, Holder: holder, Token: 1, Version: 1, Expiry: now.Add(h.cfg.TTL), ClaimID: id}
}

// mayHold asks the membership, in a command of its own.
func (h *handle) mayHold(ctx context.Context, node registry.NodeRef) error {
	n, _, err := h.GetNode(ctx, node.ID)
	if err != nil {
		return err
	}
	switch n.Standing(node) {
	case registry.StandingActive:
		return nil
	case registry.StandingFailed:
		return &registry.Refusal{Reason: registry.ErrNodeFailed, Node: n}
	default:
		return &registry.Refusal{Reason: registry.ErrNodeUnknown, Node: n}
	}
}

// Claim is SET NX PX.
func (h *handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	for {
		l := h.lease(actor, node, id, registry.SystemClock().Now())
		p, found, err := h.Lookup(ctx, actor)
		if err != nil {
			return registry.Lease{}, err
		}
		if found && p.Holder == node && p.ClaimID == id {
			return p.Lease(), nil
		}
		if err := h.mayHold(ctx, node); err != nil {
			return registry.Lease{}, err
		}
		if found {
			return registry.Lease{}, &registry.Refusal{Reason: registry.ErrHeld, Placement: p}
		}
		if taken, err := h.set(ctx, "NX", l); taken || err != nil {
			return l, err
		}
	}
}

// owned is the check that is often made before a renewal or DEL, in a command of
// its own: what it found may be over when the next command arrives.
func (h *handle) owned(ctx context.Context, l registry.Lease) (registry.Placement, error) {
	p, _, err := h.Lookup(ctx, l.Actor)
	if err == nil && (p.Holder != l.Holder || p.Token != l.Token) {
		err = &registry.Refusal{Reason: registry.ErrNotHeld, Placement: p}
	}
	return p, err
}

// Renew is GET, then SET XX PX.
func (h *handle) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	p, err := h.owned(ctx, lease)
	if err != nil {
		return registry.Lease{}, err
	}
	l := h.lease(p.Actor, p.Holder, p.ClaimID, registry.SystemClock().Now())
	l.Version, l.Expiry = p.Version+1, max(l.Expiry, p.Expiry)
	return h.replace(ctx, l)
}

// replace is SET XX PX: it fails when the lock ran out since it was looked at.
func (h *handle) replace(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	kept, err := h.set(ctx, "XX", l)
	switch {
	case err != nil:
		return registry.Lease{}, err
	case !kept:
		return registry.Lease{}, &registry.Refusal{Reason: registry.ErrNotHeld}
	default:
		return l, nil
	}
}

// Release is GET, then DEL.
func (h *handle) Release(ctx context.Context, lease registry.Lease) error {
	if _, err := h.owned(ctx, lease); err != nil {
		return err
	}
	if err := h.client.Del(ctx, h.key(lease.Actor)).Err(); err != nil {
		return trouble(err)
	}
	return nil
}

// Transfer is GET, then SET XX PX.
func (h *handle) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if err := h.mayHold(ctx, to); err != nil {
		return registry.Lease{}, err
	}
	if _, err := h.owned(ctx, lease); err != nil {
		return registry.Lease{}, err
	}
	return h.replace(ctx, h.lease(lease.Actor, to, registry.ClaimID{}, registry.SystemClock().Now()))
}

// Lookup is GET.
func (h *handle) Lookup(ctx context.Context, actor registry.ActorID) (p registry.Placement, found bool, err error) {
	b, err := h.client.Get(ctx, h.key(actor)).Bytes()
	if errors.Is(err, redis.Nil) {
		return registry.Placement{}, false, nil
	}
	if err != nil {
		return registry.Placement{}, false, trouble(err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return registry.Placement{}, false, trouble(err)
	}
	return p, true, nil
}

// Validate can only ask whether the lock exists.
func (h *handle) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	p, found, err := h.Lookup(ctx, actor)
	if err == nil && (!found || token != p.Token) {
		return &registry.Refusal{Reason: registry.ErrNotHeld, Placement: p}
	}
	return err
}

// ListActors scans for the locks whose value is the node, in one page.
func (h *handle) ListActors(ctx context.Context, node registry.NodeRef, _ registry.Page) (rows []registry.Placement, _ registry.Cursor, _ error) {
	keys := h.client.Scan(ctx, 0, h.prefix+"*", 100).Iterator()
	for keys.Next(ctx) {
		namespace, name, _ := strings.Cut(strings.TrimPrefix(keys.Val(), h.prefix), "\x00")
		p, found, err := h.Lookup(ctx, registry.ActorID{Namespace: namespace, Name: name})
		if err != nil {
			return nil, "", err
		}
		if found && p.Holder == node {
			rows = append(rows, p)
		}
	}
	if err := keys.Err(); err != nil {
		return nil, "", trouble(err)
	}
	return rows, "", nil
}

// Close implements [registry.Registry].
func (h *handle) Close() error { return nil }

// trouble does not know what became of the command.
func trouble(err error) error { return &registry.AmbiguousError{MayStillApply: true, Cause: err} }
