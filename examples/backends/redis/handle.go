package redis

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/rules"
)

// Claim implements [registry.Registry].
func (h *handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	now := h.clock.Now()
	lapse := now.Add(-h.cfg.Grace)
	return h.onActor(ctx, claimScript, actor, node.ID, now, args{
		"node": string(node.ID), "epoch": number(uint64(node.Epoch)), "claim": string(id[:]),
		"expiry": instant(now.Add(h.cfg.TTL)), "lapse": instant(lapse), "reclaim": instant(lapse.Add(-2 * h.cfg.MaxClockSkew)),
	})
}

// tenure are the arguments that name a tenure.
func tenure(l registry.Lease) args {
	return args{"holder": string(l.Holder.ID), "holderEpoch": number(uint64(l.Holder.Epoch)), "token": number(uint64(l.Token))}
}

// Renew implements [registry.Registry].
func (h *handle) Renew(ctx context.Context, lease registry.Lease) (registry.Lease, error) {
	now, a := h.clock.Now(), tenure(lease)
	a["expiry"], a["lapse"] = instant(now.Add(h.cfg.TTL)), instant(now.Add(-h.cfg.Grace))
	return h.onActor(ctx, renewScript, lease.Actor, lease.Holder.ID, now, a)
}

// Release implements [registry.Registry].
func (h *handle) Release(ctx context.Context, lease registry.Lease) error {
	_, err := h.onActor(ctx, releaseScript, lease.Actor, lease.Holder.ID, 0, tenure(lease))
	return err
}

// Transfer implements [registry.Registry].
func (h *handle) Transfer(ctx context.Context, lease registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	now, a := h.clock.Now(), tenure(lease)
	a["node"], a["epoch"] = string(to.ID), number(uint64(to.Epoch))
	a["now"], a["expiry"] = instant(now), instant(now.Add(h.cfg.TTL))
	return h.onActor(ctx, transferScript, lease.Actor, to.ID, now, a)
}

// Lookup implements [registry.Registry].
func (h *handle) Lookup(ctx context.Context, actor registry.ActorID) (registry.Placement, bool, error) {
	fields, err := h.actorFields(ctx, h.client, actor).Result()
	if err != nil {
		return registry.Placement{}, false, unavailable(ctx, err)
	}
	p, err := placement(actor, fields)
	return p, p.Version != 0, err
}

func (h *handle) actorFields(ctx context.Context, c redis.Cmdable, a registry.ActorID) *redis.SliceCmd {
	return c.HMGet(ctx, h.actorKey(a), "holder", "epoch", "token", "version", "expiry", "claim")
}

func (h *handle) nodeFields(ctx context.Context, c redis.Cmdable, id registry.NodeID) *redis.SliceCmd {
	return c.HMGet(ctx, h.nodeKey(id), "epoch", "address", "status", "seen")
}

// Validate implements [registry.Registry].
func (h *handle) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	p, _, err := h.Lookup(ctx, actor)
	if err != nil {
		return err
	}
	return rules.Validate(p, token)
}

// ListActors implements [registry.Registry]. The index changes in the same script
// as the record, so an actor held throughout is in every page's range of it; each
// row is then read at its own instant and left out if the node lost it meanwhile.
func (h *handle) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) ([]registry.Placement, registry.Cursor, error) {
	prefix := string(node.ID) + "\x00" + number(uint64(node.Epoch)) + "\x00"
	names, next, err := h.names(ctx, "held", prefix, page)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	actors := make([]registry.ActorID, len(names))
	for i, name := range names {
		actors[i].Namespace, actors[i].Name, _ = strings.Cut(name, "\x00")
	}
	fields, err := fetch(ctx, h, actors, h.actorFields)
	if err != nil {
		return nil, "", err
	}
	var rows []registry.Placement
	for i, f := range fields {
		p, err := placement(actors[i], f)
		if err != nil {
			return nil, "", err
		}
		if p.Holder == node {
			rows = append(rows, p)
		}
	}
	return rows, next, nil
}

// ListNodes implements [registry.Membership], as ListActors.
func (h *handle) ListNodes(ctx context.Context, status registry.NodeStatus, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	names, next, err := h.names(ctx, "nodes", "", page)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	fields, err := fetch(ctx, h, names, func(ctx context.Context, c redis.Cmdable, name string) *redis.SliceCmd {
		return h.nodeFields(ctx, c, registry.NodeID(name))
	})
	if err != nil {
		return nil, "", err
	}
	var rows []registry.Node
	for i, f := range fields {
		n, err := registration(registry.NodeID(names[i]), f)
		if err != nil {
			return nil, "", err
		}
		if status == registry.AnyStatus || n.Status == status {
			rows = append(rows, n)
		}
	}
	return rows, next, nil
}

// names returns a page of the members of a sorted set that begin with prefix,
// without it, and the cursor to go on from. All members have score 0 and are
// ordered byte by byte; no name begins with 0xff.
func (h *handle) names(ctx context.Context, set, prefix string, page registry.Page) ([]string, registry.Cursor, error) {
	members, err := h.client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: h.prefix + set, ByLex: true,
		Start: "(" + prefix + string(page.After), Stop: "(" + prefix + "\xff",
		Count: int64(page.Rows()) + 1,
	}).Result()
	if err != nil {
		return nil, "", unavailable(ctx, err)
	}
	for i, m := range members {
		members[i] = strings.TrimPrefix(m, prefix)
	}
	if len(members) <= page.Rows() {
		return members, "", nil
	}
	members = members[:page.Rows()]
	return members, registry.Cursor(members[len(members)-1]), nil
}

// fetch reads the hashes of all keys in one round trip.
func fetch[K any](ctx context.Context, h *handle, keys []K, read func(context.Context, redis.Cmdable, K) *redis.SliceCmd) ([][]any, error) {
	cmds := make([]*redis.SliceCmd, len(keys))
	_, err := h.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			cmds[i] = read(ctx, p, key)
		}
		return nil
	})
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	fields := make([][]any, len(keys))
	for i, cmd := range cmds {
		fields[i] = cmd.Val()
	}
	return fields, nil
}

// RegisterNode implements [registry.Membership].
func (h *handle) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	now, supersede := h.clock.Now(), "0"
	if mode == registry.Supersede {
		supersede = "1"
	}
	return h.onNode(ctx, registerScript, id, now, args{"id": string(id), "address": info.Address, "supersede": supersede, "now": instant(now)})
}

// Heartbeat implements [registry.Membership].
func (h *handle) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	now := h.clock.Now()
	_, err := h.onNode(ctx, heartbeatScript, node.ID, now, args{"epoch": number(uint64(node.Epoch)), "now": instant(now)})
	return err
}

// MarkFailed implements [registry.Membership].
func (h *handle) MarkFailed(ctx context.Context, node registry.NodeRef) error {
	now := h.clock.Now()
	silent := now.Add(-h.cfg.FailureTimeout).Add(-2 * h.cfg.MaxClockSkew)
	_, err := h.onNode(ctx, markFailedScript, node.ID, now, args{"epoch": number(uint64(node.Epoch)), "silent": instant(silent)})
	return err
}

// DeregisterNode implements [registry.Membership].
func (h *handle) DeregisterNode(ctx context.Context, node registry.NodeRef) error {
	_, err := h.onNode(ctx, deregisterScript, node.ID, 0, args{"epoch": number(uint64(node.Epoch))})
	return err
}

// GetNode implements [registry.Membership].
func (h *handle) GetNode(ctx context.Context, id registry.NodeID) (registry.Node, bool, error) {
	fields, err := h.nodeFields(ctx, h.client, id).Result()
	if err != nil {
		return registry.Node{}, false, unavailable(ctx, err)
	}
	n, err := registration(id, fields)
	return n, !n.Ref.IsZero(), err
}

// Close implements [registry.Registry].
func (h *handle) Close() error { return nil }
