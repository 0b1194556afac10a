package sound

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

const linearizable = "each operation takes effect at one instant between call and return"

// Peculiarities of how a step is taken.
var steps = []Variant{
	{"plain", "nothing", "it is the reference's store behind one mutex", func(*cluster) {}},
	{"slow", "a call takes a while", linearizable, func(c *cluster) {
		c.serve = around(func(*request) { time.Sleep(50 * time.Microsecond) }, nothing)
	}},
	{"late-answers", "the answer takes a while after the step", linearizable, func(c *cluster) {
		c.serve = around(nothing, func(*request) { time.Sleep(50 * time.Microsecond) })
	}},
	{"jittery", "others run before and after the step", linearizable, func(c *cluster) {
		yields := func(r *request) {
			for range r.rng().IntN(20) {
				runtime.Gosched()
			}
		}
		c.serve = around(yields, yields)
	}},
	{"reads-the-clock-early", "the clock is read before the lock is waited for", "each attempt reads its clock exactly once; the reading is within ε of true time during the call", func(c *cluster) { c.early = true }},
	{"reads-the-clock-always", "operations that need no clock read it too", "what is read and not used changes nothing", func(c *cluster) {
		c.serve = around(func(r *request) { r.clock.Now() }, nothing)
	}},
	{"retries", "every third attempt conflicts and is made again, with a reading of its own", "each attempt of an operation reads its clock exactly once", func(c *cluster) {
		c.step = func(r *request) op.Result {
			for r.rng().IntN(3) == 0 {
				r.now = r.clock.Now()
			}
			return r.attempt()
		}
	}},
	{"optimistic", "the step is decided outside the lock and made again when what it saw has changed", linearizable, func(c *cluster) { c.serve = optimistic }},
	{"tries-once", "the step is decided outside the lock and given up when what it saw has changed", "ErrUnavailable: nothing happened", func(c *cluster) { c.serve = triesOnce }},
	{"served-elsewhere", "calls are served one at a time by other goroutines than the callers'", linearizable, servedElsewhere},
	{"reordering", "calls that wait are served last come, first served", "nothing is promised about the order of operations under way", func(c *cluster) { c.serve = newStack().serve }},
	{"impatient", "a wait for the lock ends with the caller's context", "a context's error says that nothing happened", func(c *cluster) { c.serve = impatient }},
	{"looks-at-the-context-last", "the context is looked at once more right before the step", "a context's error says that nothing happened", func(c *cluster) {
		c.step = func(r *request) op.Result {
			if err := r.ctx.Err(); err != nil {
				return op.Failed(err)
			}
			return r.attempt()
		}
	}},
	{"remembers-the-last-holder", "a release under the token of a released record is refused to those who never held it", "a release under its token by a node that never held it may be refused with ErrNotHeld", func(c *cluster) {
		c.step = refusingStrangers(func(*request) bool { return true })
	}},
	{"forgets-now-and-then", "such a release is refused sometimes", "may succeed as a no-op or be refused; both are right", func(c *cluster) {
		c.step = refusingStrangers(func(r *request) bool { return r.rng().IntN(2) == 0 })
	}},
}

func nothing(*request) {}

// around serves a call with something before and after it.
func around(before, after func(*request)) func(*request) op.Result {
	return func(r *request) op.Result {
		before(r)
		answer := r.serve()
		after(r)
		return answer
	}
}

// optimistic decides by what it saw and applies only if that is still so.
func optimistic(r *request) op.Result { return r.optimistic(true) }

// triesOnce applies nothing where optimistic begins again.
func triesOnce(r *request) op.Result { return r.optimistic(false) }

func (r *request) optimistic(again bool) op.Result {
	if !r.call.Kind.Mutates() || r.call.Kind == op.RenewBatch || r.call.Validate() != nil {
		return r.serve()
	}
	answer, _ := r.serveFrom(r.store().View(&r.call), again)
	return answer
}

// serveFrom prepares the call from what was seen, and prepares it again, if it may, while
// something else is there when it is to be made. It returns what is there then too.
func (r *request) serveFrom(seen reference.View, again bool) (op.Result, reference.View) {
	for {
		r.now = r.clock.Now()
		runtime.Gosched() // the transaction is prepared
		r.at("asked")
		r.mu.Lock()
		err := r.refused()
		if there := r.store().View(&r.call); err == nil && there != seen {
			r.mu.Unlock()
			if !again {
				return op.Failed(fmt.Errorf("%w: something else is there", registry.ErrUnavailable)), there
			}
			seen = there
			continue
		}
		answer := op.Failed(err)
		if err == nil {
			answer = r.step(r)
		}
		seen = r.store().View(&r.call)
		r.mu.Unlock()
		r.at("done")
		return answer, seen
	}
}

// servedElsewhere hands every call over to a goroutine, of which one works at a
// time. A call of a batch is one of several.
func servedElsewhere(c *cluster) {
	var one sync.Mutex
	c.serve = func(r *request) op.Result {
		if r.call.Kind == op.Watch || r.call.Kind == op.RenewBatch || r.yield != nil {
			return r.serve() // these wait, or consist of others
		}
		answer := make(chan op.Result)
		go func() {
			one.Lock()
			defer one.Unlock()
			answer <- r.serve()
		}()
		return <-answer
	}
}

// stack serves those that wait in the opposite order.
type stack struct {
	mu      sync.Mutex
	busy    bool
	waiting []chan struct{}
}

func newStack() *stack { return new(stack) }

func (s *stack) serve(r *request) op.Result {
	if r.call.Kind == op.Watch || r.call.Kind == op.RenewBatch || r.yield != nil {
		return r.serve()
	}
	s.mu.Lock()
	for s.busy {
		turn := make(chan struct{})
		s.waiting = append(s.waiting, turn)
		s.mu.Unlock()
		<-turn
		s.mu.Lock()
	}
	s.busy = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy = false
		if n := len(s.waiting); n > 0 {
			close(s.waiting[n-1])
			s.waiting = s.waiting[:n-1]
		}
	}()
	return r.serve()
}

// impatient waits for a lock until the context ends.
func impatient(r *request) op.Result {
	if r.call.Kind == op.Watch || r.call.Kind == op.RenewBatch || r.call.Kind == op.Close || r.call.Validate() != nil || r.yield != nil {
		return r.serve()
	}
	r.mu.Lock()
	closed := r.closed // precedes the context, and does not wait
	r.mu.Unlock()
	if closed {
		return op.Failed(registry.ErrClosed)
	}
	select {
	case r.lock <- struct{}{}:
		defer func() { <-r.lock }()
		return r.serve()
	case <-r.ctx.Done():
		return op.Failed(r.ctx.Err())
	}
}

// refusingStrangers refuses some releases of a released record to those who did
// not release it.
func refusingStrangers(refuses func(*request) bool) func(*request) op.Result {
	return func(r *request) op.Result {
		found := r.store().View(&r.call).Record
		last, known := r.released[r.call.Actor]
		if r.call.Kind == op.Release && known && !found.Held() && found.Token == r.call.Token && last != r.call.Node && refuses(r) {
			return op.Failed(&registry.Refusal{Reason: registry.ErrNotHeld, Placement: found})
		}
		return r.attempt()
	}
}

// withoutContext serves a call whose context is looked at in the beginning only.
func (r *request) withoutContext() op.Result {
	if r.call.Kind != op.Watch && r.ctx.Err() == nil {
		free := *r
		free.ctx = context.WithoutCancel(r.ctx)
		return free.serve()
	}
	return r.serve()
}

// answering changes what is told of a refusal.
func answering(tell func(r *request, refusal *registry.Refusal)) func(*cluster) {
	return func(c *cluster) {
		c.answer = func(r *request, a *op.Result) {
			if refusal := new(registry.Refusal); errors.As(a.Err, &refusal) {
				told := *refusal
				tell(r, &told)
				*a = op.Failed(&told)
			}
		}
	}
}

// wrapping changes how an error is passed on.
func wrapping(wrap func(error) error) func(*cluster) {
	return func(c *cluster) {
		c.answer = func(_ *request, a *op.Result) {
			if a.Err != nil {
				*a = op.Failed(wrap(a.Err))
			}
		}
	}
}

const details = "a refusal's details are true or absent"

// Peculiarities of what is answered.
var answers = []Variant{
	{"tells-the-holders-registration", "ErrHeld carries the registration of the holder", "with ErrHeld, Node may be of the holder; its ID says whose", func(c *cluster) {
		c.step = tellingNode(op.Claim, func(_ *request, found registry.Placement) registry.NodeID { return found.Holder.ID })
	}},
	{"tells-the-claimers-registration", "ErrHeld carries the registration of the node that claims", "Node may be the registration of the node asked for", func(c *cluster) {
		c.step = tellingNode(op.Claim, func(r *request, _ registry.Placement) registry.NodeID { return r.call.Node.ID })
	}},
	{"tells-the-presenters-registration", "a transfer that is refused for its tenure carries the registration of the node that presents it", "Node may be the registration of a node that the call names", func(c *cluster) {
		c.step = tellingNode(op.Transfer, func(r *request, _ registry.Placement) registry.NodeID { return r.call.Node.ID })
	}},
	{"mismatch-without-detail", "a handle with other time bounds is refused by the bare error", "errors match with errors.Is; details may be absent", func(c *cluster) {
		c.refuses = func(err error) error {
			if errors.Is(err, registry.ErrConfigMismatch) {
				return registry.ErrConfigMismatch
			}
			return err
		}
	}},
	{"tells-the-placement-always", "a refusal of a node carries the placement of the actor too", details, func(c *cluster) {
		c.step = func(r *request) op.Result {
			answer := r.attempt()
			found := r.store().View(&r.call).Record // a refusal left it as it was
			if refusal := new(registry.Refusal); errors.As(answer.Err, &refusal) && !r.call.Kind.OfNode() && found.Version > 0 {
				refusal.Placement = found
				answer = op.Failed(refusal)
			}
			return answer
		}
	}},
	{"tells-no-time", "a refusal does not tell its reading", "0 where the backend does not tell", answering(func(_ *request, f *registry.Refusal) { f.Now = 0 })},
	{"tells-little", "a refusal tells its reason, and the placement with ErrHeld", details, answering(func(_ *request, f *registry.Refusal) {
		f.Now, f.Node = 0, registry.Node{}
		if f.Reason != registry.ErrHeld {
			f.Placement = registry.Placement{}
		}
	})},
	{"tells-no-registration", "a refusal of a node does not carry its registration", details, answering(func(_ *request, f *registry.Refusal) { f.Node = registry.Node{} })},
	{"bare-sentinels", "refusals other than ErrHeld are the bare errors", "errors match with errors.Is; details may be absent", func(c *cluster) {
		c.answer = func(_ *request, a *op.Result) {
			if a.Outcome == op.Refused && a.Reason != op.Held {
				*a = op.Failed(a.Reason.Err())
			}
		}
	}},
	{"wrapped-deeply", "errors are wrapped five times", "errors match with errors.Is and carry details with errors.As", wrapping(func(err error) error {
		for i := range 5 {
			err = fmt.Errorf("layer %d: %w", i, err)
		}
		return err
	})},
	{"joined-errors", "errors stand beside others of the backend's own", "errors match with errors.Is and carry details with errors.As", wrapping(func(err error) error {
		return fmt.Errorf("request 17: %w", errors.Join(io.ErrUnexpectedEOF, err, errors.New("and the log could not be written")))
	})},
	{"joined-last", "the contract's error is the last of several", "errors match with errors.Is and carry details with errors.As", wrapping(func(err error) error {
		return errors.Join(errors.New("shard 3"), fmt.Errorf("replica 2: %w", err))
	})},
	{"reasons-wrapped", "the reason of a refusal is an error of the backend's own that wraps the contract's", "errors match with errors.Is", answering(func(_ *request, f *registry.Refusal) {
		f.Reason = fmt.Errorf("rule 7: %w", f.Reason)
	})},
	{"context-error-is-unavailable", "a context's error matches ErrUnavailable too", "a context's error beside ErrUnavailable is allowed: both say that nothing happened", wrapping(func(err error) error {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
		}
		return err
	})},
	{"absent-actor-named", "a lookup that finds nothing returns the actor's name", "the rest of its answer means nothing", func(c *cluster) {
		c.answer = func(r *request, a *op.Result) {
			if r.call.Kind == op.Lookup && a.Err == nil && !a.Found {
				a.Record = registry.Placement{Actor: r.call.Actor, Expiry: 17}
			}
		}
	}},
	{"absent-node-named", "a GetNode that finds nothing returns the id", "the rest of its answer means nothing", func(c *cluster) {
		c.answer = func(r *request, a *op.Result) {
			if r.call.Kind == op.GetNode && a.Err == nil && !a.Found {
				a.Node = registry.Node{Ref: r.call.Node, Status: registry.NodeLeft}
			}
		}
	}},
}

// ofTenure are the reasons to refuse a call that has nothing to do with a registration.
var ofTenure = []error{registry.ErrHeld, registry.ErrFenced, registry.ErrNotHeld, registry.ErrLapsed}

// tellingNode adds a registration, as it was at that step, to what refuses a call of the
// kind for the tenure.
func tellingNode(kind op.Kind, whose func(r *request, found registry.Placement) registry.NodeID) func(*request) op.Result {
	return func(r *request) op.Result {
		answer := r.attempt()
		refusal := new(registry.Refusal)
		if r.call.Kind == kind && errors.As(answer.Err, &refusal) && slices.Contains(ofTenure, refusal.Reason) {
			id := whose(r, refusal.Placement)
			refusal.Node = r.store().View(&op.Call{Kind: op.GetNode, Node: registry.NodeRef{ID: id}}).Member
			answer = op.Failed(refusal)
		}
		return answer
	}
}

const anyOrder = "one result per lease, in the slice's order; the renewals happen in any order, each atomic"

// ordered renews the leases of a batch in the order that permute makes of theirs.
func ordered(permute func(r *request, order []int)) func(*cluster) {
	return func(c *cluster) {
		c.batch = func(r *request) op.Result {
			order := make([]int, len(r.call.Leases))
			for i := range order {
				order[i] = i
			}
			permute(r, order)
			return r.renewEach(order)
		}
	}
}

func shuffle(r *request, order []int) {
	r.rng().Shuffle(len(order), func(i, k int) { order[i], order[k] = order[k], order[i] })
}

// Peculiarities of batches.
var batches = []Variant{
	{"batch-backwards", "a batch begins with its last lease", anyOrder, ordered(func(_ *request, order []int) { slices.Reverse(order) })},
	{"batch-shuffled", "a batch is renewed in random order", anyOrder, ordered(shuffle)},
	{"batch-by-actor", "a batch is sorted by actor, backwards", anyOrder, ordered(func(r *request, order []int) {
		slices.SortFunc(order, func(i, k int) int {
			return cmp.Or(strings.Compare(r.call.Leases[k].Actor.Name, r.call.Leases[i].Actor.Name), k-i)
		})
	})},
	{"batch-in-parallel", "the leases of a batch are renewed at the same time", anyOrder, func(c *cluster) {
		c.batch = func(r *request) op.Result {
			results := op.Result{Outcome: op.OK, Renewals: make([]op.Result, len(r.call.Leases))}
			var all sync.WaitGroup
			for i, l := range r.call.Leases {
				all.Go(func() { results.Renewals[i] = r.other(op.OnLease(op.Renew, l)) })
			}
			all.Wait()
			return results
		}
	}},
	{"batch-partly-unavailable", "one of five renewals of a batch is unavailable", "each result may be any that Renew may give", batchInTrouble(trouble{unavailable: 0.2}, nil)},
	{"batch-partly-settled", "one of five answers or requests within a batch is lost", "each result may be any that Renew may give, unknown outcomes included", batchInTrouble(trouble{lostAnswer: 0.1, lostRequest: 0.1}, nil)},
	{"batch-partly-late", "one of ten renewals of a batch applies later", "each result may be any that Renew may give, unknown outcomes included", batchInTrouble(trouble{late: 0.1}, nil)},
	{"batch-in-trouble-shuffled", "all of that, in random order", "each result may be any that Renew may give, unknown outcomes included", batchInTrouble(mixed(0.3), shuffle)},
	{"closed-known-by-the-store", "one of four renewals of a batch gets lost on its way, through a closed handle too", "each result may be any that Renew may give, unknown outcomes included", func(c *cluster) {
		c.batch = func(r *request) op.Result {
			results := op.Result{Outcome: op.OK}
			for _, l := range r.call.Leases {
				one := op.OnLease(op.Renew, l)
				if one.Validate() == nil && r.ctx.Err() == nil && r.rng().IntN(4) == 0 {
					results.Renewals = append(results.Renewals, op.Failed(&registry.AmbiguousError{Cause: errNetwork}))
					continue
				}
				results.Renewals = append(results.Renewals, r.other(one))
			}
			return results
		}
	}},
	{"batch-given-up", "every tenth renewal of a batch is unavailable, and what comes after it is not tried", "each result may be any that Renew may give", func(c *cluster) {
		var tried atomic.Uint64
		c.batch = func(r *request) op.Result {
			results, up := op.Result{Outcome: op.OK}, false
			for _, l := range r.call.Leases {
				one := &request{handle: r.handle, ctx: r.ctx, call: op.OnLease(op.Renew, l)}
				_, _, err := one.seen()
				up = up || err == nil && tried.Add(1)%10 == 0
				switch {
				case err != nil:
					results.Renewals = append(results.Renewals, op.Failed(err))
				case up:
					results.Renewals = append(results.Renewals, op.Failed(registry.ErrUnavailable))
				default:
					results.Renewals = append(results.Renewals, r.serveAs(one))
				}
			}
			return results
		}
	}},
	{"no-batch", "there are no batches", "BatchRenewer is optional", func(c *cluster) { c.powers.Batch = false }},
}

// batchInTrouble is a store whose batches alone are in trouble.
func batchInTrouble(t trouble, permute func(*request, []int)) func(*cluster) {
	return func(c *cluster) {
		if permute != nil {
			ordered(permute)(c)
		}
		whole := c.batch
		c.batch = func(r *request) op.Result {
			r.mu.Lock()
			r.cluster.own = t
			r.mu.Unlock()
			defer func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.cluster.own = trouble{}
			}()
			return whole(r)
		}
	}
}

// Peculiarities of listings.
const backendsOrder = "a page at a time in an order of the backend's choice that is the same for every page"

var listings = []Variant{
	{"listed-backwards", "rows come in descending order", backendsOrder, paged(func(a, b string) int { return strings.Compare(b, a) }, fullPages)},
	{"listed-by-hash", "rows come in the order of a hash", backendsOrder, paged(func(a, b string) int { return cmp.Or(cmp.Compare(hash(a), hash(b)), strings.Compare(a, b)) }, fullPages)},
	{"short-pages", "a page has half of the rows that were asked for", "at most the limit; the cursor says whether there is more", paged(strings.Compare, func(_ *request, limit int) int { return (limit + 1) / 2 })},
	{"row-by-row", "a page has one row", "at most the limit; the cursor says whether there is more", paged(strings.Compare, func(*request, int) int { return 1 })},
	{"nodes-filtered-after-the-limit", "a page looks at as many nodes as the limit says, and has those of the status asked for", "at most the limit; the listing ends with the cursor, not with an empty page", func(c *cluster) {
		paged(strings.Compare, fullPages)(c)
		read := c.read
		c.read = func(r *request) op.Result {
			status := r.call.Status
			r.call.Status = registry.AnyStatus
			answer := read(r)
			r.call.Status = status
			answer.Nodes = slices.DeleteFunc(answer.Nodes, func(n registry.Node) bool { return status != registry.AnyStatus && n.Status != status })
			return answer
		}
	}},
	{"empty-pages", "some pages in the middle are empty", "the listing ends with the cursor, not with an empty page", paged(strings.Compare, func(r *request, limit int) int { return r.rng().IntN(limit + 1) })},
}

func fullPages(_ *request, limit int) int { return limit }

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}

// paged lists in another order and in pages of another size. Its cursors are
// opaque: the last key of the page, and how many pages there were, encoded.
func paged(compare func(a, b string) int, size func(r *request, limit int) int) func(*cluster) {
	return func(c *cluster) {
		c.read = func(r *request) op.Result {
			if !r.call.Kind.Lists() {
				return r.look()
			}
			after, pages, err := decodeCursor(r.call.Page.After)
			if err != nil {
				return op.Failed(&registry.InvalidError{Field: "cursor", Problem: "is none of a listing's"})
			}
			all := r.whole()
			if all.Err != nil {
				return all
			}
			slices.SortFunc(all.Actors, func(a, b registry.Placement) int { return compare(actorKey(a), actorKey(b)) })
			slices.SortFunc(all.Nodes, func(a, b registry.Node) int { return compare(nodeKey(a), nodeKey(b)) })
			limit := size(r, r.call.Page.Rows())
			answer := op.Result{Outcome: op.OK}
			answer.Actors, answer.Next = page(all.Actors, actorKey, compare, after, pages, limit)
			if r.call.Kind == op.ListNodes {
				answer.Nodes, answer.Next = page(all.Nodes, nodeKey, compare, after, pages, limit)
			}
			return answer
		}
	}
}

func actorKey(p registry.Placement) string { return p.Actor.Namespace + "\x00" + p.Actor.Name }
func nodeKey(n registry.Node) string       { return string(n.Ref.ID) }

// page cuts out the rows after a key.
func page[T any](rows []T, key func(T) string, compare func(a, b string) int, after string, pages, limit int) ([]T, registry.Cursor) {
	rows = slices.DeleteFunc(rows, func(r T) bool { return after != "" && compare(key(r), after) <= 0 })
	if len(rows) <= limit {
		return rows, ""
	}
	if limit > 0 {
		after = key(rows[limit-1])
	}
	return rows[:limit], registry.Cursor(base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(pages+1) + "\x01" + after)))
}

func decodeCursor(c registry.Cursor) (after string, pages int, err error) {
	if c == "" {
		return "", 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(string(c))
	count, after, _ := strings.Cut(string(text), "\x01")
	if err == nil {
		pages, err = strconv.Atoi(count)
	}
	return after, pages, err
}

// whole reads the whole listing at one instant.
func (r *request) whole() op.Result {
	all := op.Result{Outcome: op.OK}
	part := *r
	part.call.Page = registry.Page{Limit: registry.MaxPageLimit}
	for {
		answer := part.look()
		if answer.Err != nil {
			return answer
		}
		all.Actors, all.Nodes = append(all.Actors, answer.Actors...), append(all.Nodes, answer.Nodes...)
		if answer.Next == "" {
			return all
		}
		part.call.Page.After = answer.Next
	}
}

// Peculiarities of watches.
var watches = []Variant{
	{"polling-watch", "a watch looks at the record now and then", "it may miss intermediate versions, never the last one", func(c *cluster) {
		c.watch = func(r *request) op.Result {
			for {
				found, _, err := r.seen()
				if err != nil || found.Version != r.call.Seen {
					return op.Result{Outcome: op.OK, Record: found, Err: err}
				}
				select {
				case <-time.After(200 * time.Microsecond):
				case <-r.ctx.Done():
				}
			}
		}
	}},
	{"watch-tells-the-first-change", "a watch tells the first change that came, whatever came after it", "it returns the record as soon as its version differs from the one seen", tellingTheFirst},
	{"late-watch", "a watch that is woken waits a moment for further changes", "it may miss intermediate versions, never the last one", func(c *cluster) {
		c.watch = func(r *request) op.Result {
			answer := r.wait()
			if answer.Err != nil {
				return answer
			}
			time.Sleep(300 * time.Microsecond)
			found, _, err := r.seen()
			if err != nil {
				return answer
			}
			return op.Result{Outcome: op.OK, Record: found}
		}
	}},
	{"watch-now-and-then-unavailable", "one of ten watches fails", "it fails with the context's error, ErrClosed or ErrUnavailable", func(c *cluster) {
		c.watch = func(r *request) op.Result {
			if r.rng().IntN(10) == 0 {
				if _, _, err := r.seen(); err != nil {
					return op.Failed(err)
				}
				return op.Failed(registry.ErrUnavailable)
			}
			return r.wait()
		}
	}},
	{"watch-now-and-then-too-late", "one of ten watches fails, and a deadline of the store's own is the cause", "a context's error beside ErrUnavailable as its cause is allowed", func(c *cluster) {
		c.watch = func(r *request) op.Result {
			if r.rng().IntN(10) == 0 {
				if _, _, err := r.seen(); err != nil {
					return op.Failed(err)
				}
				return op.Failed(errors.Join(registry.ErrUnavailable, context.DeadlineExceeded))
			}
			return r.wait()
		}
	}},
	{"no-watch", "there are no watches", "Watcher is optional", func(c *cluster) { c.powers.Watch = false }},
}

// tellingTheFirst has a change delivered to those who watch when it is made.
func tellingTheFirst(c *cluster) {
	waiting := map[*request]chan registry.Placement{} // guarded by mu
	c.applied = func(r *request) {
		now := r.store().View(&r.call).Record
		for w, told := range waiting {
			if !r.call.Kind.OfNode() && w.call.Actor == r.call.Actor && w.call.Seen != now.Version {
				told <- now
				delete(waiting, w)
			}
		}
	}
	c.watch = func(r *request) op.Result {
		if err := r.call.Validate(); err != nil {
			return op.Failed(err)
		}
		told := make(chan registry.Placement, 1)
		for begun := false; ; begun = true {
			r.mu.Lock()
			err, now, changed := r.refused(), r.store().View(&r.call).Record, r.changed
			switch {
			case len(told) > 0:
				now, err = <-told, nil
			case err != nil, now.Version != r.call.Seen:
				delete(waiting, r)
			case !begun:
				waiting[r] = told
			}
			r.mu.Unlock()
			switch {
			case err != nil:
				return op.Failed(err)
			case now.Version != r.call.Seen:
				return op.Result{Outcome: op.OK, Record: now}
			}
			select {
			case <-changed:
			case <-r.ctx.Done():
			}
		}
	}
}

// Peculiarities of beginnings and ends.
var ends = []Variant{
	{"slow-restart", "a restart takes a while", "nothing is promised about how long", func(c *cluster) {
		c.restart = func() { time.Sleep(2 * time.Millisecond) }
	}},
	{"closes-what-is-under-way", "calls that have not taken effect when the handle is closed fail with ErrClosed", "operations in flight may fail with ErrClosed", func(c *cluster) {
		c.step = func(r *request) op.Result {
			if r.closed {
				return op.Failed(registry.ErrClosed)
			}
			return r.attempt()
		}
		c.serve = around(func(r *request) { runtime.Gosched() }, nothing)
	}},
	{"closed-at-the-second-try", "the first Close of every handle fails, and it goes on", "any method may fail with ErrUnavailable: nothing happened", func(c *cluster) {
		var asked sync.Map // handles
		c.serve = func(r *request) op.Result {
			if _, before := asked.Load(r.handle); r.call.Kind == op.Close && !before {
				asked.Store(r.handle, true)
				return op.Failed(registry.ErrUnavailable)
			}
			return r.serve()
		}
	}},
	{"finishes-what-is-under-way", "Close waits for the calls under way", "operations in flight may fail with ErrClosed, and need not", func(c *cluster) {
		var under sync.RWMutex
		c.serve = func(r *request) op.Result {
			switch {
			case r.yield != nil || r.call.Kind == op.Watch || r.call.Kind == op.RenewBatch:
			case r.call.Kind == op.Close:
				under.Lock()
				defer under.Unlock()
			default:
				under.RLock()
				defer under.RUnlock()
			}
			return r.serve()
		}
	}},
	{"answers-after-close-unknown", "an answer that arrives after Close is told as unknown and settled", "operations in flight may end with any error that is true; ErrAmbiguous says that it may have happened", func(c *cluster) {
		c.serve = func(r *request) op.Result {
			answer := r.serve()
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.closed && answer.Err == nil && r.call.Kind.Mutates() && r.call.Kind != op.RenewBatch {
				return op.Failed(&registry.AmbiguousError{Cause: errors.New("the connection was closed")})
			}
			return answer
		}
	}},
	{"contexts-only-at-the-beginning", "a context is not looked at once the call has begun", "a context that ends during a call need not end it", func(c *cluster) {
		c.serve = func(r *request) op.Result { return r.withoutContext() }
	}},
	{"left-behind", "when the caller's context ends, the call goes on and is told as one that may still apply", "may still apply: it can yet take effect", func(c *cluster) {
		c.serve = func(r *request) op.Result {
			if !r.call.Kind.Mutates() || r.call.Kind == op.RenewBatch || r.yield != nil || r.ctx.Err() != nil {
				return r.serve()
			}
			done := make(chan op.Result, 1)
			go func() { done <- r.withoutContext() }()
			select {
			case answer := <-done:
				return answer
			case <-r.ctx.Done():
				return op.Failed(&registry.AmbiguousError{MayStillApply: true, Cause: r.ctx.Err()})
			}
		}
	}},
	{"gone-callers-are-told-settled", "an effect whose caller's context has ended meanwhile is told as unknown and settled", "ErrAmbiguous may match the context's error as its cause", func(c *cluster) {
		c.serve = func(r *request) op.Result {
			answer := r.withoutContext()
			if err := r.ctx.Err(); err != nil && answer.Err == nil && r.call.Kind.Mutates() && r.call.Kind != op.RenewBatch {
				return op.Failed(&registry.AmbiguousError{Cause: err})
			}
			return answer
		}
	}},
	{"signed-numbers", "counters are of 63 bits, and the store says so", "what cannot be seeded is answered with errors.ErrUnsupported", func(c *cluster) { c.signed = true }},
	{"no-instances", "a registration does not keep its instance", "instances are optional: nothing is repeated then", noInstances},
	{"no-instances-in-trouble", "a registration does not keep its instance, and one of ten calls fails", "instances are optional; a registration of unknown outcome cannot be repeated then", func(c *cluster) {
		noInstances(c)
		inTrouble(mixed(0.10))(c)
	}},
	{"kept-up-at-the-second-try", "every other restart and every other import is refused", "ErrUnavailable: the store could not be asked, and nothing happened", func(c *cluster) {
		var tries atomic.Uint64
		c.upkeep = func() error {
			if tries.Add(1)%2 == 1 {
				return registry.ErrUnavailable
			}
			return nil
		}
	}},
	{"no-powers", "there are neither batches nor watches", "both are optional", func(c *cluster) { c.powers = op.Powers{} }},
}

func noInstances(c *cluster) {
	c.serve = func(r *request) op.Result {
		r.call.Info.Instance = registry.InstanceID{}
		return r.serve()
	}
}
