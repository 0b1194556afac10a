//go:build fdb

package fdbimpl

import (
	"errors"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry"
)

// recordRead is the read of a record under way.
type recordRead struct {
	actor             registry.ActorID
	tenureKey         fdb.Key
	tenure, termValue fdb.FutureByteSlice
}

// readRecord issues the read of an actor's record: the tenure through one view of
// a transaction, the term through another. A transaction that writes the record
// reads both ordinarily. One that only depends on the tenure reads the term
// through a snapshot, which sees the same version and conflicts with nothing.
func (k keys) readRecord(tenure, term fdb.ReadTransaction, actor registry.ActorID) recordRead {
	at := k.record(actor)
	return recordRead{actor: actor, tenureKey: at.tenure, tenure: tenure.Get(&at.tenure), termValue: term.Get(&at.term)}
}

// await returns the record read, the zero placement when there is none.
func (f recordRead) await() (registry.Placement, error) {
	tb, err := f.tenure.Get()
	if err != nil {
		return registry.Placement{}, err
	}
	lb, err := f.termValue.Get()
	if err != nil {
		return registry.Placement{}, err
	}
	if tb == nil && lb == nil {
		return registry.Placement{}, nil
	}
	t, terr := decodeTenure(tb)
	l, lerr := decodeTerm(lb)
	if err := errors.Join(terr, lerr); err != nil {
		return registry.Placement{}, corrupt(f.tenureKey, err)
	}
	return registry.Placement{
		Actor: f.actor, Holder: t.holder, Token: t.token, ClaimID: t.claimID,
		Version: l.version, Expiry: l.expiry,
	}, nil
}

// writeRecord writes the successor of before, which the attempt has read.
//
// VersionBump and TokenMonotonic: the term is written by every mutation, the
// decision made next.Version one more than before's, and before is in the read
// set; so of all transactions that read one version exactly one commits.
//
// NoStaleWrite: the tenure is written exactly when it differs, that is at claims,
// releases and transfers. So a guarded write, which reads the tenure, conflicts
// with the end of its tenure and not with a renewal of it.
//
// The index row goes with the holder in the same transaction, so a listing finds
// an actor under its holder and nowhere else.
func (a *attempt) writeRecord(before, next registry.Placement) {
	k, actor := a.r.keys, next.Actor
	term := term{version: next.Version, expiry: next.Expiry, mark: a.mark}
	at := k.record(actor)
	a.write(&at.term, uint64(before.Version), stampOfTerm, term.encode())
	a.writes[len(a.writes)-1].floor = a.above
	if t := tenureOf(next); t != tenureOf(before) {
		a.tr.Set(&at.tenure, t.encode())
	}
	if before.Held() && before.Holder != next.Holder {
		a.tr.Clear(k.heldRow(before.Holder, actor))
	}
	if next.Held() {
		row := held{token: next.Token, claimID: next.ClaimID, version: next.Version, expiry: next.Expiry}
		a.tr.Set(k.heldRow(next.Holder, actor), row.encode())
	}
}

func tenureOf(p registry.Placement) tenure {
	return tenure{holder: p.Holder, token: p.Token, claimID: p.ClaimID}
}

// node is a node's registration as stored. The zero node was never registered.
type node struct {
	registry.Node
	standing, seen uint64 // revisions
}

// nodeRead is the read of a registration under way.
type nodeRead struct {
	id             registry.NodeID
	standingKey    fdb.Key
	standing, seen fdb.FutureByteSlice
}

// readNode issues the read of a node's registration: the standing through one view
// of a transaction, the last-seen time through another.
func (k keys) readNode(standing, seen fdb.ReadTransaction, id registry.NodeID) nodeRead {
	at := k.node(id)
	return nodeRead{id: id, standingKey: at.standing, standing: standing.Get(&at.standing), seen: seen.Get(&at.seen)}
}

// readStanding issues the read of a node's standing alone, for a transaction that
// depends on nothing else of it: a claim, a transfer, a departure. It conflicts with a
// registration, a failure and a departure of the node, and not with its heartbeats.
func (k keys) readStanding(tr fdb.ReadTransaction, id registry.NodeID) standingRead {
	key := k.standing(id)
	return standingRead{id: id, key: key, value: tr.Get(&key)}
}

// standingRead is the read of a standing under way.
type standingRead struct {
	id    registry.NodeID
	key   fdb.Key
	value fdb.FutureByteSlice
}

// await returns the registration read without its last-seen time, the zero node when
// there is none.
func (f standingRead) await() (node, error) {
	b, err := f.value.Get()
	if err != nil || b == nil {
		return node{}, err
	}
	s, err := decodeStanding(b)
	if err != nil {
		return node{}, corrupt(f.key, err)
	}
	return s.of(f.id), nil
}

// seenToo gives a refusal that tells of a node its last-seen time, which nothing but the
// detail of a refusal depends on. It is read when it is needed, at the attempt's read
// version, so that the node is as the refusing step saw it; and through a snapshot,
// for a refusal commits nothing.
func (a *attempt) seenToo(err error) error {
	var refusal *registry.Refusal
	if !errors.As(err, &refusal) || refusal.Node.Ref.IsZero() {
		return err
	}
	n, failed := a.r.keys.readNode(a.tr.Snapshot(), a.tr.Snapshot(), refusal.Node.Ref.ID).await()
	if failed != nil {
		return failed
	}
	refusal.Node = n.Node
	return err
}

// await returns the registration read, the zero node when there is none.
func (f nodeRead) await() (node, error) {
	sb, err := f.standing.Get()
	if err != nil {
		return node{}, err
	}
	tb, err := f.seen.Get()
	if err != nil {
		return node{}, err
	}
	if sb == nil && tb == nil {
		return node{}, nil
	}
	n, err := decodeNode(f.id, sb, tb)
	if err != nil {
		return node{}, corrupt(f.standingKey, err)
	}
	return n, nil
}

func decodeNode(id registry.NodeID, standingValue, seenValue []byte) (node, error) {
	s, serr := decodeStanding(standingValue)
	t, terr := decodeSeen(seenValue)
	if err := errors.Join(serr, terr); err != nil {
		return node{}, err
	}
	n := s.of(id)
	n.LastSeen, n.seen = t.at, t.rev
	return n, nil
}

// of is the registration of the node id without its last-seen time.
func (s standing) of(id registry.NodeID) node {
	return node{
		Node:     registry.Node{Ref: registry.NodeRef{ID: id, Epoch: s.epoch}, Info: s.info, Status: s.status},
		standing: s.rev,
	}
}

// writeStanding writes the standing that follows before's.
func (a *attempt) writeStanding(before node, next registry.Node) {
	v := standing{stamp: stamp{before.standing + 1, a.mark}, epoch: next.Ref.Epoch, status: next.Status, info: next.Info}
	a.write(&a.r.keys.node(next.Ref.ID).standing, before.standing, stampOfStanding, v.encode())
}

// writeSeen writes the last-seen time that follows before's.
func (a *attempt) writeSeen(before node, next registry.Node) {
	v := seen{stamp: stamp{before.seen + 1, a.mark}, at: next.LastSeen}
	a.write(&a.r.keys.node(next.Ref.ID).seen, before.seen, stampOfSeen, v.encode())
}
