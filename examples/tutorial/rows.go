package tutorial

import (
	"context"
	"database/sql"
	"strings"

	"github.com/kelpie-registry/registry"
)

// transaction is one operation's view of its cluster.
type transaction struct {
	ctx     context.Context
	tx      *sql.Tx
	cluster int64
	cfg     registry.Config
	now     registry.Instant // the one reading of the clock
}

// phase says what the reading means for the record.
func (t *transaction) phase(p registry.Placement) registry.Phase { return t.cfg.Phase(p.Expiry, t.now) }

func (t *transaction) exec(query string, args ...any) error {
	if _, err := t.tx.ExecContext(t.ctx, query, args...); err != nil {
		return unavailable{err}
	}
	return nil
}

const recordColumns = "namespace, name, holder, epoch, token, version, expiry, claim"

// record reads the record of an actor. Without one its version is zero.
func (t *transaction) record(a registry.ActorID) (registry.Placement, error) {
	rows, err := t.records("namespace = ? AND name = ?", a.Namespace, a.Name)
	if err != nil || len(rows) == 0 {
		return registry.Placement{Actor: a}, err
	}
	return rows[0], nil
}

func (t *transaction) records(where string, args ...any) ([]registry.Placement, error) {
	rows, err := t.tx.QueryContext(t.ctx, "SELECT "+recordColumns+" FROM records WHERE cluster = ? AND "+where, append([]any{t.cluster}, args...)...)
	if err != nil {
		return nil, unavailable{err}
	}
	defer rows.Close()
	var list []registry.Placement
	for rows.Next() {
		var p registry.Placement
		var claim []byte
		if err := rows.Scan(&p.Actor.Namespace, &p.Actor.Name, &p.Holder.ID, &p.Holder.Epoch, &p.Token, &p.Version, &p.Expiry, &claim); err != nil {
			return nil, unavailable{err}
		}
		copy(p.ClaimID[:], claim)
		list = append(list, p)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable{err}
	}
	return list, nil
}

// save writes a record, under the next version.
func (t *transaction) save(p *registry.Placement) error {
	p.Version++
	return t.exec("REPLACE INTO records (cluster, "+recordColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		t.cluster, p.Actor.Namespace, p.Actor.Name, p.Holder.ID, p.Holder.Epoch, p.Token, p.Version, p.Expiry, p.ClaimID[:])
}

const nodeColumns = "id, epoch, address, instance, status, seen"

// node reads the latest registration under a name. Without one it is zero.
func (t *transaction) node(id registry.NodeID) (registry.Node, error) {
	rows, err := t.nodes("id = ?", id)
	if err != nil || len(rows) == 0 {
		return registry.Node{}, err
	}
	return rows[0], nil
}

func (t *transaction) nodes(where string, args ...any) ([]registry.Node, error) {
	rows, err := t.tx.QueryContext(t.ctx, "SELECT "+nodeColumns+" FROM nodes WHERE cluster = ? AND "+where, append([]any{t.cluster}, args...)...)
	if err != nil {
		return nil, unavailable{err}
	}
	defer rows.Close()
	var list []registry.Node
	for rows.Next() {
		var n registry.Node
		var instance []byte
		if err := rows.Scan(&n.Ref.ID, &n.Ref.Epoch, &n.Info.Address, &instance, &n.Status, &n.LastSeen); err != nil {
			return nil, unavailable{err}
		}
		copy(n.Info.Instance[:], instance)
		list = append(list, n)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable{err}
	}
	return list, nil
}

func (t *transaction) saveNode(n registry.Node) error {
	return t.exec("REPLACE INTO nodes (cluster, "+nodeColumns+") VALUES (?, ?, ?, ?, ?, ?, ?)",
		t.cluster, n.Ref.ID, n.Ref.Epoch, n.Info.Address, n.Info.Instance[:], n.Status, n.LastSeen)
}

// active reads the registration of a node and refuses one that may not claim.
func (t *transaction) active(ref registry.NodeRef) (registry.Node, error) {
	n, err := t.node(ref.ID)
	if err != nil {
		return n, err
	}
	switch n.Standing(ref) {
	case registry.StandingActive:
		return n, nil
	case registry.StandingFailed:
		return n, t.refuseNode(registry.ErrNodeFailed, n)
	}
	return n, t.refuseNode(registry.ErrNodeUnknown, n)
}

func (t *transaction) refuse(reason error, p registry.Placement) error {
	r := &registry.Refusal{Reason: reason, Now: t.now}
	if p.Version != 0 {
		r.Placement = p
	}
	return r
}

func (t *transaction) refuseNode(reason error, n registry.Node) error {
	return &registry.Refusal{Reason: reason, Node: n, Now: t.now}
}

// invalid returns the first objection to an operation's arguments.
func invalid(arguments ...interface{ Validate() error }) error {
	for _, a := range arguments {
		if err := a.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// A cursor of actors is the last row's name. No name has a zero byte.
func actorCursor(a registry.ActorID) registry.Cursor {
	return registry.Cursor(a.Namespace + "\x00" + a.Name)
}

func afterActor(c registry.Cursor) (namespace, name string) {
	namespace, name, _ = strings.Cut(string(c), "\x00")
	return namespace, name
}
