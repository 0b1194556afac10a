//go:build fdb && fdbsim

package fdbimpl

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbsim"
)

// watching starts a watch of what l is the record of, which nothing ends but the test.
func (x *troubled) watching(l registry.Lease) <-chan watched {
	return watch(x.t, context.Background(), x.mine, l.Actor, l.Version)
}

// set waits until a watch is set again, or has ended: then it says false.
func (x *troubled) set(before uint64, w <-chan watched) (watched, bool) {
	for x.cluster.Stats().ReadOnlyCommits == before {
		select {
		case end := <-w:
			return end, false
		default:
			runtime.Gosched()
		}
	}
	return watched{}, true
}

// stir writes another value of the same version, as if a watch fired for nothing.
func (x *troubled) stir(actor registry.ActorID) {
	_, err := x.store.db.Transact(func(tr fdb.Transaction) (any, error) {
		key := x.mine.keys.term(actor)
		b, err := tr.Get(key).Get()
		if err != nil {
			return nil, err
		}
		v, err := decodeTerm(b)
		v.mark = x.other.marks.next()
		tr.Set(key, v.encode())
		return nil, err
	})
	x.ok(err)
}

// A watch that fails is set again where that can help, three times in a row with this
// budget; one that fires for nothing is set again as often as it does.
func TestWatchIsSetAgain(t *testing.T) {
	fail, fire := fdbsim.Fail(codeProcessBehind), fdbsim.Deliver
	for name, c := range map[string]struct {
		ends   []fdbsim.Verdict // of one watch after the other
		pauses int
		code   int // of the end; 0 for the change
	}{
		"fires for nothing":         {[]fdbsim.Verdict{fire, fire, fire, fire}, 0, 0},
		"fails":                     {[]fdbsim.Verdict{fail, fail}, 2, 0},
		"fails too often":           {[]fdbsim.Verdict{fail, fail, fail}, 2, codeProcessBehind},
		"fails, not in a row":       {[]fdbsim.Verdict{fail, fire, fail, fail}, 3, 0},
		"fails, and would likewise": {[]fdbsim.Verdict{fdbsim.Fail(1032)}, 0, 1032}, // too_many_watches
	} {
		t.Run(name, func(t *testing.T) {
			x := newTroubled(t)
			lease := mustClaim(t, x.other, "x", x.node)
			x.mine.opts.Attempts = 3
			pauses := 0
			x.mine.sleep = func(context.Context, time.Duration) error { pauses++; return nil }
			ends := c.ends
			x.cluster.SetIntercept(func(r *fdbsim.Request) fdbsim.Verdict {
				if r.Kind != fdbsim.KindWatch || len(ends) == 0 {
					return fdbsim.Deliver
				}
				v := ends[0]
				ends = ends[1:]
				return v
			})
			sets := x.cluster.Stats().ReadOnlyCommits
			w := x.watching(lease)
			var end watched
			alive := true
			for range len(c.ends) + 1 {
				if end, alive = x.set(sets, w); !alive {
					break
				}
				sets++
				if len(ends) > 0 {
					x.stir(lease.Actor)
				}
			}
			assert.Equal(t, c.pauses, pauses)
			if c.code != 0 {
				require.False(t, alive)
				assert.ErrorIs(t, end.err, registry.ErrUnavailable)
				assert.Equal(t, c.code, errorCode(end.err))
				return
			}
			require.True(t, alive, "%v", end.err)
			renewed, err := x.other.Renew(t.Context(), lease)
			require.NoError(t, err)
			end = <-w
			require.NoError(t, end.err)
			assert.Equal(t, registry.Placement(renewed), end.p)
		})
	}
}

// A watch that ends with its context ends in its pause too, and takes what it attached
// to the context with it.
func TestWatchEndsInItsPause(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	for _, end := range []func(cancel func()) error{
		func(cancel func()) error { cancel(); return context.Canceled },
		func(func()) error { assert.NoError(t, x.mine.Close()); return registry.ErrClosed },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var want error
		x.mine.sleep = func(ctx context.Context, _ time.Duration) error {
			want = end(cancel)
			<-ctx.Done()
			return ctx.Err()
		}
		x.cluster.SetIntercept(func(r *fdbsim.Request) fdbsim.Verdict {
			if r.Kind == fdbsim.KindWatch {
				return fdbsim.Fail(codeProcessBehind)
			}
			return fdbsim.Deliver
		})
		sets := x.cluster.Stats().ReadOnlyCommits
		w := watch(t, ctx, x.mine, lease.Actor, lease.Version)
		_, alive := x.set(sets, w)
		require.True(t, alive)
		x.stir(lease.Actor)
		assert.ErrorIs(t, (<-w).err, want)
	}
}

func TestNothingOfAWatchStaysAttached(t *testing.T) {
	x := newTroubled(t)
	lease := mustClaim(t, x.other, "x", x.node)
	ctx := &quietContext{Context: t.Context()}
	_, err := x.mine.Watch(ctx, lease.Actor, 0)
	require.NoError(t, err)
	assert.Zero(t, ctx.registered)
}
