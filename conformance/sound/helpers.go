package sound

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// Peculiarities of what works beside the calls and outlives them for a while, and of
// what is told of the past.
var helpers = []Variant{
	{"goroutine-for-each-call", "each call is made in a goroutine of its own, and waited for", linearizable, func(c *cluster) {
		c.serve = func(r *request) op.Result {
			if r.yield != nil {
				return r.serve()
			}
			answer := make(chan op.Result)
			go func() { answer <- r.serve() }()
			return <-answer
		}
	}},
	{"late-helpers", "a goroutine of each call ends a while after it, and those of a handle after Close", lateEnds, func(c *cluster) {
		c.serve = func(r *request) op.Result {
			go func() { time.Sleep(5 * time.Millisecond) }()
			return r.serve()
		}
	}},
	{"workers-of-the-store", "the store has workers from the first call on, who live until nothing is asked for", lateEnds, func(c *cluster) {
		asked := make(chan struct{}, 1)
		work := func() {
			for {
				select {
				case <-asked:
				case <-time.After(time.Second):
					return
				}
			}
		}
		c.serve = func(r *request) op.Result {
			c.workers.Do(func() {
				for range 4 {
					go work()
				}
			})
			select {
			case asked <- struct{}{}:
			default:
			}
			return r.serve()
		}
	}},
	{"watch-outlives-its-handle", "a watch waits on when its handle is closed, until its context ends", "operations in flight may fail with ErrClosed, and need not", func(c *cluster) {
		c.watch = func(r *request) op.Result {
			if _, _, err := r.seen(); err != nil {
				return op.Failed(err)
			}
			for {
				r.mu.Lock()
				found, changed := r.store().View(&r.call).Record, r.changed
				r.mu.Unlock()
				switch {
				case found.Version != r.call.Seen:
					return op.Result{Outcome: op.OK, Record: found}
				case r.ctx.Err() != nil:
					return op.Failed(r.ctx.Err())
				}
				select {
				case <-changed:
				case <-r.ctx.Done():
				}
			}
		}
	}},
	{"slow-polling-watch", "a watch looks at the record every 20 ms", "it may miss intermediate versions, never the last one", func(c *cluster) {
		c.watch = func(r *request) op.Result {
			for {
				found, _, err := r.seen()
				if err != nil || found.Version != r.call.Seen {
					return op.Result{Outcome: op.OK, Record: found, Err: err}
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-r.ctx.Done():
				}
			}
		}
	}},
	{"watch-by-a-helper", "a watch waits in a goroutine that ends when the next change comes, whoever still listens", lateEnds, func(c *cluster) {
		c.watch = func(r *request) op.Result {
			for {
				found, changed, err := r.seen()
				if err != nil || found.Version != r.call.Seen {
					return op.Result{Outcome: op.OK, Record: found, Err: err}
				}
				woken := make(chan struct{})
				go func() {
					defer close(woken)
					select {
					case <-changed:
					case <-r.ctx.Done():
						time.Sleep(time.Millisecond)
					}
				}()
				select {
				case <-woken:
				case <-r.ctx.Done():
				}
			}
		}
	}},
	{"names-by-digest", "a record is stored under a digest of its actor's name", "names are identities: how they are stored is the store's own", digested},
	{"unknown-cursors-begin-anew", "a cursor that no listing has returned is taken for the beginning", "a cursor belongs to the backend that returned it; of another nothing is said", func(c *cluster) {
		paged(strings.Compare, fullPages)(c)
		read := c.read
		c.read = func(r *request) op.Result {
			if _, _, err := decodeCursor(r.call.Page.After); err != nil {
				r.call.Page.After = ""
			}
			return read(r)
		}
	}},
	{"unknown-cursors-are-the-end", "after a cursor that no listing has returned there is nothing", "a cursor belongs to the backend that returned it; of another nothing is said", func(c *cluster) {
		paged(strings.Compare, fullPages)(c)
		read := c.read
		c.read = func(r *request) op.Result {
			if _, _, err := decodeCursor(r.call.Page.After); err != nil && r.call.Kind.Lists() {
				return op.Result{Outcome: op.OK}
			}
			return read(r)
		}
	}},
	{"own-error-types", "refusals are of a type of the backend's own that knows how to be matched", "errors match with errors.Is and carry details with errors.As", func(c *cluster) {
		c.answer = func(_ *request, a *op.Result) {
			if refusal := new(registry.Refusal); errors.As(a.Err, &refusal) {
				a.Err = ownError{refusal}
			}
		}
	}},
	{"binary-cursors", "a cursor begins with bytes that are no text", "an opaque cursor", func(c *cluster) {
		const mark = "\xff\x00\xfe"
		c.read = func(r *request) op.Result {
			r.call.Page.After = registry.Cursor(strings.TrimPrefix(string(r.call.Page.After), mark))
			answer := r.look()
			if answer.Next != "" {
				answer.Next = mark + answer.Next
			}
			return answer
		}
	}},
	{"last-page-empty", "after the last row there is one more page, which is empty", "the listing ends with the cursor, not with an empty page", func(c *cluster) {
		const end = "\x02end"
		c.read = func(r *request) op.Result {
			if r.call.Kind.Lists() && r.call.Page.After == end {
				return op.Result{Outcome: op.OK}
			}
			answer := r.look()
			if answer.Err == nil && answer.Next == "" && len(answer.Actors)+len(answer.Nodes) > 0 {
				answer.Next = end
			}
			return answer
		}
	}},
	{"long-poll-ends", "a watch that nothing has woken for 30 ms is given up", givesUp, givingUpAfter(30 * time.Millisecond)},
	{"short-poll-ends", "a watch that nothing has woken for 3 ms is given up", givesUp, givingUpAfter(3 * time.Millisecond)},
	{"two-watches", "of the watches of a store two wait, and each more is given up at once", givesUp, func(c *cluster) {
		var waiting atomic.Int64
		c.watch = func(r *request) op.Result {
			defer waiting.Add(-1)
			found, _, err := r.seen()
			if waiting.Add(1) > 2 && err == nil && found.Version == r.call.Seen {
				return op.Failed(registry.ErrUnavailable)
			}
			return r.wait()
		}
	}},
	{"keeps-what-it-read", "a handle answers what it has read before, while the store says that nothing was written since", linearizable, func(c *cluster) {
		type kept struct {
			answer op.Result
			until  chan struct{} // closed by the next write
		}
		type asked struct {
			by     *handle
			kind   op.Kind
			actor  registry.ActorID
			node   registry.NodeRef
			token  registry.Token
			status registry.NodeStatus
			page   registry.Page
		}
		cache := map[asked]kept{} // guarded by mu
		c.read = func(r *request) op.Result {
			key := asked{r.handle, r.call.Kind, r.call.Actor, r.call.Node, r.call.Token, r.call.Status, r.call.Page}
			k, hit := cache[key]
			if !hit || k.until != r.changed {
				if k = (kept{r.look(), r.changed}); k.answer.Err != nil {
					return k.answer
				}
				cache[key] = k
			}
			own := k.answer
			own.Actors, own.Nodes = slices.Clone(own.Actors), slices.Clone(own.Nodes) // the caller may change them
			return own
		}
	}},
	{"decides-by-what-it-read", "a write is prepared from what the handle saw in its last call, and made only if that is what is there", linearizable, func(c *cluster) {
		type saw struct {
			by *handle
			of registry.ActorID
			or registry.NodeID
		}
		var last sync.Map // of reference.View, by saw
		c.serve = func(r *request) op.Result {
			if !r.call.Kind.Mutates() || r.call.Kind == op.RenewBatch || r.call.Validate() != nil {
				return r.serve()
			}
			at := saw{r.handle, r.call.Actor, r.call.Party()}
			from, hit := last.Load(at)
			if !hit {
				from = r.store().View(&r.call)
			}
			answer, now := r.serveFrom(from.(reference.View), true)
			last.Store(at, now)
			return answer
		}
	}},
	{"batch-in-small-parts", "a batch is renewed in parts of three, in random order", anyOrder, func(c *cluster) {
		c.batch = func(r *request) op.Result {
			order := make([]int, len(r.call.Leases))
			for i := range order {
				order[i] = i
			}
			parts := slices.Collect(slices.Chunk(order, 3))
			r.rng().Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			return r.renewEach(slices.Concat(parts...))
		}
	}},
}

const givesUp = "it fails with the context's error, ErrClosed or ErrUnavailable"

// givingUpAfter gives a watch up that nothing has woken in that time.
func givingUpAfter(d time.Duration) func(*cluster) {
	return func(c *cluster) {
		c.watch = func(r *request) op.Result {
			end := time.After(d)
			for {
				found, changed, err := r.seen()
				if err != nil || found.Version != r.call.Seen {
					return op.Result{Outcome: op.OK, Record: found, Err: err}
				}
				select {
				case <-changed:
				case <-end:
					return op.Failed(registry.ErrUnavailable)
				case <-r.ctx.Done():
				}
			}
		}
	}
}

const lateEnds = "Close leaves no goroutine of the handle behind; when the last one ends is left open"

// ownError is a refusal as another type.
type ownError struct{ refusal *registry.Refusal }

func (e ownError) Error() string { return "kept back: " + e.refusal.Error() }

func (e ownError) Is(target error) bool { return target == e.refusal.Reason }

func (e ownError) As(target any) bool {
	if to, ok := target.(**registry.Refusal); ok {
		*to = e.refusal
		return true
	}
	return false
}
