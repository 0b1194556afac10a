package sound

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// names stores records under a digest of the actor's name, and keeps the name beside it.
type names struct{ full sync.Map } // by digest

// row is where an actor's record is. The length of the first part tells it from the
// second; that two names have one digest is not to be expected.
func (n *names) row(a registry.ActorID) registry.ActorID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(a.Namespace), a.Namespace, a.Name))
	short := registry.ActorID{Namespace: "sha256", Name: hex.EncodeToString(sum[:])}
	n.full.Store(short, a)
	return short
}

func (n *names) restore(a *registry.ActorID) {
	if full, ok := n.full.Load(*a); ok {
		*a = full.(registry.ActorID)
	}
}

// serve is the way of a call that is stored so.
func (n *names) serve(r *request) op.Result {
	if r.call.Kind == op.RenewBatch || r.call.Actor == (registry.ActorID{}) || r.call.Validate() != nil {
		return n.told(r.serve())
	}
	given := r.call.Actor
	r.call.Actor = n.row(given)
	defer func() { r.call.Actor = given }()
	return n.told(r.serve())
}

// told is an answer with the names that the callers know.
func (n *names) told(a op.Result) op.Result {
	var refusal *registry.Refusal
	if errors.As(a.Err, &refusal) {
		named := *refusal
		n.restore(&named.Placement.Actor)
		return op.Failed(&named)
	}
	n.restore(&a.Record.Actor)
	for i := range a.Actors {
		n.restore(&a.Actors[i].Actor)
	}
	return a
}

func digested(c *cluster) {
	var n names
	c.serve, c.row = n.serve, n.row
}
