//go:build fdb

package fdbimpl

import (
	"context"
	"errors"
	"fmt"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/audit"
	"github.com/kelpie-registry/registry/internal/rules"
)

var _ registry.Purger = (*Registry)(nil)

// purgeSize is the number of records that one transaction of [Registry.Purge]
// forgets at most: 200 reads and 151 cleared or written keys.
const purgeSize = 50

// floorRead is the read of a floor under way.
type floorRead struct {
	key   fdb.Key
	value fdb.FutureByteSlice
}

// readFloor issues the read of the floor that a claim of the actor starts above if it
// has no record. It is issued with the other reads, before it is known whether there is
// one, so that a claim waits once.
func (k keys) readFloor(tr fdb.ReadTransaction, actor registry.ActorID) *floorRead {
	f := &floorRead{key: k.floor(floorOf(actor))}
	f.value = tr.Get(&f.key)
	return f
}

// under returns the record that the attempt has read, or, where there is none, what a
// claim of the actor starts from above the floor.
//
// TokenMonotonic: the actor's term, which is not there, is in the claim's read set. So
// the actor was not purged between the claim's read version and its commit, and the
// floor at the read version covers every purge before. The floor is in the read set
// too: not for the token, but so that a claim whose outcome is unknown cannot be applied
// any more once the floor has moved (see attempt.evidence). A claim that found a record
// may so conflict with a purge of its part, one in 50 records, and decides anew.
func (f *floorRead) under(a *attempt, rec registry.Placement, actor registry.ActorID) (registry.Placement, error) {
	b, err := f.value.Get()
	if err != nil || rec.Version != 0 {
		return rec, err
	}
	a.above = f.key
	v, err := floorAt(f.key, b)
	return rules.Above(v.Floor, actor), err
}

// floorAt is the floor that is stored at a key; the zero floor where there is nothing.
func floorAt(key fdb.Key, b []byte) (floorValue, error) {
	if b == nil {
		return floorValue{}, nil
	}
	f, err := decodeFloor(b)
	if err != nil {
		return floorValue{}, corrupt(key, err)
	}
	return f, nil
}

// Purge implements [registry.Purger]. It needs [Options.Forgets].
//
// It scans all records, a page at a time, in snapshots that conflict with nothing, and
// forgets what it finds in transactions of their own, each of at most 50 records of one
// part. An actor that somebody claims meanwhile conflicts with one of these, and is
// looked at anew. What became of a transaction of unknown outcome is not counted, and is
// found out by the next Purge.
func (r *Registry) Purge(ctx context.Context) (int, error) {
	var arguments error
	if !r.opts.Forgets {
		arguments = &registry.InvalidError{Field: "purge", Problem: "is of a registry that forgets nothing: Options.Forgets is not set"}
	}
	if err := r.ready(ctx, arguments); err != nil {
		return 0, err
	}
	p := purge{r: r, due: map[byte][]registry.ActorID{}}
	err := (&Inspector{r: r}).Records(ctx, func(rec registry.Placement) error { return p.look(ctx, rec) })
	for part := range p.due {
		if err == nil {
			err = p.forget(ctx, part)
		}
	}
	return p.forgotten, err
}

// purge is one scan for records to forget.
type purge struct {
	r         *Registry
	due       map[byte][]registry.ActorID // by part: fewer than purgeSize each
	forgotten int
}

// look notes a record that may be due, whatever its holder's standing.
func (p *purge) look(ctx context.Context, rec registry.Placement) error {
	if !rules.Forgettable(p.r.cfg, rec, registry.Node{}, p.r.opts.Retention, p.r.clock.Now()) {
		return ctx.Err()
	}
	part := floorOf(rec.Actor)
	if p.due[part] = append(p.due[part], rec.Actor); len(p.due[part]) < purgeSize {
		return nil
	}
	return p.forget(ctx, part)
}

// forget runs the transaction for what is noted of a part.
func (p *purge) forget(ctx context.Context, part byte) error {
	actors := p.due[part]
	p.due[part] = actors[:0]
	if len(actors) == 0 {
		return nil
	}
	n, err := transact(ctx, p.r, "Purge", func(a *attempt) (int, error) { return a.purge(part, actors) })
	if errors.Is(err, registry.ErrAmbiguous) && ctx.Err() == nil {
		return nil
	}
	p.forgotten += n
	return err
}

// purge forgets those of the actors that are due, all of one part, and raises its floor.
//
// Both keys of each record and the standing of each holder are in the read set, so that
// at the commit they are what the decision saw: a renewal, claim or release of the actor
// and a registration of the holder's name conflict. A guarded write reads the tenure,
// which is cleared: it conflicts. The floor is in the read set and is written with the
// next revision, so of two purges of one part one conflicts, and the floor never falls.
//
// TokenMonotonic, NoStaleWrite: the records go and the floor rises in one commit.
// Whoever reads that a record is not there reads, at that version or a later one, a
// floor that covers it.
func (a *attempt) purge(part byte, actors []registry.ActorID) (int, error) {
	k := a.r.keys
	key := k.floor(part)
	stored := a.tr.Get(key)
	reads := make([]recordRead, len(actors))
	for i, actor := range actors {
		reads[i] = k.readRecord(a.tr, a.tr, actor)
	}
	records, holders := make([]registry.Placement, len(actors)), make([]standingRead, len(actors))
	for i := range reads {
		var err error
		if records[i], err = reads[i].await(); err != nil {
			return 0, err
		}
		if records[i].Held() {
			holders[i] = k.readStanding(a.tr, records[i].Holder.ID)
		}
	}
	b, err := stored.Get()
	if err != nil {
		return 0, err
	}
	before, err := floorAt(key, b)
	if err != nil {
		return 0, err
	}
	next, n := before, 0
	now := a.r.clock.Now()
	for i, rec := range records {
		var holder node
		if rec.Held() {
			if holder, err = holders[i].await(); err != nil {
				return 0, err
			}
		}
		if !rules.Forgettable(a.r.cfg, rec, holder.Node, a.r.opts.Retention, now) {
			continue
		}
		at := k.record(rec.Actor)
		a.tr.Clear(&at.tenure)
		a.tr.Clear(&at.term)
		if rec.Held() {
			a.tr.Clear(k.heldRow(rec.Holder, rec.Actor))
		}
		next.Floor = next.Over(rec.Token, rec.Version)
		n++
	}
	if n > 0 {
		next.stamp = stamp{before.rev + 1, a.mark}
		a.write(&key, before.rev, stampOfFloor, next.encode())
	}
	return n, nil
}

// overtakenByFloor says what an actor without a record proves of a claim in doubt that
// started above a floor of version base, of which the floor now has the version found.
// While the floor has not moved, no record of the part was purged that this claim could
// have made, for that one has a higher version; so it was not applied up to here. Once
// it has, the claim may have been applied and purged; and it will not be applied any
// more, because the floor is in its read set.
func overtakenByFloor(base, found uint64) verdict {
	if found == base {
		return untouched
	}
	return overtaken
}

// Floor returns the highest floor of all parts: what another registry that takes over
// the records has to start above. It is zero for one that has forgotten nothing.
func (i *Inspector) Floor(ctx context.Context) (registry.Floor, error) {
	var all registry.Floor
	stored, err := i.floors(ctx)
	for _, kv := range stored.floors {
		f, err := floorAt(kv.Key, kv.Value)
		if err != nil {
			return registry.Floor{}, err
		}
		all = all.Over(f.Token, f.Version)
	}
	return all, err
}

// storedFloors are all floors, and the cluster's record, as they are at one instant.
type storedFloors struct {
	floors  []fdb.KeyValue
	cluster []byte
}

func (i *Inspector) floors(ctx context.Context) (storedFloors, error) {
	return transact(ctx, i.r, "Floor", func(a *attempt) (s storedFloors, err error) {
		cluster := a.tr.Snapshot().Get(i.r.keys.cluster)
		if s.floors, err = a.tr.Snapshot().GetRange(i.r.keys.floors, fdb.RangeOptions{}).GetSliceWithError(); err == nil {
			s.cluster, err = cluster.Get()
		}
		return s, err
	})
}

// verifyFloors finds values that are no floor, keys that are none of one, and floors
// in a store whose schema has none: a program of that schema would open it and grant
// forgotten tokens again.
func (i *Inspector) verifyFloors(ctx context.Context, found func(audit.Finding)) error {
	stored, err := i.floors(ctx)
	if err != nil {
		return err
	}
	expected := map[string]bool{}
	for part := range floorShards {
		expected[string(i.r.keys.floor(byte(part)))] = true
	}
	floors := 0
	for _, kv := range stored.floors {
		if _, err := decodeFloor(kv.Value); !expected[string(kv.Key)] {
			found(audit.Finding{Kind: audit.Foreign, Where: fdb.Printable(kv.Key), Problem: "is no key of a registry"})
		} else if err != nil {
			found(audit.Finding{Kind: audit.Unreadable, Where: fdb.Printable(kv.Key), Problem: err.Error()})
		} else {
			floors++
		}
	}
	if _, err := decodeCluster(stored.cluster); err != nil || floors == 0 {
		return nil // an unreadable record is found as such
	}
	if _, without := withFloors(stored.cluster); without {
		problem := fmt.Sprintf("has %d floors and a schema without: programs that do not read them can open it", floors)
		found(audit.Finding{Kind: audit.HalfMissing, Where: "cluster", Problem: problem})
	}
	return nil
}
