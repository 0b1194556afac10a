package broken

import (
	"context"
	"sync"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes of what lies between a right store and its callers: a client, a pool,
// a cache, a middleware.

// middle answers the calls of a handle, with the handle behind it.
type middle func(ctx context.Context, h registry.Handle, c op.Call) op.Result

// pass leaves the answer to the handle.
func pass(ctx context.Context, h registry.Handle, c op.Call) op.Result { return op.Do(ctx, h, &c) }

// layered puts a layer around every handle. layer is called once for each
// cluster, and what it returns once for each handle.
func layered(layer func() func(registry.Clock) middle) bend {
	return func(c *cluster) { c.layer = layer() }
}

// each is the same layer for every handle of every cluster.
func each(m middle) bend {
	return layered(func() func(registry.Clock) middle { return func(registry.Clock) middle { return m } })
}

// perHandle is a layer that keeps something for each handle.
func perHandle(layer func() middle) bend {
	return layered(func() func(registry.Clock) middle { return func(registry.Clock) middle { return layer() } })
}

// between is how a cluster makes a call of one of its handles. below makes it on
// the store; handle tells the handles apart.
type between func(handle int, clock registry.Clock, ctx context.Context, c op.Call, below func(context.Context, op.Call) op.Result) op.Result

// serially is a layer of a whole cluster, which makes one call at a time but for
// those that wait.
func serially(layer func() between) bend {
	return layered(func() func(registry.Clock) middle {
		do, handles := layer(), 0
		var mu sync.Mutex
		return func(clock registry.Clock) middle {
			handles++
			n := handles
			return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
				if c.Kind != op.Watch {
					mu.Lock()
					defer mu.Unlock()
				}
				return do(n, clock, ctx, c, func(ctx context.Context, c op.Call) op.Result { return op.Do(ctx, h, &c) })
			}
		}
	})
}

// stateless is a between that every cluster can share.
func stateless(m between) func() between { return func() between { return m } }

// chanLock is a lock that can be given up when a context ends.
type chanLock chan struct{}

func newChanLock() chanLock { return make(chanLock, 1) }

func (l chanLock) lock(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
