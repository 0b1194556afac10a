package broken

import (
	"context"
	"maps"
	"slices"

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
	begins func(h *handle)                                                  // before the first step of a purge
	tells  func(n int) int                                                  // how many it forgot
}

// forgets makes a cluster one that forgets, with a mistake in how it does.
func forgets(mistake func(*cluster, *forgetter)) bend {
	return func(c *cluster) {
		f := &forgetter{
			may: func(h *handle, r registry.Placement, now registry.Instant) bool {
				return reference.PurgeGuard(h.cfg, r, h.nodes[r.Holder.ID].Standing(r.Holder), h.forgets.floor.Over(r.Token, r.Version), now) == reference.Enabled
			},
			raise:  func(h *handle, r registry.Placement) { h.forgets.floor = h.forgets.floor.Over(r.Token, r.Version) },
			above:  func(h *handle) reference.Floor { return h.forgets.floor },
			begins: func(*handle) {},
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
	var gone []registry.Placement
	h.mu.Lock()
	h.forgets.begins(h)
	keys := slices.Collect(maps.Keys(h.records))
	h.mu.Unlock()
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return len(gone), err
		}
		gone = append(gone, h.forget(key)...)
	}
	return h.forgets.tells(len(gone)), nil
}

// forget is the step that forgets one record, if it may.
func (h *handle) forget(key string) (gone []registry.Placement) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, found := h.records[key]
	if !found || !h.forgets.may(h, r, h.clock.Now()) {
		return nil
	}
	delete(h.records, key)
	delete(h.held[r.Holder], key)
	h.forgets.raise(h, r)
	h.wake()
	return []registry.Placement{r}
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
