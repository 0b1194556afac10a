package broken

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes of what is remembered, ordered or written in another form than it is.
var copies = slices.Concat(
	alike(
		Variant{
			Section: "contract", Case: "decides-afresh", Breaks: rules("MarkFailed.alive"),
			Doc: "A detector that decides by what it has seen of a node, and not by what is there when it decides. The node was heard of meanwhile.",
		},
		Variant{
			ID: "M240", Slug: "suspicion-by-earlier-look",
			Title: "a node is marked failed by the last-seen that the handle read before",
			bends: evidenceOf(op.GetNode, func(answer *op.Result) []registry.Node { return []registry.Node{answer.Node} }),
		},
		Variant{
			ID: "M241", Slug: "suspicion-by-earlier-listing",
			Title: "a node is marked failed by the last-seen in the handle's last listing",
			bends: evidenceOf(op.ListNodes, func(answer *op.Result) []registry.Node { return answer.Nodes }),
		},
	),
	[]Variant{
		{
			ID: "M264", Slug: "watch-waits-for-a-record",
			Section: "contract", Case: "watch",
			Title:  "a watch of an actor that has no record waits for one, whatever version it has seen",
			Doc:    "Contract, section 3: no record is version 0, and a watch that has seen another returns at once. A key that is not there is watched from its creation on.",
			Breaks: rules("watch.wakes"),
			bends:  outside(watchingForARecord, op.Watch),
		},
		{
			ID: "M346", Slug: "watch-by-the-last-lookup",
			Section: "contract", Case: "watches-afresh",
			Title:  "a watch is answered by what the handle's last lookup found, when that is later than what was seen",
			Doc:    "Contract, section 3: the record, not what was known of it. Whoever asks for a later version than the one seen is given the first that comes to hand.",
			Breaks: rules(conformance.WatchWakes, conformance.Linearizability),
			bends:  perHandle(watchedByLookups),
		},
		{
			ID: "M265", Slug: "heartbeats-within-a-millisecond",
			Section: "membership", Case: "heartbeat",
			Title:  "a heartbeat within a millisecond of the one before is not written",
			Doc:    "Contract, section 3: the heartbeat sets last-seen to the reading. What comes too soon is taken for the same.",
			Breaks: rules("Heartbeat.granted", conformance.Linearizability, conformance.RawLookup),
			bends: starting(func(a *attempt) {
				if seen := a.Member.LastSeen; seen < a.now && a.now < seen.Add(time.Millisecond) {
					a.now = seen
				}
			}, op.Heartbeat),
		},
		{
			ID: "M266", Slug: "keys-of-four-bytes",
			Section: "extremes", Case: "hashed-names",
			Title:  "a record's key is the CRC of its name",
			Doc:    "Contract, section 1: names are compared byte by byte. A hash of 32 bits is as good as a name until two of them meet.",
			Breaks: anyOperation,
			bends: naming(func(a registry.ActorID) string {
				return fmt.Sprint(crc32.ChecksumIEEE([]byte(distinctKey(a))))
			}),
		},
		{
			ID: "M267", Slug: "keys-of-eight-digits",
			Section: "extremes", Case: "hashed-names",
			Title:  "a record's key is the first eight digits of its name's SHA-256",
			Doc:    "Contract, section 1. A digest that is cut to what looks good in a listing.",
			Breaks: anyOperation,
			bends: naming(func(a registry.ActorID) string {
				digest := sha256.Sum256([]byte(a.Namespace + "/" + a.Name))
				return fmt.Sprintf("%x", digest[:4])
			}),
		},
		{
			ID: "M337", Slug: "keys-of-five-hundred-bytes",
			Section: "extremes", Case: "alike-actors",
			Title:  "a record's key is cut at 500 bytes",
			Doc:    "Contract, section 1: each part of a name has up to 256 bytes. A column of the width of an index, for both together.",
			Breaks: anyOperation,
			bends:  naming(func(a registry.ActorID) string { return cutAt(500)(distinctKey(a)) }),
		},
		{
			ID: "M268", Slug: "names-joined-by-two-colons",
			Section: "extremes", Case: "joined-names",
			Title:  "namespace and name are joined by two colons",
			Doc:    "Contract, section 1: the two parts of a name are two parts. Two colons are in fewer names than one, and not in none.",
			Breaks: anyOperation,
			bends:  naming(func(a registry.ActorID) string { return a.Namespace + "::" + a.Name }),
		},
		{
			ID: "M242", Slug: "listing-kept-for-a-second",
			Section: "contract", Case: "reads-afresh",
			Title:  "a listing of nodes that is asked for again within a second is answered as before",
			Doc:    "A cache that its own handle's writes clear. Others write too.",
			Breaks: rules("ListNodes.answered"),
			bends:  layered(func() func(registry.Clock) middle { return keptListing }),
		},
		{
			ID: "M243", Slug: "one-buffer-for-node-rows",
			Section: "handles", Case: "rows",
			Title:  "the rows of a listing of nodes are in a buffer of the handle",
			Doc:    "A slice that is used again, to save an allocation. The caller has it still.",
			Breaks: rules(conformance.ValuesOwn),
			bends: perHandle(func() middle {
				var mu sync.Mutex
				var rows []registry.Node
				return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
					r := pass(ctx, h, c)
					if c.Kind == op.ListNodes && r.Err == nil {
						mu.Lock()
						defer mu.Unlock()
						rows = append(rows[:0], r.Nodes...)
						r.Nodes = rows
					}
					return r
				}
			}),
		},
		{
			ID: "M244", Slug: "silent-successor-fails",
			Section: "membership", Case: "mark-failed",
			Title:  "marking an incarnation that was superseded fails its successor, when that one is silent too",
			Doc:    "The row is found by the node's name, and the silence is the row's. The evidence was about another process.",
			Breaks: rules("MarkFailed.repeated"),
			bends: inside(func(r *request) op.Result {
				a := r.attempt()
				if a.Node.Epoch < a.Member.Ref.Epoch {
					a.Node = a.Member.Ref
				}
				return r.decided(a, r.law.decide(a))
			}, op.MarkFailed),
		},
		{
			ID: "M245", Slug: "silence-of-signed-milliseconds",
			Section: "extremes", Case: "silence",
			Title:  "a node's silence is kept in 32 bits of milliseconds",
			Doc:    "After 25 days it is negative, and the node, which nobody has heard of, counts as alive.",
			Breaks: rules("MarkFailed.granted"),
			bends: judging(func(a *attempt) {
				silence := a.now.Sub(a.Member.LastSeen)
				a.now = a.Member.LastSeen.Add(time.Duration(int32(silence.Milliseconds()))*time.Millisecond + silence%time.Millisecond)
			}, op.MarkFailed),
		},
		{
			ID: "M246", Slug: "holder-by-beginning",
			Section: "extremes", Case: "joined-names",
			Title:  "a lease is its holder's, and everybody's whose name begins the holder's",
			Doc:    "A row that is found by a prefix: LIKE 'n1%'.",
			Breaks: rules("Renew.not-held", "Release.not-held"),
			bends: takenFor(func(n, holder registry.NodeRef) bool {
				return n.Epoch == holder.Epoch && strings.HasPrefix(string(holder.ID), string(n.ID))
			}),
		},
		{
			ID: "M247", Slug: "epoch-by-beginning",
			Section: "extremes", Case: "joined-names",
			Title:  "epoch 1 is taken for epoch 10 by a renewal",
			Doc:    "Keys of text, of which the number stands at the end, and a scan that ends nowhere.",
			Breaks: rules("Renew.not-held", "Release.not-held"),
			bends: takenFor(func(n, holder registry.NodeRef) bool {
				return n.ID == holder.ID && strings.HasPrefix(fmt.Sprint(holder.Epoch), fmt.Sprint(n.Epoch))
			}),
		},
		{
			ID: "M248", Slug: "holder-and-epoch-joined",
			Section: "extremes", Case: "joined-names",
			Title:  "node and epoch are compared one after the other, with nothing in between",
			Doc:    "n1 in epoch 1 and n in epoch 11 are both n11.",
			Breaks: rules("Renew.not-held", "Release.not-held"),
			bends: takenFor(func(n, holder registry.NodeRef) bool {
				return fmt.Sprint(n.ID, n.Epoch) == fmt.Sprint(holder.ID, holder.Epoch)
			}),
		},
		{
			ID: "M249", Slug: "names-that-are-booleans",
			Section: "extremes", Case: "alike-actors",
			Title:  "names that some notation reads as true or false are one name each",
			Doc:    "The country code of Norway in YAML.",
			Breaks: rules(conformance.NamesDistinct),
			bends: naming(func(a registry.ActorID) string {
				return asBoolean(a.Namespace) + "\x00" + asBoolean(a.Name)
			}),
		},
	},
	[]Variant{
		{
			ID: "M255", Slug: "refused-and-unavailable",
			Section: "contract", Case: "claim-boundaries",
			Title:  "a claim of a held actor fails with ErrHeld, wrapped in ErrUnavailable",
			Doc:    "Every failure of a request is given the kind of one that may be tried again. The caller tries for ever.",
			Breaks: rules(conformance.ErrorIdentity),
			bends: answering(func(_ *request, answer *op.Result) {
				if errors.Is(answer.Err, registry.ErrHeld) {
					answer.Err = fmt.Errorf("%w: %w", registry.ErrUnavailable, answer.Err)
				}
			}, op.Claim),
		},
		{
			ID: "M256", Slug: "snapshot-without-those-that-left",
			Section: "durable", Case: "keeps-everything",
			Title:  "a snapshot of more than eight nodes leaves out those that have left",
			Doc:    "A compaction that tidies up, once it pays. The next registration under such a name has epoch 1 again.",
			Breaks: rules(conformance.Durability),
			bends: losing(func(c *cluster) {
				if len(c.nodes) > 8 {
					maps.DeleteFunc(c.nodes, func(_ registry.NodeID, n registry.Node) bool { return n.Status == registry.NodeLeft })
				}
			}),
		},
		{
			ID: "M257", Slug: "index-of-the-latest",
			Section: "durable", Case: "keeps-everything",
			Title:  "the listing's index, made anew at a restart, has the latest incarnations only",
			Doc:    "Incarnations that ended hold what they held until it lapses. Whoever cleans up after them by the listing sees nothing to do.",
			Breaks: rules("ListActors.answered", conformance.Durability),
			bends: losing(func(c *cluster) {
				maps.DeleteFunc(c.held, func(n registry.NodeRef, _ map[string]struct{}) bool { return c.nodes[n.ID].Ref != n })
			}),
		},
	},
	[]Variant{
		{
			ID: "M258", Slug: "batches-wake-nobody",
			Section: "handles", Case: "batch-members",
			Title:  "renewals in a batch wake no watch",
			Doc:    "A bulk write that goes past the triggers. Whoever waits for the next change of the record has missed it.",
			Breaks: rules(conformance.WatchWakes),
			bends:  outside(batchOf(unheard), op.RenewBatch),
		},
		{
			ID: "M259", Slug: "instances-told-apart-by-their-end",
			Section: "membership", Case: "register-repeats",
			Title:  "processes are told apart by the second half of their instance",
			Doc:    "An identity that is cut to the 64 bits of a column, at its beginning.",
			Breaks: rules("RegisterNode.exists", "RegisterNode.repeated"),
			bends: repeating(func(a attempt) bool {
				if slices.Equal(a.Member.Info.Instance[8:], a.Info.Instance[8:]) {
					a.Info.Instance = a.Member.Info.Instance
				}
				return specified.repeats(a)
			}, op.RegisterNode),
		},
		{
			ID: "M260", Slug: "addresses-cut-in-the-file",
			Section: "durable", Case: "unusual-rows",
			Title:  "the file keeps 200 bytes of an address",
			Doc:    "A row of fixed length. What is in memory is right until the next start.",
			Breaks: rules(conformance.Durability),
			bends: losing(func(c *cluster) {
				for id, n := range c.nodes {
					n.Info.Address = cutAt(200)(n.Info.Address)
					c.nodes[id] = n
				}
			}),
		},
		{
			ID: "M261", Slug: "long-names-not-recovered",
			Section: "durable", Case: "unusual-rows",
			Title:  "a recovery passes over records whose names have more than 300 bytes together",
			Doc:    "A length in the file that the reader takes for damage.",
			Breaks: rules(conformance.Durability),
			bends: losing(func(c *cluster) {
				maps.DeleteFunc(c.records, func(key string, _ registry.Placement) bool { return len(key) > 300 })
			}),
		},
		{
			ID: "M262", Slug: "lines-of-other-alphabets",
			Section: "durable", Case: "unusual-rows",
			Title:  "a recovery splits the file at the line separator of Unicode, and passes over the halves",
			Doc:    "Lines as another library reads them. The records are lost that have the character in their names.",
			Breaks: rules(conformance.Durability),
			bends: losing(func(c *cluster) {
				maps.DeleteFunc(c.records, func(key string, _ registry.Placement) bool { return strings.ContainsRune(key, '\u2028') })
			}),
		},
		{
			ID: "M263", Slug: "old-times-are-damage",
			Section: "durable", Case: "unusual-rows",
			Title:  "a recovery passes over records whose lease ends in 1970",
			Doc:    "A check of plausibility: no clock of a server reads 1970. One does that has lost its battery.",
			Breaks: rules(conformance.Durability),
			bends: losing(func(c *cluster) {
				maps.DeleteFunc(c.records, func(_ string, p registry.Placement) bool { return p.Expiry.Time().UTC().Year() == 1970 })
			}),
		},
	},
	alike(
		Variant{
			Section: "extremes", Case: "dates", Breaks: kept,
			Doc: "Times are written in the form of a calendar, which does not tell all of them apart.",
		},
		Variant{
			ID: "M250", Slug: "the-hour-that-comes-twice",
			Title: "times are written as New York's clocks show them, of the hour that they show twice always the first",
			bends: keptAs(func(at time.Time) time.Duration {
				end := time.Date(at.Year(), time.November, 1, 6, 0, 0, 0, time.UTC)
				end = end.AddDate(0, 0, (7-int(end.Weekday()))%7)
				if at.Before(end) || !at.Before(end.Add(time.Hour)) {
					return 0
				}
				return -time.Hour
			}),
		},
		Variant{
			ID: "M251", Slug: "years-of-three-hundred-and-sixty-five-days",
			Title: "the last day of a leap year is written as the day before",
			bends: keptAs(func(at time.Time) time.Duration {
				if at.YearDay() < 366 {
					return 0
				}
				return -24 * time.Hour
			}),
		},
	),
	alike(
		Variant{
			Section: "contract", Case: "listing-under-change", Breaks: rules(conformance.PagedListing),
			Doc: "A cursor of the last row's value in a column that changes. What changes while somebody reads is read twice, or never.",
		},
		Variant{
			ID: "M252", Slug: "listed-by-expiry",
			Title: "actors are listed in the order of their expiries, and a cursor is one",
			bends: inside(listedBy(func(p registry.Placement) int64 { return int64(p.Expiry) }), op.ListActors),
		},
		Variant{
			ID: "M253", Slug: "listed-by-expiry-latest-first",
			Title: "actors are listed in the order of their expiries, the latest first, and a cursor is one",
			bends: inside(listedBy(func(p registry.Placement) int64 { return math.MaxInt64 - int64(p.Expiry) }), op.ListActors),
		},
		Variant{
			ID: "M254", Slug: "nodes-listed-by-last-seen",
			Title: "nodes are listed in the order in which they were last seen, and a cursor is such a time",
			bends: inside(nodesBy(func(n registry.Node) int64 { return int64(n.LastSeen) }), op.ListNodes),
		},
		Variant{
			ID: "M339", Slug: "listed-by-token",
			Title: "actors are listed in the order of their tokens, and a cursor is one",
			bends: inside(listedBy(func(p registry.Placement) int64 { return int64(p.Token) }), op.ListActors),
		},
		Variant{
			ID: "M340", Slug: "nodes-listed-by-epoch",
			Title: "nodes are listed in the order of their epochs, and a cursor is one",
			bends: inside(nodesBy(func(n registry.Node) int64 { return int64(n.Ref.Epoch) }), op.ListNodes),
		},
		Variant{
			ID: "M341", Slug: "nodes-listed-by-status",
			Title: "nodes are listed in the order of their status, and a cursor has one",
			bends: inside(nodesBy(func(n registry.Node) int64 { return int64(n.Status) }), op.ListNodes),
		},
	),
	alike(
		Variant{
			Section: "contract", Case: "listing-under-change", Breaks: rules(conformance.PagedListing),
			Doc: "Contract, section 3, 19: each row was true at some instant of the call that returned it, and not of the first of the listing.",
		},
		Variant{
			ID: "M342", Slug: "pages-of-a-snapshot",
			Title: "later pages of a listing of actors tell the rows as they were when it began",
			bends: ofSnapshots(op.ListActors),
		},
		Variant{
			ID: "M343", Slug: "pages-of-a-snapshot-of-nodes",
			Title: "later pages of a listing of nodes tell the rows as they were when it began",
			bends: ofSnapshots(op.ListNodes),
		},
	),
)

// evidenceOf has MarkFailed go by the registrations that the handle read last, where
// it has read any.
func evidenceOf(kind op.Kind, read func(*op.Result) []registry.Node) bend {
	return func(c *cluster) {
		type evidence struct {
			in   *handle
			node registry.NodeRef
		}
		seen := map[evidence]registry.Instant{}
		inside(func(r *request) op.Result {
			answer := r.step()
			for _, n := range read(&answer) {
				seen[evidence{r.handle, n.Ref}] = n.LastSeen
			}
			return answer
		}, kind)(c)
		judging(func(a *attempt) {
			if at, ok := seen[evidence{a.by, a.Node}]; ok {
				a.Member.LastSeen = at
			}
		}, op.MarkFailed)(c)
	}
}

// watchedByLookups keeps what was found of each actor.
func watchedByLookups() middle {
	var found sync.Map // of results, by actor
	return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		known, _ := found.Load(c.Actor)
		if kept, ok := known.(op.Result); ok && c.Kind == op.Watch && kept.Record.Version > c.Seen {
			return kept
		}
		answer := pass(ctx, h, c)
		if c.Kind == op.Lookup && answer.Err == nil {
			found.Store(c.Actor, answer)
		}
		return answer
	}
}

// keptListing keeps the last listing of nodes for a second.
func keptListing(clock registry.Clock) middle {
	var mu sync.Mutex // guards the rest
	var last op.Result
	var asked op.Call
	var at registry.Instant
	return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case c.Kind == op.Watch:
			mu.Unlock()
			defer mu.Lock()
			return pass(ctx, h, c)
		case c.Kind != op.ListNodes:
			asked = op.Call{}
			return pass(ctx, h, c)
		}
		now := clock.Now()
		if again := asked.Kind == c.Kind && asked.Status == c.Status && asked.Page == c.Page; again && ctx.Err() == nil && now.Sub(at) < time.Second {
			return last
		}
		last, asked, at = pass(ctx, h, c), c, now
		return last
	}
}

// takenFor has renewals and releases take a node for the record's holder.
func takenFor(same func(n, holder registry.NodeRef) bool) bend {
	return inside(func(r *request) op.Result {
		a := r.attempt()
		if a.Record.Held() && same(a.Node, a.Record.Holder) {
			a.Node = a.Record.Holder
		}
		return r.decided(a, r.law.decide(a))
	}, op.Renew, op.Release)
}

func asBoolean(s string) string {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "y":
		return "true"
	case "false", "no", "off", "n":
		return "false"
	}
	return s
}

// keptAs has every reading kept with an error of its date.
func keptAs(wrong func(time.Time) time.Duration) bend {
	return keeping(func(i registry.Instant) registry.Instant { return i.Add(wrong(i.Time().UTC())) })
}

// listedBy lists actors in the order of a number, and then of their keys.
func listedBy(number func(registry.Placement) int64) func(*request) op.Result {
	return func(r *request) op.Result {
		keys := map[string]string{} // of records, by their place
		for key := range r.held[r.call.Node] {
			keys[fmt.Sprintf("%020d/%s", number(r.records[key]), key)] = key
		}
		places, next := cut(slices.Collect(maps.Keys(keys)), r.call.Page)
		answer := op.Result{Outcome: op.OK, Next: next}
		for _, place := range places {
			answer.Actors = append(answer.Actors, r.records[keys[place]])
		}
		return answer
	}
}

// nodesBy lists nodes in the order of a number, and then of their names.
func nodesBy(number func(registry.Node) int64) func(*request) op.Result {
	return func(r *request) op.Result {
		places := map[string]registry.Node{}
		for id, n := range r.nodes {
			if r.call.Status == registry.AnyStatus || n.Status == r.call.Status {
				places[fmt.Sprintf("%020d/%s", number(n), id)] = n
			}
		}
		page, next := cut(slices.Collect(maps.Keys(places)), r.call.Page)
		answer := op.Result{Outcome: op.OK, Next: next}
		for _, place := range page {
			answer.Nodes = append(answer.Nodes, places[place])
		}
		return answer
	}
}

// ofSnapshots answers the pages after the first from the state that it was answered from.
func ofSnapshots(kind op.Kind) bend {
	return func(c *cluster) {
		var snapshots []state // guarded by the cluster's mutex
		inside(func(r *request) op.Result {
			was, rest, later := strings.Cut(string(r.call.Page.After), ":")
			n, err := strconv.Atoi(was)
			if !later || err != nil || n < 0 || n >= len(snapshots) {
				snapshots, n = append(snapshots, r.state.clone()), len(snapshots)
			} else {
				now := r.state
				defer func() { r.state = now }()
				r.state, r.call.Page.After = snapshots[n], registry.Cursor(rest)
			}
			answer := r.step()
			if answer.Next != "" {
				answer.Next = registry.Cursor(fmt.Sprint(n, ":")) + answer.Next
			}
			return answer
		}, kind)(c)
	}
}

// unheard writes a renewal, and tells no watch.
func unheard(r *request, a attempt) bool {
	r.state.put(r.law.effect(a).Record)
	return true
}

func watchingForARecord(r *request) op.Result {
	for {
		if err := r.begin(); err != nil {
			return op.Failed(err)
		}
		found, changed := r.record(r.call.Actor), r.changed
		r.mu.Unlock()
		if found.Version > 0 && found.Version != r.call.Seen {
			return op.Result{Outcome: op.OK, Record: found}
		}
		r.wait(changed)
	}
}
