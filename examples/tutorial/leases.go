package tutorial

import (
	"context"

	"github.com/kelpie-registry/registry"
)

// Claim implements registry.Registry.
func (h *Handle) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (lease registry.Lease, err error) {
	if err := invalid(actor, node, id); err != nil {
		return registry.Lease{}, err
	}
	err = h.atomically(ctx, func(t *transaction) error {
		p, err := t.record(actor)
		if err != nil {
			return err
		}
		if p.Holder == node && p.ClaimID == id && t.phase(p) < registry.Lapsed {
			lease = p.Lease() // a retry: the answer was lost
			return nil
		}
		if _, err := t.active(node); err != nil {
			return err
		}
		if p.Held() && t.phase(p) != registry.Reclaimable {
			return t.refuse(registry.ErrHeld, p)
		}
		p.Holder, p.Token, p.Expiry, p.ClaimID = node, p.Token+1, t.now.Add(t.cfg.TTL), id
		err = t.save(&p)
		lease = p.Lease()
		return err
	})
	return unless(err, lease)
}

// tenure reads the record and refuses a lease that is not of its running tenure.
func (t *transaction) tenure(l registry.Lease) (registry.Placement, error) {
	p, err := t.record(l.Actor)
	switch {
	case err != nil:
		return p, err
	case l.Token < p.Token:
		return p, t.refuse(registry.ErrFenced, p)
	case l.Token > p.Token || l.Holder != p.Holder:
		return p, t.refuse(registry.ErrNotHeld, p)
	}
	return p, nil
}

// Renew implements registry.Registry.
func (h *Handle) Renew(ctx context.Context, l registry.Lease) (lease registry.Lease, err error) {
	if err := invalid(l); err != nil {
		return registry.Lease{}, err
	}
	err = h.atomically(ctx, func(t *transaction) error {
		p, err := t.tenure(l)
		if err != nil {
			return err
		}
		if t.phase(p) >= registry.Lapsed {
			return t.refuse(registry.ErrLapsed, p)
		}
		p.Expiry = max(p.Expiry, t.now.Add(t.cfg.TTL))
		err = t.save(&p)
		lease = p.Lease()
		return err
	})
	return unless(err, lease)
}

// Release implements registry.Registry.
func (h *Handle) Release(ctx context.Context, l registry.Lease) error {
	if err := invalid(l); err != nil {
		return err
	}
	return h.atomically(ctx, func(t *transaction) error {
		p, err := t.record(l.Actor)
		if err != nil {
			return err
		}
		if p.Version != 0 && !p.Held() && p.Token == l.Token {
			return nil // released already
		}
		if p, err = t.tenure(l); err != nil {
			return err
		}
		p.Holder = registry.NodeRef{} // the record stays, with its token and version
		return t.save(&p)
	})
}

// Transfer implements registry.Registry.
func (h *Handle) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (lease registry.Lease, err error) {
	if err := invalid(l, to); err != nil {
		return registry.Lease{}, err
	}
	err = h.atomically(ctx, func(t *transaction) error {
		if _, err := t.active(to); err != nil {
			return err
		}
		p, err := t.tenure(l)
		if err != nil {
			return err
		}
		if t.phase(p) != registry.Live {
			return t.refuse(registry.ErrLapsed, p)
		}
		p.Holder, p.Token, p.Expiry, p.ClaimID = to, p.Token+1, t.now.Add(t.cfg.TTL), registry.ClaimID{}
		err = t.save(&p)
		lease = p.Lease()
		return err
	})
	return unless(err, lease)
}

// Lookup implements registry.Registry.
func (h *Handle) Lookup(ctx context.Context, actor registry.ActorID) (p registry.Placement, found bool, err error) {
	if err := invalid(actor); err != nil {
		return registry.Placement{}, false, err
	}
	err = h.atomically(ctx, func(t *transaction) (err error) {
		p, err = t.record(actor)
		return err
	})
	if err != nil || p.Version == 0 {
		return registry.Placement{}, false, err
	}
	return p, true, nil
}

// Validate implements registry.Registry.
func (h *Handle) Validate(ctx context.Context, actor registry.ActorID, token registry.Token) error {
	if err := invalid(actor, token); err != nil {
		return err
	}
	return h.atomically(ctx, func(t *transaction) error {
		p, err := t.record(actor)
		switch {
		case err != nil:
			return err
		case token < p.Token:
			return t.refuse(registry.ErrFenced, p)
		case token > p.Token || !p.Held():
			return t.refuse(registry.ErrNotHeld, p)
		}
		return nil
	})
}

// ListActors implements registry.Registry.
func (h *Handle) ListActors(ctx context.Context, node registry.NodeRef, page registry.Page) (rows []registry.Placement, next registry.Cursor, err error) {
	if err := invalid(node, page); err != nil {
		return nil, "", err
	}
	err = h.atomically(ctx, func(t *transaction) (err error) {
		// SQL's integers are signed; nobody holds under an epoch beyond them.
		namespace, name := afterActor(page.After)
		rows, err = t.records("holder = ? AND epoch = ? AND (namespace, name) > (?, ?) ORDER BY namespace, name LIMIT ?",
			node.ID, int64(node.Epoch), namespace, name, page.Rows()+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(rows) > page.Rows() {
		rows = rows[:page.Rows()]
		next = actorCursor(rows[len(rows)-1].Actor)
	}
	return rows, next, nil
}

// unless returns a lease, or an error alone.
func unless(err error, l registry.Lease) (registry.Lease, error) {
	if err != nil {
		return registry.Lease{}, err
	}
	return l, nil
}
