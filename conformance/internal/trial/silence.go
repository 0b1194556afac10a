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
type Silence struct{ asked sync.Map } // *atomic.Int64: how often with patience and in vain, or heard

const (
	heard     = -1
	silentFor = 3 // times, as often as a case is tried again; then it is silent
)

// inVain counts calls of a kind that were made one after the other and not answered.
type inVain struct{ atomic.Int64 }

// hears returns err, and with it that the store is silent where it is. calls are those
// that err is the latest of: what was asked for once or twice says nothing.
func (s *Silence) hears(what string, calls *inVain, answered bool, err error) error {
	kept, known := s.asked.Load(what)
	if !known {
		kept, _ = s.asked.LoadOrStore(what, new(atomic.Int64))
	}
	n := kept.(*atomic.Int64)
	asked := n.Load()
	switch {
	case asked == heard:
		return err
	case answered:
		n.Store(heard)
		return err
	case !call.Trouble(err):
		return err
	}
	if calls.Add(1)%call.PatientAttempts == 0 && n.CompareAndSwap(asked, asked+1) {
		asked++
	}
	if asked < silentFor {
		return err
	}
	return &call.SilentError{What: what, Last: err}
}

// hearsCall is hears for a call on a handle. One whose context has ended says nothing, nor
// does a batch, of which each result fails by itself.
func (s *Silence) hearsCall(ctx context.Context, c *op.Call, r *op.Result, calls *inVain) {
	if c.Kind != op.RenewBatch && !contexts.HasEnded(ctx) {
		r.Err = s.hears(c.Kind.String(), calls, r.Outcome == op.OK || r.Outcome == op.Refused, r.Err)
	}
}
