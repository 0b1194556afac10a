//go:build fdb

package fdbimpl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/subspace"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/audit"
)

// Inspector reads all that a registry keeps in a database, for operators: in pages,
// each in a transaction of its own with a bounded number of keys, under the priority
// and tag of its Options. It needs no configuration, and disturbs nobody: its reads
// are snapshots. What it reads of one actor, its index row and its holder are of one
// version; the pages are of several. It is safe for concurrent use.
type Inspector struct{ r *Registry }

// NewInspector returns an inspector of the registry under opts.Prefix.
func NewInspector(db fdb.Database, opts Options) (*Inspector, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	root, err := opts.root(db)
	if err != nil {
		return nil, err
	}
	return &Inspector{newRegistry(db, root, registry.Config{}, registry.SystemClock(), opts)}, nil
}

// inspectKeys is how many keys a page reads. With an index row and a registration
// for each record it stays under a megabyte and a few milliseconds.
const inspectKeys = 1000

// Config returns the configuration that the registry was made with; found is false
// when there is no registry.
func (i *Inspector) Config(ctx context.Context) (cfg registry.Config, found bool, err error) {
	stored, err := transact(ctx, i.r, "Config", func(a *attempt) ([]byte, error) { return a.tr.Snapshot().Get(i.r.keys.cluster).Get() })
	if err != nil || stored == nil {
		return cfg, false, err
	}
	if cfg, err = decodeCluster(stored); err != nil {
		return cfg, true, corrupt(i.r.keys.cluster, err)
	}
	cfg.AllowShortTTL = true // was the creator's to ask for
	return cfg, true, nil
}

// Records visits every record, released ones too, in the order of their names. A
// damaged one ends the visit with a [*CorruptError]; Verify says what is wrong.
func (i *Inspector) Records(ctx context.Context, visit func(registry.Placement) error) error {
	return i.actors(ctx, false, func(v inspected) error {
		if len(v.found) > 0 {
			return &CorruptError{Key: v.found[0].Where, Problem: v.found[0].Problem}
		}
		return visit(v.record)
	})
}

// Nodes visits every registration in the order of the names, and ends as Records does.
func (i *Inspector) Nodes(ctx context.Context, visit func(registry.Node) error) error {
	return i.nodes(ctx, func(v inspected) error {
		if len(v.found) > 0 {
			return &CorruptError{Key: v.found[0].Where, Problem: v.found[0].Problem}
		}
		return visit(v.node)
	})
}

// Verify compares records with their index rows and their holders, and looks for
// values and keys that the registry did not write. It calls found for each piece of
// damage, and seen after each page with how many records, rows and registrations
// have been looked at so far.
func (i *Inspector) Verify(ctx context.Context, found func(audit.Finding), seen func(int)) error {
	n := 0
	each := func(v inspected) error {
		for _, f := range v.found {
			found(f)
		}
		n++
		seen(n)
		return nil
	}
	return errors.Join(
		i.unknownKeys(ctx, found),
		i.verifyFloors(ctx, found),
		i.nodes(ctx, each),
		i.actors(ctx, true, each),
		i.rows(ctx, each),
	)
}

// inspected is one record, row or registration, and what is wrong with it.
type inspected struct {
	record registry.Placement
	node   registry.Node
	found  []audit.Finding
}

func (v *inspected) add(k audit.Kind, where, format string, args ...any) {
	v.found = append(v.found, audit.Finding{Kind: k, Where: where, Problem: fmt.Sprintf(format, args...)})
}

// group is the keys that begin with the same names, less the part that follows.
type group struct {
	names []string
	parts map[string][]byte
	alien []fdb.Key // keys among them that are none of a registry
}

// unknownKeys looks at what is not in the spaces of actors, floors, rows and nodes: only
// the cluster's record is.
func (i *Inspector) unknownKeys(ctx context.Context, found func(audit.Finding)) error {
	k := i.r.keys
	begin, end := k.root.FDBRangeKeys()
	between := []fdb.KeyConvertible{begin}
	for _, s := range []subspace.Subspace{k.actors, k.floors, k.held, k.nodes} {
		from, to := s.FDBRangeKeys()
		between = append(between, from, to)
	}
	between = append(between, end)
	config := false
	for n := 0; n < len(between); n += 2 {
		err := i.scan(ctx, between[n], between[n+1], func(_ *attempt, kvs []fdb.KeyValue, _ bool) ([]inspected, int, error) {
			vs := make([]inspected, len(kvs))
			for j, kv := range kvs {
				if !bytes.Equal(kv.Key, k.cluster) {
					vs[j].add(audit.Foreign, fdb.Printable(kv.Key), "is no key of a registry")
				} else if _, err := decodeCluster(kv.Value); err != nil {
					vs[j].add(audit.Unreadable, "cluster", "%v", err)
				}
				config = config || bytes.Equal(kv.Key, k.cluster)
			}
			return vs, len(kvs), nil
		}, func(v inspected) error {
			for _, f := range v.found {
				found(f)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if !config {
		found(audit.Finding{Kind: audit.HalfMissing, Where: "cluster", Problem: "there is no configuration, so no registry"})
	}
	return nil
}

// nodes visits the registrations.
func (i *Inspector) nodes(ctx context.Context, visit func(inspected) error) error {
	return i.groups(ctx, i.r.keys.nodes, 1, func(_ *attempt, gs []group) ([]inspected, error) {
		vs := make([]inspected, len(gs))
		for j, g := range gs {
			v, where := &vs[j], "node "+g.names[0]
			n, err := decodeNode(registry.NodeID(g.names[0]), g.parts["s"], g.parts["t"])
			switch {
			case g.parts["s"] == nil || g.parts["t"] == nil:
				v.add(audit.HalfMissing, where, "has %s", halves(g.parts["s"] != nil, "a standing and no last-seen time", "a last-seen time and no standing"))
			case err != nil:
				v.add(audit.Unreadable, where, "%v", err)
			default:
				v.node, v.found = n.Node, audit.Node(n.Node)
			}
			v.aliens(g)
		}
		return vs, nil
	}, visit)
}

func (v *inspected) aliens(g group) {
	for _, k := range g.alien {
		v.add(audit.Foreign, fdb.Printable(k), "is no key of a registry")
	}
}

func halves(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// actors visits the records; with compare, each is compared with its index row and
// its holder's registration, of the same version.
func (i *Inspector) actors(ctx context.Context, compare bool, visit func(inspected) error) error {
	return i.groups(ctx, i.r.keys.actors, 2, func(a *attempt, gs []group) ([]inspected, error) {
		vs := make([]inspected, len(gs))
		for j, g := range gs {
			vs[j] = recordOf(g)
		}
		if !compare {
			return vs, nil
		}
		return vs, i.compare(a, vs)
	}, visit)
}

func recordOf(g group) (v inspected) {
	id := registry.ActorID{Namespace: g.names[0], Name: g.names[1]}
	where := id.String()
	t, terr := decodeTenure(g.parts["t"])
	l, lerr := decodeTerm(g.parts["l"])
	switch err := errors.Join(terr, lerr); {
	case g.parts["t"] == nil || g.parts["l"] == nil:
		v.add(audit.HalfMissing, where, "has %s", halves(g.parts["t"] != nil, "a tenure and no lease", "a lease and no tenure"))
	case err != nil:
		v.add(audit.Unreadable, where, "%v", err)
	default:
		v.record = registry.Placement{Actor: id, Holder: t.holder, Token: t.token, ClaimID: t.claimID, Version: l.version, Expiry: l.expiry}
		v.found = audit.Record(v.record)
	}
	v.aliens(g)
	return v
}

// compare reads the index rows and the holders of held records.
func (i *Inspector) compare(a *attempt, vs []inspected) error {
	rows := make([]fdb.FutureByteSlice, len(vs))
	holders := map[registry.NodeID]nodeRead{}
	for j, v := range vs {
		if p := v.record; p.Held() {
			rows[j] = a.tr.Snapshot().Get(i.r.keys.heldRow(p.Holder, p.Actor))
			if _, asked := holders[p.Holder.ID]; !asked {
				holders[p.Holder.ID] = i.r.keys.readNode(a.tr.Snapshot(), a.tr.Snapshot(), p.Holder.ID)
			}
		}
	}
	for j := range vs {
		v := &vs[j]
		p := v.record
		if !p.Held() {
			continue
		}
		stored, err := rows[j].Get()
		if err != nil {
			return err
		}
		want := held{token: p.Token, claimID: p.ClaimID, version: p.Version, expiry: p.Expiry}
		if row, err := decodeHeld(stored); stored == nil {
			v.add(audit.NotIndexed, p.Actor.String(), "%v holds it, and its list has no such row", p.Holder)
		} else if err == nil && row != want { // an unreadable row is found among the rows
			v.add(audit.StaleIndex, p.Actor.String(), "the row in the list of %v has token %d, version %d, the record token %d, version %d",
				p.Holder, row.token, row.version, p.Token, p.Version)
		}
		n, err := holders[p.Holder.ID].await()
		var damaged *CorruptError
		if errors.As(err, &damaged) {
			continue // found among the nodes
		}
		if err != nil {
			return err
		}
		v.found = append(v.found, audit.Holder(p, n.Node)...)
	}
	return nil
}

// rows visits the index: each row must be of a record that its holder holds.
func (i *Inspector) rows(ctx context.Context, visit func(inspected) error) error {
	begin, end := i.r.keys.held.FDBRangeKeys()
	return i.scan(ctx, begin, end, func(a *attempt, kvs []fdb.KeyValue, _ bool) ([]inspected, int, error) {
		vs := make([]inspected, len(kvs))
		reads := make([]recordRead, len(kvs))
		holders := make([]registry.NodeRef, len(kvs))
		for j, kv := range kvs {
			holder, actor, err := i.r.keys.unpackRow(kv.Key)
			if err != nil {
				vs[j].add(audit.Foreign, fdb.Printable(kv.Key), "%v", err)
				continue
			}
			if _, err := decodeHeld(kv.Value); err != nil {
				vs[j].add(audit.Unreadable, fmt.Sprintf("row of %v in the list of %v", actor, holder), "%v", err)
			}
			holders[j], reads[j] = holder, i.r.keys.readRecord(a.tr.Snapshot(), a.tr.Snapshot(), actor)
		}
		for j := range vs {
			if reads[j].tenure == nil {
				continue
			}
			p, err := reads[j].await()
			var damaged *CorruptError
			if errors.As(err, &damaged) {
				continue // found among the records
			}
			if err != nil {
				return nil, 0, err
			}
			if p.Holder != holders[j] {
				vs[j].add(audit.WronglyIndexed, reads[j].actor.String(), "is in the list of %v, and %v holds it", holders[j], p.Holder)
			}
		}
		return vs, len(kvs), nil
	}, visit)
}

// unpackRow takes the key of an index row apart.
func (k keys) unpackRow(key fdb.Key) (holder registry.NodeRef, actor registry.ActorID, err error) {
	elements, err := unpack(k.held, key)
	if err != nil {
		return holder, actor, err
	}
	bad := fmt.Errorf("key is %v, want a node, an epoch and the names of an actor", elements)
	if len(elements) != 4 {
		return holder, actor, bad
	}
	id, isID := elements[0].(string)
	epoch, isEpoch := elements[1].(int64)
	if e, large := elements[1].(uint64); large {
		epoch, isEpoch = int64(e), true
	}
	ns, isNS := elements[2].(string)
	name, isName := elements[3].(string)
	if !isID || !isEpoch || !isNS || !isName {
		return holder, actor, bad
	}
	return registry.NodeRef{ID: registry.NodeID(id), Epoch: registry.Epoch(epoch)}, registry.ActorID{Namespace: ns, Name: name}, nil
}

// groups visits the groups of keys of a space: n names and a part.
func (i *Inspector) groups(ctx context.Context, s subspace.Subspace, n int, look func(*attempt, []group) ([]inspected, error), visit func(inspected) error) error {
	begin, end := s.FDBRangeKeys()
	return i.scan(ctx, begin, end, func(a *attempt, kvs []fdb.KeyValue, more bool) ([]inspected, int, error) {
		gs, consumed, foreign := groupKeys(s, n, kvs, more)
		vs, err := look(a, gs)
		return append(vs, foreign...), consumed, err
	}, visit)
}

// groupKeys groups the keys of a page. When more follow, the last group may go on
// there and is left for the next page.
func groupKeys(s subspace.Subspace, n int, kvs []fdb.KeyValue, more bool) (gs []group, consumed int, foreign []inspected) {
	type alien struct {
		at int
		v  inspected
	}
	var aliens []alien
	lastBegan := 0
	for at, kv := range kvs {
		elements, err := unpack(s, kv.Key)
		names, part := namesAndPart(elements, n)
		if err != nil || names == nil {
			var v inspected
			v.add(audit.Foreign, fdb.Printable(kv.Key), "is no key of a registry")
			aliens = append(aliens, alien{at, v})
			continue
		}
		if last := len(gs) - 1; last < 0 || !slices.Equal(gs[last].names, names) {
			gs = append(gs, group{names: names, parts: map[string][]byte{}})
			lastBegan = at
		}
		g := &gs[len(gs)-1]
		if !slices.Contains(partsOf[n], part) {
			g.alien = append(g.alien, kv.Key)
			continue
		}
		g.parts[part] = kv.Value
	}
	consumed = len(kvs)
	if more && len(gs) > 1 {
		gs, consumed = gs[:len(gs)-1], lastBegan
	}
	for _, a := range aliens {
		if a.at < consumed {
			foreign = append(foreign, a.v)
		}
	}
	return gs, consumed, foreign
}

// partsOf are the last elements of the keys behind one name, a node's, and behind
// two, an actor's.
var partsOf = map[int][]string{1: {"s", "t"}, 2: {"l", "t"}}

func namesAndPart(elements tuple.Tuple, n int) (names []string, part string) {
	if len(elements) != n+1 {
		return nil, ""
	}
	for _, e := range elements {
		name, ok := e.(string)
		if !ok {
			return nil, ""
		}
		names = append(names, name)
	}
	return names[:n], names[n]
}

// scan visits a range of keys in pages. look may run several times for a page; it
// says how many of the page's keys it has dealt with.
func (i *Inspector) scan(ctx context.Context, begin, end fdb.KeyConvertible,
	look func(a *attempt, kvs []fdb.KeyValue, more bool) ([]inspected, int, error), visit func(inspected) error) error {
	type page struct {
		vs   []inspected
		next fdb.Key // nil after the last page
	}
	for from := begin.FDBKey(); from != nil; {
		p, err := transact(ctx, i.r, "Inspect", func(a *attempt) (page, error) {
			kvs, err := readRange(a.tr, fdb.KeyRange{Begin: from, End: end}, inspectKeys)
			if err != nil || len(kvs) == 0 {
				return page{}, err
			}
			more := len(kvs) == inspectKeys
			vs, consumed, err := look(a, kvs, more)
			if err != nil || !more {
				return page{vs: vs}, err
			}
			return page{vs, keyAfter(kvs[consumed-1].Key)}, nil
		})
		if err != nil {
			return err
		}
		for _, v := range p.vs {
			if err := visit(v); err != nil {
				return err
			}
		}
		from = p.next
	}
	return nil
}
