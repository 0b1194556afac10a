package trial

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/conformance/internal/contexts"
	"github.com/kelpie-registry/registry/op"
)

// Silence knows what a store is asked for and never answers, by its name. A store in
// trouble answers at last; of one that never answers anything of a kind, no case has to
// find that out anew.
type Silence struct{ asked sync.Map } // *atomic.Int64: how often in vain, or heard

const (
	heard     = -1
	silentFor = 3 * call.PatientAttempts // calls, as many as a case makes that is tried again, and it is silent
)

func (s *Silence) of(what string) *atomic.Int64 {
	n, known := s.asked.Load(what)
	if !known {
		n, _ = s.asked.LoadOrStore(what, new(atomic.Int64))
	}
	return n.(*atomic.Int64)
}

// hears returns err, and with it that the store is silent where it is.
func (s *Silence) hears(what string, answered bool, err error) error {
	n := s.of(what)
	switch asked := n.Load(); {
	case asked == heard:
	case answered:
		n.Store(heard)
	case call.Trouble(err) && n.CompareAndSwap(asked, asked+1) && asked+1 >= silentFor:
		return &call.SilentError{What: what, Last: err}
	}
	return err
}

// hearsCall is hears for a call on a handle. One whose context has ended says nothing.
func (s *Silence) hearsCall(ctx context.Context, c *op.Call, r *op.Result) {
	if contexts.HasEnded(ctx) {
		return
	}
	hears := func(r *op.Result) {
		r.Err = s.hears(c.Kind.String(), r.Outcome == op.OK || r.Outcome == op.Refused, r.Err)
	}
	if c.Kind != op.RenewBatch {
		hears(r)
	}
	for i := range r.Renewals {
		hears(&r.Renewals[i])
	}
}
