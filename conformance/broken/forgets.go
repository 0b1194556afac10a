package broken

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// forgetter is how a store forgets above a floor when it is told to: as the
// specification's Purge. A record that nobody will miss goes, and the floor rises
// above it, in one step. Mistakes replace parts of it.
type forgetter struct {
	floor reference.Floor // of the cluster, guarded by its mutex

	may    func(h *handle, r registry.Placement, now registry.Instant) bool // whether a record may go
	raise  func(h *handle, r registry.Placement)                            // the floor, in the step in which r goes
	above  func(h *handle) reference.Floor                                  // what a claim without a record starts from
	ready  func(ctx context.Context, h *handle) error                       // whether a purge may begin, and go on
	begins func(h *handle)                                                  // before the first step of a purge
	pauses func(h *handle)                                                  // before each step
	tells  func(n int) int                                                  // how many it forgot
}

// forgets makes a cluster one that forgets, with a mistake in how it does.
func forgets(mistake func(*cluster, *forgetter)) bend {
	return func(c *cluster) {
		f := &forgetter{
			may: func(h *handle, r registry.Placement, now registry.Instant) bool {
				return reference.PurgeGuard(h.cfg, r, h.nodes[r.Holder.ID].Standing(r.Holder), h.forgets.floor.Over(r.Token, r.Version), now) == reference.Enabled
			},
			raise: func(h *handle, r registry.Placement) { h.forgets.floor = h.forgets.floor.Over(r.Token, r.Version) },
			above: func(h *handle) reference.Floor { return h.forgets.floor },
			ready: func(ctx context.Context, h *handle) error {
				if h.closed {
					return registry.ErrClosed
				}
				return ctx.Err()
			},
			begins: func(*handle) {},
			pauses: func(*handle) {},
			tells:  func(n int) int { return n },
		}
		c.forgets, c.powers = f, op.Powers{}
		mistake(c, f)
	}
}

// Purge implements [registry.Purger].
func (h *handle) Purge(ctx context.Context) (int, error) {
	if h.forgets == nil {
		return 0, &registry.InvalidError{Field: "purge", Problem: "is of a store that forgets nothing"}
	}
	h.mu.Lock()
	err := h.forgets.ready(ctx, h)
	h.forgets.begins(h)
	keys := slices.Collect(maps.Keys(h.records))
	h.mu.Unlock()
	gone := 0
	for i := 0; i < len(keys) && err == nil; i++ {
		var n int
		h.forgets.pauses(h)
		n, err = h.forget(ctx, keys[i])
		gone += n
	}
	return h.forgets.tells(gone), err
}

// forget is the step that forgets one record, if it may. It returns how many are gone.
func (h *handle) forget(ctx context.Context, key string) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.forgets.ready(ctx, h); err != nil {
		return 0, err
	}
	r, found := h.records[key]
	if !found || !h.forgets.may(h, r, h.clock.Now()) {
		return 0, nil
	}
	delete(h.records, key)
	delete(h.held[r.Holder], key)
	h.forgets.raise(h, r)
	h.wake()
	return 1, nil
}

// purging is a handle with its Purger.
type purging struct {
	registry.Handle
	registry.Purger
}

// forgetful is the dialect of all of them.
var forgetful = dialect.Dialect{Forgets: true}

// Mistakes of stores that forget.
var forgetters = []Variant{
	{
		ID: "M301", Slug: "purge-without-floor",
		Section: "purge", speaks: forgetful,
		Title:  "a purge deletes the record and keeps nothing",
		Doc:    "A time to live on every row. The next tenure has token 1 again, as the zombie of the first one has.",
		Breaks: belowTheFloor,
		bends:  forgets(func(_ *cluster, f *forgetter) { f.raise = func(*handle, registry.Placement) {} }),
	},
	{
		ID: "M302", Slug: "floor-raised-late",
		Section: "purge", speaks: forgetful,
		Title:  "the floor is raised after the records were deleted, by the next purge",
		Doc:    "Two steps: a batch is deleted, and the floor is written when the next one begins. A claim in between starts from the floor before.",
		Breaks: append(rules(conformance.Linearizability), belowTheFloor...),
		bends: forgets(func(_ *cluster, f *forgetter) {
			var owed reference.Floor // guarded by the cluster's mutex
			f.raise = func(_ *handle, r registry.Placement) { owed = owed.Over(r.Token, r.Version) }
			f.begins = func(h *handle) { h.forgets.floor = h.forgets.floor.Over(owed.Token, owed.Version) }
		}),
	},
	{
		ID: "M303", Slug: "floor-per-process",
		Section: "purge", speaks: forgetful,
		Title:  "the floor is in the memory of the process that purges",
		Doc:    "A janitor with state of its own. The processes that claim do not know how high the forgotten tokens were.",
		Breaks: belowTheFloor,
		bends: forgets(func(_ *cluster, f *forgetter) {
			floors := map[*handle]reference.Floor{} // guarded by the cluster's mutex
			f.raise = func(h *handle, r registry.Placement) { floors[h] = floors[h].Over(r.Token, r.Version) }
			f.above = func(h *handle) reference.Floor { return floors[h] }
		}),
	},
	{
		ID: "M304", Slug: "floor-of-tokens-alone",
		Section: "purge", speaks: forgetful,
		Title:  "the floor is one of tokens, and versions start again at 1",
		Doc:    "The version seemed to need no floor, since no guard compares it. A watch that waits for another version than 1, and a conditional write in flight, find theirs again.",
		Breaks: rules(conformance.VersionBump, "Claim.granted", conformance.Linearizability),
		bends: forgets(func(_ *cluster, f *forgetter) {
			f.raise = func(h *handle, r registry.Placement) { h.forgets.floor.Token = max(h.forgets.floor.Token, r.Token) }
		}),
	},
	{
		ID: "M305", Slug: "floor-of-versions-alone",
		Section: "purge", speaks: forgetful,
		Title:  "the floor is one of versions, and tokens start again at 1",
		Doc:    "The version counts every mutation, so it seemed to cover the token. It does, if the token is taken from it.",
		Breaks: belowTheFloor,
		bends: forgets(func(_ *cluster, f *forgetter) {
			f.raise = func(h *handle, r registry.Placement) {
				h.forgets.floor.Version = max(h.forgets.floor.Version, r.Version)
			}
		}),
	},
	{
		ID: "M306", Slug: "floor-of-the-last",
		Section: "purge", speaks: forgetful, Case: "many-names",
		Title:  "the floor is what was forgotten last, and not the highest",
		Doc:    "An assignment where a maximum was meant. It shows when a low token goes after a high one.",
		Breaks: belowTheFloor,
		bends: forgets(func(_ *cluster, f *forgetter) {
			f.raise = func(h *handle, r registry.Placement) {
				h.forgets.floor = reference.Floor{Token: r.Token, Version: r.Version}
			}
		}),
	},
	{
		ID: "M307", Slug: "floor-lost-in-restart",
		Section: "purge", speaks: forgetful, Case: "restarts",
		Title:  "the floor is in memory, and a restart finds it at 0",
		Doc:    "The records are on disk and the floor is not: rows that are not there say nothing about how high it was.",
		Breaks: append(rules(conformance.Durability), belowTheFloor...),
		bends: forgets(func(c *cluster, f *forgetter) {
			c.crash = func() { f.floor = reference.Floor{} }
		}),
	},
	{
		ID: "M308", Slug: "purges-whom-it-suspects",
		Section: "purge", speaks: forgetful,
		Title:  "a record whose lease is reclaimable is purged while its node is active",
		Doc:    "The node is only paused. When it comes back it is told that it never held its actors, and not that they lapsed: Purge promises to leave that alone.",
		Breaks: rules(conformance.PurgeSpares),
		bends: forgets(func(_ *cluster, f *forgetter) {
			f.may = purgeable(func(*registry.Config) {})
		}),
	},
	{
		ID: "M309", Slug: "purges-in-grace",
		Section: "purge", speaks: forgetful,
		Title:  "a record is purged at Expiry + 2ε, without grace",
		Doc:    "Its holder may still renew. The renewal is refused, or the actor is claimed by another meanwhile.",
		Breaks: rules(conformance.PurgeSpares, conformance.GraceRespected, conformance.RawLookup, "Renew.granted"),
		bends: forgets(func(_ *cluster, f *forgetter) {
			f.may = goneHolder(f.may, func(cfg *registry.Config) { cfg.Grace = 0 })
		}),
	},
	{
		ID: "M310", Slug: "purges-without-margin",
		Section: "purge", speaks: forgetful,
		Title:  "a record is purged at Expiry + Grace by the purger's clock, without 2ε",
		Doc:    "The purger's clock is ahead and the holder's behind, and the holder still renews.",
		Breaks: rules(conformance.PurgeSpares, conformance.GraceRespected, conformance.RawLookup, "Renew.granted"),
		bends: forgets(func(_ *cluster, f *forgetter) {
			f.may = goneHolder(f.may, func(cfg *registry.Config) { cfg.MaxClockSkew = 0 })
		}),
	},
	{
		ID: "M311", Slug: "renewal-writes-what-was-purged",
		Section: "purge", speaks: forgetful,
		Title:  "a renewal that finds no record writes it anew",
		Doc:    "An upsert. What a purge removed has to go on refusing: the late renewal of a forgotten tenure brings it back to life, under its old token.",
		Breaks: append(rules("Renew.not-held", conformance.PurgeSpares, conformance.SingleActivation, conformance.Linearizability), belowTheFloor...),
		bends:  both(forgets(func(*cluster, *forgetter) {}), ofForgotten(op.Renew)),
	},
	{
		ID: "M312", Slug: "validates-what-was-purged",
		Section: "purge", speaks: forgetful,
		Title:  "a token is valid when there is no record to compare it with",
		Doc:    "Fail open. A zombie writes when its tenure has been forgotten.",
		Breaks: rules(conformance.NoStaleWrite, "Validate.not-held"),
		bends:  both(forgets(func(*cluster, *forgetter) {}), ofForgotten(op.Validate)),
	},
	{
		ID: "M313", Slug: "release-writes-what-was-purged",
		Section: "purge", speaks: forgetful,
		Title:  "a release that finds no record writes a released one under its own token",
		Doc:    "An upsert again. The record that it leaves is below the floor, and the next claim goes on from it.",
		Breaks: append(rules("Release.granted", "Release.not-held", conformance.RawLookup, conformance.Linearizability), belowTheFloor...),
		bends:  both(forgets(func(*cluster, *forgetter) {}), ofForgotten(op.Release)),
	},
	{
		ID: "M314", Slug: "purge-tells-too-much",
		Section: "purge", speaks: forgetful,
		Title:  "Purge tells how many records it looked at",
		Doc:    "Who watches the number takes the store for emptier than it is.",
		Breaks: rules(conformance.PurgeSpares),
		bends: forgets(func(c *cluster, f *forgetter) {
			f.tells = func(n int) int {
				c.mu.Lock()
				defer c.mu.Unlock()
				return n + len(c.records)
			}
		}),
	},
	{
		ID: "M315", Slug: "purged-on-one-replica",
		Section: "purge", speaks: forgetful,
		Title:  "a purge deletes the record where it runs, and every second process reads a replica that still has it",
		Doc:    "A delete without a tombstone: the replica that missed it has the newest row of all. Who was told that there is none finds it again elsewhere.",
		Breaks: rules(conformance.RawLookup, conformance.Linearizability),
		bends: forgets(func(c *cluster, f *forgetter) {
			graves := buried(f)
			inside(func(r *request) op.Result {
				a := r.step()
				if grave, dead := graves[r.key(r.call.Actor)]; dead && !a.Found && slices.Index(r.handles, r.handle)%2 == 1 {
					a.Found, a.Record = true, grave
				}
				return a
			}, op.Lookup)(c)
		}),
	},
	{
		ID: "M316", Slug: "purge-undone-by-restart",
		Section: "purge", speaks: forgetful, Case: "restarts",
		Title:  "the floor is on disk and the deletions are not: a restart finds the records again",
		Doc:    "The log has the rows, and nothing that says that they were purged. What nobody found any more is back, under the old token.",
		Breaks: rules(conformance.Durability, conformance.RawLookup, conformance.Linearizability),
		bends: forgets(func(c *cluster, f *forgetter) {
			graves := buried(f)
			c.crash = func() {
				for key, r := range graves {
					if _, found := c.records[key]; !found {
						c.put(r)
					}
				}
			}
		}),
	},
	{
		ID: "M327", Slug: "purges-the-failed-at-once",
		Section: "purge", speaks: forgetful, Case: "spares",
		Title:  "a record is purged as soon as its holder's node is marked failed",
		Doc:    "The failed are taken for dead. A false suspicion takes their actors away, and the holder still serves.",
		Breaks: rules(conformance.PurgeSpares),
		bends: alsoForgets(func(h *handle, r registry.Placement, _ registry.Instant) bool {
			n := h.nodes[r.Holder.ID]
			return r.Held() && n.Ref == r.Holder && n.Status == registry.NodeFailed
		}),
	},
	{
		ID: "M328", Slug: "purges-what-lapsed-a-day-ago",
		Section: "purge", speaks: forgetful, Case: "spares",
		Title:  "a record is purged a day after its lease has ended, whoever its holder is",
		Doc:    "A time to live on every row, as a second way to be rid of it. As M308, for a node that was paused over night.",
		Breaks: rules(conformance.PurgeSpares),
		bends: alsoForgets(func(_ *handle, r registry.Placement, now registry.Instant) bool {
			return r.Held() && now >= r.Expiry.Add(24*time.Hour)
		}),
	},
	{
		ID: "M329", Slug: "purges-by-the-latest-reading",
		Section: "purge", speaks: forgetful, Case: "spares",
		Title:  "a purge goes by the latest reading that any process has brought",
		Doc:    "Contract, section 3, 22: by the handle's clock. As M62, by a store that keeps a time of its own for its janitor.",
		Breaks: rules(conformance.PurgeSpares),
		bends:  purgesByLatestReading,
	},
	{
		ID: "M330", Slug: "purged-and-still-listed",
		Section: "purge", speaks: forgetful, Case: "spares",
		Title:  "what was purged stays in the listing of its last holder",
		Doc:    "Two places for one row, of which a purge knows one. Whoever drains a node that is gone never comes to an end.",
		Breaks: rules("ListActors.answered", conformance.PagedListing, conformance.Linearizability),
		bends:  stillListed,
	},
	{
		ID: "M331", Slug: "purge-takes-nodes-along",
		Section: "purge", speaks: forgetful, Case: "spares",
		Title:  "a purge also deletes nodes that are failed and hold nothing",
		Doc:    "Contract, section 1, 3: epochs are never reused. Purge forgets records, and no registration: the node that comes back has epoch 1 again.",
		Breaks: rules("GetNode.answered", conformance.EpochFresh),
		bends: forgets(func(_ *cluster, f *forgetter) {
			f.begins = func(h *handle) {
				maps.DeleteFunc(h.nodes, func(_ registry.NodeID, n registry.Node) bool {
					return n.Status == registry.NodeFailed && len(h.held[n.Ref]) == 0
				})
			}
		}),
	},
	{
		ID: "M332", Slug: "floor-of-thirty-two-bits",
		Section: "purge", speaks: forgetful, Case: "seeded-counters",
		Title:  "the floor is kept in 32 bits",
		Doc:    "Tokens have 64 bits everywhere else. A floor that wraps is lower than what it stands for.",
		Breaks: belowTheFloor,
		bends: floorKept(func(f reference.Floor) reference.Floor {
			return reference.Floor{Token: registry.Token(uint32(f.Token)), Version: registry.Version(uint32(f.Version))}
		}),
	},
	{
		ID: "M333", Slug: "floor-as-floating-point",
		Section: "purge", speaks: forgetful, Case: "seeded-counters",
		Title:  "the floor is kept as a floating point number",
		Doc:    "A score of a sorted set. From 2^53 on it is rounded, also to less.",
		Breaks: belowTheFloor,
		bends: floorKept(func(f reference.Floor) reference.Floor {
			return reference.Floor{Token: registry.Token(float64(f.Token)), Version: registry.Version(float64(f.Version))}
		}),
	},
	{
		ID: "M334", Slug: "purges-though-closed",
		Section: "purge", speaks: forgetful, Case: "not-asked",
		Title:  "a purge through a closed handle is carried out",
		Doc:    "Contract, section 3, 23: after Close every operation is ErrClosed. Purge was thought to be the janitor's, and no operation.",
		Breaks: rules(conformance.ClosedSecond),
		bends: forgets(func(_ *cluster, f *forgetter) {
			f.ready = func(ctx context.Context, _ *handle) error { return ctx.Err() }
		}),
	},
	{
		ID: "M335", Slug: "purges-for-whoever-has-gone",
		Section: "purge", speaks: forgetful, Case: "not-asked",
		Title:  "a purge does not look at its context before it begins",
		Doc:    "Contract, section 3, 23: a context that is done at the call ends it, and nothing happens.",
		Breaks: rules(conformance.ContextThird),
		bends: forgets(func(_ *cluster, f *forgetter) {
			ready := f.ready
			f.ready = func(ctx context.Context, h *handle) error { return ready(context.WithoutCancel(ctx), h) }
		}),
	},
	{
		ID: "M336", Slug: "purge-looks-first",
		Section: "purge", speaks: forgetful, Case: "against-claims",
		Title:  "a purge reads what may go, and deletes it then by its name",
		Doc:    "As F2. An actor that is claimed in between is forgotten with its new tenure, and granted to the next who asks.",
		Breaks: append(rules("Claim.held", "Claim.repeated", "Renew.granted", "Release.granted", "Validate.granted", conformance.RawLookup), interleaved...),
		bends:  purgeLooksFirst,
	},
}

// alsoForgets forgets more than it may.
func alsoForgets(also func(*handle, registry.Placement, registry.Instant) bool) bend {
	return forgets(func(_ *cluster, f *forgetter) {
		may := f.may
		f.may = func(h *handle, r registry.Placement, now registry.Instant) bool {
			return may(h, r, now) || also(h, r, now)
		}
	})
}

// floorKept has the floor in another form than it is.
func floorKept(form func(reference.Floor) reference.Floor) bend {
	return forgets(func(_ *cluster, f *forgetter) {
		raise := f.raise
		f.raise = func(h *handle, r registry.Placement) {
			raise(h, r)
			h.forgets.floor = form(h.forgets.floor)
		}
	})
}

func purgesByLatestReading(c *cluster) {
	var latest registry.Instant // guarded by the cluster's mutex
	forgets(func(_ *cluster, f *forgetter) {
		may := f.may
		f.may = func(h *handle, r registry.Placement, now registry.Instant) bool { return may(h, r, max(now, latest)) }
	})(c)
	inside(func(r *request) op.Result {
		latest = max(latest, r.now)
		return r.step()
	}, op.Claim, op.Renew, op.Release, op.Transfer, op.Heartbeat)(c)
}

func stillListed(c *cluster) {
	graves := map[registry.NodeRef][]registry.Placement{} // by the last holder; guarded by the cluster's mutex
	forgets(func(_ *cluster, f *forgetter) {
		raise := f.raise
		f.raise = func(h *handle, r registry.Placement) {
			raise(h, r)
			graves[r.Holder] = append(graves[r.Holder], r)
		}
	})(c)
	inside(func(r *request) op.Result {
		answer := r.step()
		for _, grave := range graves[r.call.Node] {
			if answer.Next == "" && r.record(grave.Actor).Version == 0 {
				answer.Actors = append(answer.Actors, grave)
			}
		}
		return answer
	}, op.ListActors)(c)
}

func purgeLooksFirst(c *cluster) {
	forgets(func(_ *cluster, f *forgetter) {
		seen := map[string]bool{} // guarded by the cluster's mutex
		may := f.may
		f.begins = func(h *handle) {
			for key, r := range h.records {
				seen[key] = may(h, r, h.clock.Now())
			}
		}
		f.pauses = func(h *handle) { h.clock.Now() } // the time of the deletion, for the log
		f.may = func(h *handle, r registry.Placement, _ registry.Instant) bool { return seen[h.key(r.Actor)] }
	})(c)
}

// buried keeps what was purged.
func buried(f *forgetter) map[string]registry.Placement {
	graves := map[string]registry.Placement{} // guarded by the cluster's mutex
	raise := f.raise
	f.raise = func(h *handle, r registry.Placement) {
		raise(h, r)
		graves[h.key(r.Actor)] = r
	}
	return graves
}

// belowTheFloor is broken by a claim that starts from less than what was forgotten.
var belowTheFloor = rules(conformance.TokenMonotonic, conformance.VersionBump, conformance.NoStaleWrite, "Claim.granted")

// purgeable is whether a record may be claimed by other bounds, whoever holds it.
func purgeable(bounds func(*registry.Config)) func(*handle, registry.Placement, registry.Instant) bool {
	return func(h *handle, r registry.Placement, now registry.Instant) bool {
		cfg := h.cfg
		bounds(&cfg)
		return !r.Held() || cfg.Phase(r.Expiry, now) == registry.Reclaimable
	}
}

// goneHolder is what may be forgotten, with other bounds for what a gone node holds.
func goneHolder(may func(*handle, registry.Placement, registry.Instant) bool, bounds func(*registry.Config)) func(*handle, registry.Placement, registry.Instant) bool {
	early := purgeable(bounds)
	return func(h *handle, r registry.Placement, now registry.Instant) bool {
		gone := h.nodes[r.Holder.ID].Standing(r.Holder) != registry.StandingActive
		return may(h, r, now) || gone && early(h, r, now)
	}
}

// ofForgotten has a call that presents a tenure succeed where there is no record, as if
// the tenure that it presents were the record's.
func ofForgotten(k op.Kind) bend {
	return inside(func(r *request) op.Result {
		if _, found := r.records[r.key(r.call.Actor)]; found || r.call.Token > r.forgets.floor.Token {
			return r.step()
		}
		if k == op.Validate {
			return op.Result{Outcome: op.OK}
		}
		r.put(registry.Placement{Actor: r.call.Actor, Holder: r.call.Node, Token: r.call.Token, Version: max(r.call.Version, 1), Expiry: r.now.Add(r.cfg.TTL)})
		return r.step()
	}, k)
}

// ForgettingSound returns the store of those that forget, without a mistake.
func ForgettingSound() conformance.Backend {
	return speaking{backend{"broken/forgetting-sound", forgets(func(*cluster, *forgetter) {})}, forgetful}
}
