package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// Told is what the caller of an operation was told of it.
type Told string

// What a caller can be told of an operation that met no refusal.
const (
	Done      Told = "it happened"
	Undone    Told = "nothing happened"
	Settled   Told = "it happened or not, and will not any more"
	MayApply  Told = "it may still happen"
	Something Told = "something else"
)

func told(err error) Told {
	var unknown *registry.AmbiguousError
	switch {
	case err == nil:
		return Done
	case errors.As(err, &unknown) && unknown.MayStillApply:
		return MayApply
	case errors.As(err, &unknown):
		return Settled
	case errors.Is(err, registry.ErrUnavailable):
		return Undone
	default:
		return Something
	}
}

// Wanted is what the caller of a change is to be told when it meets a trouble.
type Wanted struct{ LostRequest, LostAnswer, ServerGone Told }

// Settles lets changes of each kind meet each trouble, one at a time, looks what
// their callers are told, and whether it is true.
func Settles(t *testing.T, s Store, want Wanted) {
	server := Start(t, s.Program)
	lost, answerLost := conformance.Faults{LostRequest: 1}, conformance.Faults{LostAnswer: 1}
	for _, trouble := range []struct {
		name   string
		faults conformance.Faults
		kills  bool
		told   []Told
	}{
		{"lost request", lost, false, []Told{want.LostRequest}},
		{"lost answer", answerLost, false, []Told{want.LostAnswer}},
		{"late request", conformance.Faults{Late: 1}, false, []Told{want.LostRequest, want.LostAnswer}}, // late for the question, too, or not
		{"server gone", lost, true, []Told{want.ServerGone}},
	} {
		for _, change := range changes {
			t.Run(trouble.name+"/"+change.name, func(t *testing.T) {
				x := newExperiment(t, s, server, trouble.faults, trouble.kills)
				change.prepare(t, x.direct())
				got := told(change.make(x.troubled()))
				x.end()
				happened := change.happened(t, x.direct())
				t.Logf("%s; happened: %v", got, happened)
				require.Contains(t, trouble.told, got)
				require.False(t, got == Done && !happened || got == Undone && happened, "told that %s; happened: %v", got, happened)
				if trouble.faults != (conformance.Faults{Late: 1}) {
					require.Equal(t, trouble.faults == answerLost, happened)
				}
			})
		}
	}
}

// change is a call whose effect can be looked up.
type change struct {
	name     string
	prepare  func(*testing.T, registry.Handle)
	make     func(registry.Handle) error
	happened func(*testing.T, registry.Handle) bool
}

var (
	subject = registry.ActorID{Namespace: "settled", Name: "a"}
	holder  = registry.NodeRef{ID: "n1", Epoch: 1}
	ctx     = context.Background()
)

func register(h registry.Handle) error {
	_, err := h.RegisterNode(ctx, holder.ID, registry.NodeInfo{Address: "here"}, registry.IfAbsent)
	return err
}

func claim(h registry.Handle) error {
	_, err := h.Claim(ctx, subject, holder, registry.ClaimID{1})
	return err
}

func held(t *testing.T, h registry.Handle) bool {
	p, _, err := h.Lookup(ctx, subject)
	require.NoError(t, err)
	return p.Held()
}

// changes are of a record that is not there, of one that is, and of a registration
// that is not there.
var changes = []change{
	{"first claim", func(t *testing.T, h registry.Handle) { require.NoError(t, register(h)) }, claim, held},
	{"second claim", func(t *testing.T, h registry.Handle) {
		require.NoError(t, register(h))
		require.NoError(t, claim(h))
		p, _, err := h.Lookup(ctx, subject)
		require.NoError(t, err)
		require.NoError(t, h.Release(ctx, p.Lease()))
	}, claim, held},
	{"registration", func(*testing.T, registry.Handle) {}, register, func(t *testing.T, h registry.Handle) bool {
		n, found, err := h.GetNode(ctx, holder.ID)
		require.NoError(t, err)
		nodes, _, err := h.ListNodes(ctx, registry.AnyStatus, registry.Page{})
		require.NoError(t, err)
		require.Equal(t, found, len(nodes) == 1, "%v, and a listing of %v", n, nodes)
		return found
	}},
}

// experiment is a cluster and the one trouble that a change of it meets.
type experiment struct {
	t      *testing.T
	store  Store
	server *Server
	proxy  *Proxy
	armed  atomic.Bool
	kills  bool
	name   string
}

func newExperiment(t *testing.T, s Store, server *Server, f conformance.Faults, kills bool) *experiment {
	x := &experiment{t: t, store: s, server: server, kills: kills, name: "judged-" + t.Name()}
	var err error
	x.proxy, err = NewProxy(server.Addr, Wire{
		Begins: func([]byte) bool { return false }, Commits: x.commits, Answers: s.Wire.Answers,
	})
	require.NoError(t, err)
	x.proxy.delay = func() time.Duration { return 300 * time.Millisecond } // longer than it takes to ask
	x.proxy.SetFaults(f)
	return x
}

// commits is true once: what the store does to find out meets no trouble.
func (x *experiment) commits(b []byte) bool {
	if !x.store.Wire.Commits(b) || !x.armed.CompareAndSwap(true, false) {
		return false
	}
	if x.kills {
		assert.NoError(x.t, x.server.Kill())
	}
	return true
}

func (x *experiment) open(addr string) registry.Handle {
	h, err := dial(x.t, x.store, addr).Open(x.name, registry.DefaultConfig(), registry.SystemClock())
	require.NoError(x.t, err)
	return h
}

func (x *experiment) direct() registry.Handle { return x.open(x.server.Addr) }

func (x *experiment) troubled() registry.Handle {
	h := x.open(x.proxy.Addr())
	x.armed.Store(true)
	return h
}

// end waits for what is late, and for the server.
func (x *experiment) end() {
	require.False(x.t, x.armed.Load(), "the change met no trouble")
	require.NoError(x.t, x.proxy.Close())
	if x.kills {
		require.NoError(x.t, x.server.start())
	}
}
