//go:build fdb && fdbsim

package fdbimpl

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbsim"
)

// cost is what one operation was seen to ask of the cluster.
type cost struct {
	trips     int      // waits for reads: requests that were on their way together count as one
	requests  int      // reads
	commits   int      // commits that were sent to the cluster
	conflicts []string // keys whose write, between the reads and the commit, makes it try again
	writes    []string // keys whose values it changed
}

func (c cost) row(name string) string {
	list := func(keys []string) string {
		if len(keys) == 0 {
			return "-"
		}
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %s | %s |", name, c.trips, c.requests, c.commits, list(c.conflicts), list(c.writes))
}

// keyNames are the keys of actor x and node b, in the order of the table.
var keyNames = []string{"tenure", "lease", "index", "standing", "last seen"}

func (w *world) keysOf(name string) []fdb.Key {
	k, x := w.raw["b"].keys, actorID("x")
	switch name {
	case "tenure":
		return []fdb.Key{k.tenure(x)}
	case "lease":
		return []fdb.Key{k.term(x)}
	case "index":
		return []fdb.Key{k.heldRow(w.nodes["a"], x), k.heldRow(w.nodes["b"], x)}
	case "standing":
		return []fdb.Key{k.standing("b")}
	default:
		return []fdb.Key{k.seen("b")}
	}
}

func (w *world) values(name string) string {
	var values []string
	w.must(func() error {
		_, err := w.e.db.Transact(func(tr fdb.Transaction) (any, error) {
			values = nil
			for _, k := range w.keysOf(name) {
				values = append(values, fmt.Sprintf("%x", tr.Get(k).MustGet()))
			}
			return nil, nil
		})
		return err
	})
	return strings.Join(values, ",")
}

// play runs one operation, delivering everything that is on its way together. When
// the first commit is on its way it lets disturb happen first.
func (w *world) play(op operation, disturb func()) cost {
	var c cost
	h := w.handle(op.node)
	w.e.stepper.Go(func() { op.run(w, h) })
	for {
		pending := w.e.stepper.Quiesce()
		if len(pending) == 0 {
			return c
		}
		reads := 0
		for _, r := range pending {
			switch {
			case isRead(r):
				reads++
			case r.Kind == fdbsim.KindCommit:
				if c.commits++; c.commits == 1 {
					disturb()
				}
			}
		}
		if reads > 0 {
			c.trips++
			c.requests += reads
		}
		for _, r := range pending {
			w.e.stepper.Resolve(r, fdbsim.Deliver)
		}
	}
}

// touch commits a transaction that claims to have written a key, and has not.
func (w *world) touch(name string) {
	w.must(func() error {
		_, err := w.e.db.Transact(func(tr fdb.Transaction) (any, error) {
			for _, k := range w.keysOf(name) {
				if err := tr.AddWriteConflictKey(k); err != nil {
					return nil, err
				}
			}
			return nil, nil
		})
		return err
	})
}

func (e *explorer) measure(before func(*world), op operation) (c cost) {
	e.onNewCluster(func() {
		w := e.newWorld(0)
		before(w)
		was := map[string]string{}
		for _, name := range keyNames {
			was[name] = w.values(name)
		}
		c = w.play(op, func() {})
		for _, name := range keyNames {
			if w.values(name) != was[name] {
				c.writes = append(c.writes, name)
			}
		}
		for _, name := range keyNames {
			w := e.newWorld(0)
			before(w)
			if again := w.play(op, func() { w.touch(name) }); again.trips > c.trips || again.commits > c.commits {
				c.conflicts = append(c.conflicts, name)
			}
		}
	})
	return c
}

// At most one read round trip and one commit per operation, and one round trip more for
// a refusal that tells when its node was last seen. The table in the README
// is the one measured here, word for word.
func TestRoundTrips(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	e := newExplorer(t)
	aged := func(w *world) { live(w); w.setClocks(e.cfg.FailedAt(epochStart)) }
	gone := func(w *world) {
		free(w)
		w.must(func() error { return w.raw["b"].DeregisterNode(ctxb, w.nodes["b"]) })
	}
	crowded := func(w *world) {
		live(w)
		for i := range 120 {
			w.must(func() error {
				l, err := w.raw["a"].Claim(ctxb, actorID(fmt.Sprint(i)), w.nodes["a"], claimID(byte(i+1)))
				w.batch = append(w.batch, l)
				return err
			})
		}
	}
	batch := operation{"RenewBatch", "a", func(w *world, h registry.Handle) { w.raw["a"].RenewBatch(ctxb, append(w.batch[:99:99], w.lease)) }}
	guard := guardedWriter("a", (*Registry).Guard, nil)
	guarding := func(w *world) { live(w); w.leases["a"] = w.lease }
	listNodes := operation{"ListNodes", "b", func(w *world, h registry.Handle) { _, _, _ = h.ListNodes(ctxb, registry.NodeActive, registry.Page{}) }}
	register := operation{"RegisterNode", "b", func(w *world, h registry.Handle) {
		_, _ = h.RegisterNode(ctxb, "b", registry.NodeInfo{Address: "new"}, registry.Supersede)
	}}
	for _, c := range []struct {
		name    string
		before  func(*world)
		op      operation
		commits int
		trips   int // 0: one
	}{
		{name: "Claim", before: free, op: claimB, commits: 1},
		{name: "Claim, of a lapsed actor", before: lapsed, op: claimB, commits: 1},
		{name: "Claim, refused", before: live, op: claimB},
		{name: "Claim, refused because of the node", before: gone, op: claimB, trips: 2},
		{name: "Renew", before: live, op: renew, commits: 1},
		{name: "RenewBatch, 100 leases", before: crowded, op: batch, commits: 1},
		{name: "Release", before: live, op: release, commits: 1},
		{name: "Transfer", before: live, op: transfer, commits: 1},
		{name: "Lookup", before: live, op: lookup},
		{name: "Validate", before: live, op: validate},
		{name: "Guard, and the caller's write", before: guarding, op: guard, commits: 1},
		{name: "ListActors, a page of 100", before: crowded, op: listA},
		{name: "RegisterNode", before: live, op: register, commits: 1},
		{name: "Heartbeat", before: aged, op: heartbeatB, commits: 1},
		{name: "MarkFailed", before: aged, op: failB, commits: 1},
		{name: "DeregisterNode", before: live, op: leaveB, commits: 1},
		{name: "GetNode", before: live, op: getB},
		{name: "ListNodes, a page", before: live, op: listNodes},
	} {
		m := e.measure(c.before, c.op)
		assert.Equal(t, max(1, c.trips), m.trips, "%s: read round trips", c.name)
		assert.Equal(t, c.commits, m.commits, "%s: commits", c.name)
		row := m.row(c.name)
		t.Log(row)
		assert.Contains(t, string(readme), row, "the README says otherwise")
	}
}
