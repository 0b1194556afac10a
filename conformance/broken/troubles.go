package broken

import (
	"context"
	"errors"
	"maps"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// Mistakes that show when something goes wrong, and in optional powers.
var troubles = []Variant{
	{
		ID: "M106", Slug: "unavailable-but-applied",
		Section: "faults",
		Title:   "an operation whose answer was lost is reported as ErrUnavailable",
		Doc:     "Contract, section 3: ErrUnavailable says that nothing happened. The claimer forgets a lease that it holds.",
		Breaks:  untold,
		flaw: flaw{methods: each(func(h *handle) retelling {
			return retelling{h, func(err error) error {
				if settled(err) {
					return registry.ErrUnavailable
				}
				return err
			}}
		})},
	},
	{
		ID: "M107", Slug: "timeout-but-applied",
		Section: "faults",
		Title:   "an operation whose answer was lost is reported as the context's error alone",
		Doc:     "Contract, section 3: the context's error is told apart from ambiguous, and without it says that nothing happened.",
		Breaks:  append(rules(conformance.ContextThird), untold...),
		flaw: flaw{methods: each(func(h *handle) retelling {
			return retelling{h, func(err error) error {
				if settled(err) {
					return context.DeadlineExceeded
				}
				return err
			}}
		})},
	},
	{
		ID: "M108", Slug: "late-called-settled",
		Section: "faults",
		Title:   "an operation that may still apply is reported as settled",
		Doc:     "A cancelled commit of FoundationDB can land later; commit_unknown_result cannot. The claimer reads the record, finds nothing, and is placed a moment later.",
		Breaks:  untold,
		flaw: flaw{methods: each(func(h *handle) retelling {
			return retelling{h, func(err error) error {
				if late := new(registry.AmbiguousError); errors.As(err, &late) {
					return &registry.AmbiguousError{Cause: late.Cause}
				}
				return err
			}}
		})},
	},
	{
		ID: "M109", Slug: "success-before-landing",
		Section: "faults",
		Title:   "a release is reported as done before its retry has landed",
		Doc:     "The write goes to a queue that retries, and the caller is told that all is well. The request that was lost never happens at all.",
		Breaks:  untold,
		flaw:    flaw{methods: each(func(h *handle) hopeful { return hopeful{h} })},
	},
	{
		ID: "M110", Slug: "heartbeat-failure-surrenders",
		Section: "faults",
		Title:   "one heartbeat that fails gives up all leases of the node",
		Doc:     "The handle takes an error of its own heartbeat for the end of its membership and cleans up after itself, while the runtime above goes on serving.",
		Breaks:  untold,
		flaw:    flaw{methods: each(func(h *handle) surrendering { return surrendering{h} })},
	},
	{
		ID: "M111", Slug: "released-records-lost",
		Section: "durable",
		Title:   "a restart forgets the records of released actors",
		Doc:     "Contract, section 2: a record is never deleted. The snapshot holds the placements in force only, so that tokens start again at 1.",
		Breaks:  rules(conformance.Durability, conformance.TokenMonotonic),
		flaw: flaw{methods: atCrash(func(s *store) {
			for key, r := range s.records {
				if !r.Held() {
					delete(s.records, key)
				}
			}
		})},
	},
	{
		ID: "M112", Slug: "membership-is-volatile",
		Section: "durable",
		Title:   "a restart forgets the nodes, and epochs start again at 1",
		Doc:     "Contract, section 4, 7: epochs never go back. The actors were thought to be the state, the nodes would come back by themselves.",
		Breaks:  rules(conformance.Durability, conformance.EpochFresh),
		flaw:    flaw{methods: atCrash(func(s *store) { clear(s.nodes) })},
	},
	{
		ID: "M113", Slug: "renewals-not-synced",
		Section: "durable",
		Title:   "a restart loses the last renewal of a lease",
		Doc:     "Contract, section 4, 7: whatever was acknowledged survives. Renewals are many and were written without waiting for the disk.",
		Breaks:  rules(conformance.Durability, conformance.SingleActivation, conformance.VersionBump),
		flaw: flaw{methods: func(s *store) opener {
			onDisk := map[string]registry.Placement{}
			s.crash = func() {
				for key, r := range onDisk {
					if s.records[key].Version == r.Version+1 {
						s.records[key] = r
					}
				}
			}
			return func(h *handle) registry.Handle { return unsynced{h, onDisk} }
		}},
	},
	{
		ID: "M114", Slug: "batch-stops-at-failure",
		Section: "contract",
		Title:   "a batch of renewals ends at the first refusal",
		Doc:     "Contract, BatchRenewer: each lease is renewed as Renew would. One fenced lease costs the node all that come after it.",
		Breaks:  rules(conformance.BatchAsSingle),
		flaw:    flaw{methods: each(func(h *handle) faintHearted { return faintHearted{h} })},
	},
	{
		ID: "M115", Slug: "batch-without-failures",
		Section: "contract",
		Title:   "a batch of renewals returns the renewed leases only",
		Doc:     "Contract, BatchRenewer: one result per lease, in order. The caller attributes the results by place and keeps a lease it has lost.",
		Breaks:  rules(conformance.BatchAsSingle),
		flaw:    flaw{methods: each(func(h *handle) condensed { return condensed{h} })},
	},
	{
		ID: "M116", Slug: "watch-waits-for-the-next",
		Section: "contract",
		Title:   "a watch waits for the next change even when the version differs already",
		Doc:     "Contract, Watcher: at once when it already does. The change between the read and the watch is missed.",
		Breaks:  rules(conformance.WatchWakes),
		flaw:    flaw{methods: each(func(h *handle) lateWatcher { return lateWatcher{h} })},
	},
	{
		ID: "M117", Slug: "watch-misses-releases",
		Section: "contract",
		Title:   "a watch does not wake for a release",
		Doc:     "Contract, Watcher: the last version is never missed. Those who wait for the actor wait for the very change that is not told.",
		Breaks:  rules(conformance.WatchWakes),
		flaw:    flaw{methods: each(func(h *handle) holderWatcher { return holderWatcher{h} })},
	},
	{
		ID: "M118", Slug: "declares-what-it-lacks",
		Section: "contract",
		Title:   "the backend declares batches and watches that it does not have",
		Doc:     "F14 by declaration: without a look at what is there, everything that the sections skip would count as promised and kept.",
		Breaks:  rules(conformance.Declared),
		flaw: flaw{
			methods:  each(func(h *handle) bare { return bare{h} }),
			declares: conformance.Capabilities(),
		},
	},
	{
		ID: "M119", Slug: "answers-before-sync",
		Section: "durable",
		Title:   "a write is answered when it is queued for the disk",
		Doc:     "Contract, section 4, 7: whatever was acknowledged survives. The disk is synced every few writes, for throughput, and nobody waits for it.",
		Breaks:  rules(conformance.Durability, conformance.TokenMonotonic, conformance.EpochFresh, conformance.VersionBump),
		flaw: flaw{methods: func(s *store) opener {
			queue := &writeBehind{synced: newStore(s.cfg, s.do)}
			s.crash = func() { s.become(queue.synced) }
			return func(h *handle) registry.Handle { return queued{h, queue} }
		}},
	},
	{
		ID: "M120", Slug: "watch-wakes-one",
		Section: "contract",
		Title:   "a change wakes one of those who watch the actor",
		Doc:     "Contract, Watcher: each watch returns. The notification is put into a channel of one place, and the first to come takes it.",
		Breaks:  rules(conformance.WatchWakes),
		flaw: flaw{methods: func(*store) opener {
			taken := map[registry.ActorID]registry.Version{}
			return func(h *handle) registry.Handle { return oneWoken{h, taken} }
		}},
	},
	{
		ID: "M121", Slug: "leaving-takes-the-watch-down",
		Section: "contract",
		Title:   "a watch that is cancelled takes the actor's other watches down with it",
		Doc:     "Contract, Watcher: one caller's context says nothing about another's. The entry that all waiters of an actor share goes with the first of them.",
		Breaks:  rules(conformance.WatchWakes),
		flaw:    flaw{methods: subscribing(whenCancelled)},
	},
	{
		ID: "M122", Slug: "late-leave-takes-the-next-watch",
		Section: "contract",
		Title:   "a watch that was answered unsubscribes when its context ends, by the actor's name",
		Doc:     "Contract, Watcher. The cleanup runs with the caller's deferred cancel, long after the wake-up, and meets the subscription of whoever waits by then.",
		Breaks:  rules(conformance.WatchWakes),
		flaw:    flaw{methods: subscribing(onceAnswered)},
	},
}

// settled reports whether err says that the outcome is unknown but decided.
func settled(err error) bool {
	a := new(registry.AmbiguousError)
	return errors.As(err, &a) && !a.MayStillApply
}

// retelling passes the errors of mutating operations through retell.
type retelling struct {
	*handle
	retell func(error) error
}

func (h retelling) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	l, err := h.handle.Claim(ctx, actor, node, id)
	return l, h.retell(err)
}

func (h retelling) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	l, err := h.handle.Renew(ctx, held)
	return l, h.retell(err)
}

func (h retelling) Release(ctx context.Context, held registry.Lease) error {
	return h.retell(h.handle.Release(ctx, held))
}

func (h retelling) Transfer(ctx context.Context, held registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	l, err := h.handle.Transfer(ctx, held, to)
	return l, h.retell(err)
}

type hopeful struct{ *handle }

func (h hopeful) Release(ctx context.Context, held registry.Lease) error {
	err := h.handle.Release(ctx, held)
	if again(err) {
		return nil
	}
	return err
}

type surrendering struct{ *handle }

func (h surrendering) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	err := h.handle.Heartbeat(ctx, node)
	if again(err) || errors.Is(err, registry.ErrUnavailable) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.free(node)
	}
	return err
}

// unsynced renews in memory only. onDisk is guarded by the store's mutex.
type unsynced struct {
	*handle
	onDisk map[string]registry.Placement // what was there before the last renewal
}

func (h unsynced) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	var l registry.Lease
	err := h.mutate(ctx, []argument{held}, func(c registry.Instant) error {
		before := h.record(held.Actor)
		err := h.renew(&l, held, c)
		if err == nil {
			h.onDisk[h.do.key(held.Actor)] = before
		}
		return err
	})
	return answer(&l, err)
}

// writeBehind is what a disk holds that is synced every few writes. It is guarded
// by the store's mutex.
type writeBehind struct {
	synced *store
	writes int
}

const syncEvery = 3

// become makes the state of s that of another store. The mutex of s is held.
func (s *store) become(other *store) {
	s.forget()
	for _, r := range other.records {
		s.put(r)
	}
	maps.Copy(s.nodes, other.nodes)
}

// queued writes in memory, and now and then to the disk.
type queued struct {
	*handle
	disk *writeBehind
}

// wrote counts a call that may have written.
func (h queued) wrote() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.disk.writes++; h.disk.writes%syncEvery == 0 {
		h.disk.synced.become(h.store)
	}
}

func (h queued) Claim(ctx context.Context, actor registry.ActorID, node registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	defer h.wrote()
	return h.handle.Claim(ctx, actor, node, id)
}

func (h queued) Renew(ctx context.Context, held registry.Lease) (registry.Lease, error) {
	defer h.wrote()
	return h.handle.Renew(ctx, held)
}

func (h queued) Release(ctx context.Context, held registry.Lease) error {
	defer h.wrote()
	return h.handle.Release(ctx, held)
}

func (h queued) Transfer(ctx context.Context, held registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	defer h.wrote()
	return h.handle.Transfer(ctx, held, to)
}

func (h queued) RegisterNode(ctx context.Context, id registry.NodeID, info registry.NodeInfo, mode registry.RegisterMode) (registry.Node, error) {
	defer h.wrote()
	return h.handle.RegisterNode(ctx, id, info, mode)
}

func (h queued) Heartbeat(ctx context.Context, node registry.NodeRef) error {
	defer h.wrote()
	return h.handle.Heartbeat(ctx, node)
}

type faintHearted struct{ *handle }

func (h faintHearted) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	results := make([]registry.Renewal, len(leases))
	var failed error
	for i, l := range leases {
		if failed == nil {
			results[i].Lease, failed = h.Renew(ctx, l)
		}
		results[i].Err = failed
	}
	return results
}

type condensed struct{ *handle }

func (h condensed) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	var results []registry.Renewal
	for _, r := range h.handle.RenewBatch(ctx, leases) {
		if r.Err == nil {
			results = append(results, r)
		}
	}
	return results
}

type lateWatcher struct{ *handle }

func (h lateWatcher) Watch(ctx context.Context, actor registry.ActorID, _ registry.Version) (registry.Placement, error) {
	p, _, err := h.Lookup(ctx, actor)
	if err != nil {
		return registry.Placement{}, err
	}
	return h.handle.Watch(ctx, actor, p.Version)
}

type holderWatcher struct{ *handle }

func (h holderWatcher) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	for {
		p, err := h.handle.Watch(ctx, actor, seen)
		if err != nil || p.Held() {
			return p, err
		}
		seen = p.Version
	}
}

// oneWoken lets a version wake one watch. taken is guarded by the store's mutex.
type oneWoken struct {
	*handle
	taken map[registry.ActorID]registry.Version
}

func (h oneWoken) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	for waited := false; ; waited = true {
		if err := h.begin(ctx, actor); err != nil {
			return registry.Placement{}, err
		}
		r, changed := h.record(actor), h.changed
		mine := r.Version != seen && (!waited || h.taken[actor] != r.Version)
		if mine && waited {
			h.taken[actor] = r.Version
		}
		h.mu.Unlock()
		if mine {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// subscription is what all who wait for an actor share until its next change.
type subscription struct{ down bool }

// When a watch takes the actor's subscription down that is there by then,
// whosever it is.
type departure int

const (
	whenCancelled departure = iota
	onceAnswered            // when its context ends after that
)

func subscribing(when departure) func(*store) opener {
	return func(*store) opener {
		subs := map[registry.ActorID]*subscription{}
		return func(h *handle) registry.Handle { return subscriber{h, subs, when} }
	}
}

// subscriber watches by subscriptions, which the store's mutex guards.
type subscriber struct {
	*handle
	subs map[registry.ActorID]*subscription
	when departure
}

func (h subscriber) Watch(ctx context.Context, actor registry.ActorID, seen registry.Version) (registry.Placement, error) {
	for {
		if err := h.begin(ctx, actor); err != nil {
			return registry.Placement{}, err
		}
		r, changed, own := h.record(actor), h.changed, h.subs[actor]
		if r.Version == seen && own == nil {
			own = new(subscription)
			h.subs[actor] = own
		}
		h.mu.Unlock()
		if r.Version != seen {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
		if down := h.leave(ctx, actor, seen, own); down {
			<-ctx.Done() // there is nothing left that could wake it
		}
	}
}

// leave ends a wait and reports whether its subscription had been taken down.
func (h subscriber) leave(ctx context.Context, actor registry.ActorID, seen registry.Version, own *subscription) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	woken := h.record(actor).Version != seen
	if woken && h.subs[actor] == own {
		delete(h.subs, actor)
	}
	switch {
	case h.when == whenCancelled && ctx.Err() != nil:
		h.drop(actor)
	case h.when == onceAnswered && woken:
		context.AfterFunc(ctx, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.drop(actor)
		})
	}
	return own.down
}

func (h subscriber) drop(actor registry.ActorID) {
	if s := h.subs[actor]; s != nil {
		s.down = true
		delete(h.subs, actor)
	}
}

// bare has no powers beyond the required ones.
type bare struct{ registry.Handle }
