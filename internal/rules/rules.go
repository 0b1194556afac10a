// Package rules decides what an operation of the registry does, as pure
// functions that every implementation calls inside its own atomic step.
//
// A decision takes the cluster's configuration, the record or the registration
// as the step read it, the arguments and the step's one clock reading. It
// returns the next value, whether that differs from the one read and so must be
// written, and nil or the refusal. It knows no storage and no concurrency: a
// decision is safe exactly when the implementation makes the values it passed in
// still be the current ones at the instant at which it writes the answer. All
// values that a decision reads (a claim reads the actor's record and the node's
// registration) must therefore be guarded by the same critical section, or be in
// the read set of the same transaction.
//
// The package is written from the contract, apart from the executable
// specification in package reference, which its tests compare it with.
package rules

import (
	"time"

	"github.com/kelpie-registry/registry"
)

// Claim decides [registry.Registry.Claim]. rec is the record of actor (zero:
// none), n the latest registration of node.ID (zero: none). next is the record
// whose lease answers the claim; changed is false when the claim repeats the one
// that began the tenure.
//
// The repetition is looked at before the membership and answered while the
// tenure has not lapsed: the first attempt was granted under the membership of
// its own instant, and telling its caller again what it owns gives nobody
// anything new. Nothing is answered from the lapse on, because from then on the
// holder can no longer renew what it would be told it has.
//
// A held record is refused before Expiry+Grace+2ε by this clock. The holder's
// clock and this one are each within ε of true time, so they are at most 2ε
// apart, and at this reading the holder's own clock has passed Expiry+Grace: it
// neither serves nor can it renew. With less than 2ε a slow holder and a fast
// claimer believe at the same time.
func Claim(cfg registry.Config, rec registry.Placement, n registry.Node, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID, now registry.Instant) (next registry.Placement, changed bool, err error) {
	phase := cfg.Phase(rec.Expiry, now)
	if rec.Held() && rec.Holder == node && rec.ClaimID == id && phase < registry.Lapsed {
		return rec, false, nil
	}
	if err := mayHold(n, node, now); err != nil {
		return rec, false, err
	}
	if rec.Held() && phase < registry.Reclaimable {
		return rec, false, refuseActor(registry.ErrHeld, rec, now)
	}
	return grant(cfg, rec, actor, node, id, now), true, nil
}

// Renew decides [registry.Registry.Renew]. next is the record whose lease
// answers the renewal.
//
// Before the lapse by this clock no other clock can have found the record
// reclaimable (Claim waits 2ε longer), so the tenure that is extended is still
// the only one. Expiry never moves back, though the reading may: somebody may
// have been told the later one already. Membership is not asked: failure
// detection takes no actor away.
func Renew(cfg registry.Config, rec registry.Placement, lease registry.Lease, now registry.Instant) (next registry.Placement, changed bool, err error) {
	if err := tenure(rec, lease, now); err != nil {
		return rec, false, err
	}
	if cfg.Phase(rec.Expiry, now) >= registry.Lapsed {
		return rec, false, refuseActor(registry.ErrLapsed, rec, now)
	}
	next = rec
	next.Version++
	next.Expiry = max(rec.Expiry, now.Add(cfg.TTL))
	return next, true, nil
}

// Release decides [registry.Registry.Release]. It needs no clock: giving up a
// tenure is safe at any time.
//
// The record stays with its Token, so that the next grant's is higher than every
// one given out, and Version grows, so that a conditional write that was under
// way fails. Releasing the latest tenure again succeeds and changes nothing; the
// holder is gone from the record by then, so the token alone tells, and it does
// because no two grants share one.
func Release(rec registry.Placement, lease registry.Lease) (next registry.Placement, changed bool, err error) {
	if rec.Version > 0 && !rec.Held() && rec.Token == lease.Token {
		return rec, false, nil
	}
	if err := tenure(rec, lease, 0); err != nil {
		return rec, false, err
	}
	next = rec
	next.Holder = registry.NodeRef{}
	next.Version++
	return next, true, nil
}

// Transfer decides [registry.Registry.Transfer]. n is the latest registration of
// to.ID. next is the record whose lease answers the transfer.
//
// The old tenure ends and the new one begins in one write, under the old
// holder's own authority, so no clock has to pass. That authority is a live
// lease: in grace the holder has stopped and may only renew.
func Transfer(cfg registry.Config, rec registry.Placement, n registry.Node, lease registry.Lease, to registry.NodeRef, now registry.Instant) (next registry.Placement, changed bool, err error) {
	if err := mayHold(n, to, now); err != nil {
		return rec, false, err
	}
	if err := tenure(rec, lease, now); err != nil {
		return rec, false, err
	}
	if cfg.Phase(rec.Expiry, now) != registry.Live {
		return rec, false, refuseActor(registry.ErrLapsed, rec, now)
	}
	return grant(cfg, rec, lease.Actor, to, registry.ClaimID{}, now), true, nil
}

// Validate decides [registry.Registry.Validate], and whether a guarded write may
// proceed. It asks no clock: tokens fence late writes without one, because every
// later grant has a higher token and a release leaves no holder.
func Validate(rec registry.Placement, token registry.Token) error {
	switch {
	case token < rec.Token:
		return refuseActor(registry.ErrFenced, rec, 0)
	case token > rec.Token || !rec.Held():
		return refuseActor(registry.ErrNotHeld, rec, 0)
	default:
		return nil
	}
}

// RegisterNode decides [registry.Membership.RegisterNode]. n is the latest
// registration of id (zero: none).
//
// changed is false when the registration repeats the active one: the same process
// asks again, because it did not hear the answer. Without the repetition a retry
// would be refused, or would supersede the registration that it made itself and
// fail the process's own epoch.
//
// The epoch grows at every other registration, after a failure or a departure too,
// so the incarnation before is another holder for good: [registry.Node.Standing]
// says failed of every epoch below the current one.
func RegisterNode(n registry.Node, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode, now registry.Instant) (next registry.Node, changed bool, err error) {
	switch active := n.Status == registry.NodeActive; {
	case active && !info.Instance.IsZero() && n.Info.Instance == info.Instance:
		return n, false, nil
	case active && mode != registry.Supersede:
		return n, false, refuseNode(registry.ErrNodeExists, n, now)
	}
	return registry.Node{
		Ref:      registry.NodeRef{ID: id, Epoch: n.Ref.Epoch + 1},
		Info:     info,
		Status:   registry.NodeActive,
		LastSeen: now,
	}, true, nil
}

// Heartbeat decides [registry.Membership.Heartbeat]. A failed incarnation stays
// failed: others may have acted on it.
func Heartbeat(n registry.Node, node registry.NodeRef, now registry.Instant) (next registry.Node, err error) {
	if err := mayHold(n, node, now); err != nil {
		return n, err
	}
	n.LastSeen = now
	return n, nil
}

// MarkFailed decides [registry.Membership.MarkFailed]. changed is false when the
// incarnation is failed already.
//
// last-seen was written by a clock that may be 2ε ahead of or behind this one,
// so 2ε are added to the timeout: the node was silent for at least
// FailureTimeout by any clock. Being wrong about a node is safe nevertheless: it
// makes no new claims, and its leases run out by themselves.
func MarkFailed(cfg registry.Config, n registry.Node, node registry.NodeRef, now registry.Instant) (next registry.Node, changed bool, err error) {
	switch n.Standing(node) {
	case registry.StandingFailed:
		return n, false, nil
	case registry.StandingUnknown:
		return n, false, refuseNode(registry.ErrNodeUnknown, n, now)
	}
	if now < cfg.FailedAt(n.LastSeen) {
		return n, false, refuseNode(registry.ErrNodeAlive, n, now)
	}
	n.Status = registry.NodeFailed
	return n, true, nil
}

// DeregisterNode decides [registry.Membership.DeregisterNode]. Only the current
// epoch can end its registration, so a late message of an earlier incarnation
// ends nothing.
func DeregisterNode(n registry.Node, node registry.NodeRef) (next registry.Node, err error) {
	if n.Ref != node || n.Status == registry.NodeLeft {
		return n, refuseNode(registry.ErrNodeUnknown, n, 0)
	}
	n.Status = registry.NodeLeft
	return n, nil
}

// Above is the record that a claim of an actor without one is decided on, in a store
// whose floor is f: [Claim] takes it as rec. It names nobody, so that the claim is
// granted to whoever may hold, with the next token and version. The floor is no
// lower than any that the actor ever had, so no tenure of it, and no guarded write of
// one, is ever the new one's.
func Above(f registry.Floor, actor registry.ActorID) registry.Placement {
	return registry.Placement{Actor: actor, Token: f.Token, Version: f.Version}
}

// Forgettable decides whether a record may be forgotten. n is the latest
// registration of its holder (zero: none, or the record has no holder), retention how
// long the store keeps it beyond what is safe.
//
// From Expiry+Grace+2ε by this clock the holder's own has passed Expiry+Grace, as in
// [Claim]: it does not serve and cannot renew, so nothing is taken from it. That its
// incarnation is not active is asked besides, so that a node that comes back from a
// pause finds out of each of its actors why it lost it. A released record has the
// expiry of its last lease, and waits as long.
func Forgettable(cfg registry.Config, rec registry.Placement, n registry.Node, retention time.Duration, now registry.Instant) bool {
	return rec.Version > 0 &&
		cfg.Phase(rec.Expiry.Add(retention), now) == registry.Reclaimable &&
		(!rec.Held() || n.Standing(rec.Holder) != registry.StandingActive)
}

// grant begins a tenure. It is the only place that makes a token: one more than
// the record's, which is the highest ever granted because no record is removed
// but for a floor that covers it, and no decision lowers it.
func grant(cfg registry.Config, rec registry.Placement, actor registry.ActorID, holder registry.NodeRef, id registry.ClaimID, now registry.Instant) registry.Placement {
	return registry.Placement{
		Actor:   actor,
		Holder:  holder,
		Token:   rec.Token + 1,
		Version: rec.Version + 1,
		Expiry:  now.Add(cfg.TTL),
		ClaimID: id,
	}
}

// tenure checks that the lease's tenure is the record's. A lower token was
// followed by another grant; an equal one under another holder and a higher one
// were never granted to this holder, or the tenure was released.
func tenure(rec registry.Placement, lease registry.Lease, now registry.Instant) error {
	switch {
	case lease.Token < rec.Token:
		return refuseActor(registry.ErrFenced, rec, now)
	case lease.Token > rec.Token || lease.Holder != rec.Holder:
		return refuseActor(registry.ErrNotHeld, rec, now)
	default:
		return nil
	}
}

// mayHold checks that the incarnation is registered and not failed.
func mayHold(n registry.Node, node registry.NodeRef, now registry.Instant) error {
	switch n.Standing(node) {
	case registry.StandingActive:
		return nil
	case registry.StandingFailed:
		return refuseNode(registry.ErrNodeFailed, n, now)
	default:
		return refuseNode(registry.ErrNodeUnknown, n, now)
	}
}

func refuseActor(reason error, rec registry.Placement, now registry.Instant) error {
	return &registry.Refusal{Reason: reason, Placement: rec, Now: now}
}

func refuseNode(reason error, n registry.Node, now registry.Instant) error {
	return &registry.Refusal{Reason: reason, Node: n, Now: now}
}
