//go:build fdb

package fdbimpl

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
)

// Contract 1: a handle opened with other values than the store was created with is refused.
func TestOpenComparesTheConfiguration(t *testing.T) {
	s := newStore(t)
	s.open(t, registry.SystemClock())
	other := s.cfg
	other.Grace--
	_, err := Open(t.Context(), s.db, other, registry.SystemClock(), s.opts)
	var mismatch *registry.ConfigMismatchError
	require.ErrorAs(t, err, &mismatch)
	assert.Equal(t, registry.ConfigMismatchError{Field: "Grace", Store: s.cfg.Grace, Given: other.Grace}, *mismatch)

	invalid := s.cfg
	invalid.TTL = 0
	_, err = Open(t.Context(), s.db, invalid, registry.SystemClock(), s.opts)
	assert.ErrorIs(t, err, registry.ErrInvalid)
	for _, opts := range []Options{{Attempts: -1}, {TransactionTimeout: -1}, {SettleTimeout: time.Microsecond}, {MaxBackoff: -time.Second}} {
		_, err = Open(t.Context(), s.db, s.cfg, registry.SystemClock(), opts)
		assert.ErrorIs(t, err, registry.ErrInvalid, "%+v", opts)
	}
}

// The zero value of an option is its default; the least of each is let in.
func TestOptions(t *testing.T) {
	defaults := Options{
		Prefix: tuple.Tuple{"kelpie-registry"}, TransactionTimeout: DefaultTransactionTimeout,
		SettleTimeout: DefaultSettleTimeout, Attempts: DefaultAttempts, MaxBackoff: DefaultMaxBackoff,
	}
	given := Options{
		Prefix: tuple.Tuple{"mine", 1}, TransactionTimeout: time.Millisecond,
		SettleTimeout: 2 * time.Millisecond, Attempts: 1, MaxBackoff: 3 * time.Millisecond,
	}
	for _, c := range []struct{ given, want Options }{{Options{}, defaults}, {given, given}} {
		got, err := c.given.withDefaults()
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	}
	for field, bad := range map[string]Options{
		"option Attempts":           {Attempts: -1},
		"option TransactionTimeout": {TransactionTimeout: time.Millisecond - 1},
		"option SettleTimeout":      {SettleTimeout: time.Millisecond - 1},
		"option MaxBackoff":         {MaxBackoff: -time.Second},
	} {
		_, err := bad.withDefaults()
		var invalid *registry.InvalidError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, field, invalid.Field)
		assert.Contains(t, invalid.Problem, "or more")
	}
}

// Of many creators with different values one wins, and only its like are let in.
func TestOneCreatorWins(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	won := make([]bool, 8)
	for i := range won {
		wg.Go(func() {
			cfg := s.cfg
			cfg.Grace = time.Duration(i+1) * time.Millisecond
			r, err := Open(t.Context(), s.db, cfg, registry.SystemClock(), s.opts)
			if err != nil {
				assert.ErrorIs(t, err, registry.ErrConfigMismatch)
				return
			}
			won[i] = true
			assert.NoError(t, r.Close())
		})
	}
	wg.Wait()
	assert.Equal(t, 1, len(slices.DeleteFunc(won, func(w bool) bool { return !w })))
}

func TestClosedHandle(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.mine, "x", p.node)
	require.NoError(t, p.mine.Close())
	require.NoError(t, p.mine.Close())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.mine.Renew(ctx, lease)
	assert.ErrorIs(t, err, registry.ErrClosed, "closed comes before the context")
	_, err = p.mine.Renew(ctx, registry.Lease{})
	assert.ErrorIs(t, err, registry.ErrInvalid, "invalid comes before closed")
	_, _, err = p.mine.ListActors(ctx, p.node, registry.Page{After: "%"})
	assert.ErrorIs(t, err, registry.ErrInvalid, "a cursor is an argument")
	for _, l := range p.mine.RenewBatch(ctx, []registry.Lease{lease}) {
		assert.ErrorIs(t, l.Err, registry.ErrClosed)
	}
	_, err = p.mine.Watch(ctx, lease.Actor, 0)
	assert.ErrorIs(t, err, registry.ErrClosed)
}

// A context that is done fails the call before the state is looked at.
func TestDoneContextTouchesNothing(t *testing.T) {
	p := newPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.mine.Claim(ctx, actorID("x"), p.node, claimID(1))
	assert.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, registry.ErrAmbiguous)
	assert.Zero(t, p.clock.reads)
}

// A context that ends between the reads and the commit: the commit is not sent.
func TestCancelBeforeTheCommitChangesNothing(t *testing.T) {
	p := newPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.clock.then(cancel)
	_, err := p.mine.Claim(ctx, actorID("x"), p.node, claimID(1))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, registry.ErrAmbiguous)
	_, found, err := p.other.Lookup(t.Context(), actorID("x"))
	require.NoError(t, err)
	assert.False(t, found)
}

// An actor that somebody writes during every attempt uses the budget up; nothing happened.
func TestRetryBudget(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)
	p.mine.opts.Attempts = 3
	for range 5 {
		p.clock.then(func() {
			_, err := p.other.Renew(context.Background(), lease)
			p.ok(err)
		})
	}
	_, err := p.mine.Renew(t.Context(), lease)
	assert.ErrorIs(t, err, registry.ErrUnavailable)
	assert.ErrorContains(t, err, "gave up after 3 attempts")
	assert.Equal(t, codeNotCommitted, errorCode(err), "the cause is kept")
	assert.Equal(t, 3, p.clock.reads)
	got, _, err := p.mine.Lookup(t.Context(), lease.Actor)
	require.NoError(t, err)
	assert.Equal(t, lease.Version+3, got.Version, "only the other's renewals")
}

func TestPausesAreBoundedAndGrow(t *testing.T) {
	s := newStore(t)
	r := s.open(t, registry.SystemClock())
	r.opts.MaxBackoff = 40 * time.Millisecond
	var longest [64]time.Duration
	for n := 1; n < len(longest); n++ {
		r.sleep = func(_ context.Context, d time.Duration) error { longest[n] = max(longest[n], d); return nil }
		for range 200 {
			require.NoError(t, r.pause(t.Context(), n))
		}
		assert.LessOrEqual(t, longest[n], min(40*time.Millisecond, time.Millisecond<<min(n, 20)), "attempt %d", n)
	}
	assert.Greater(t, longest[6], longest[1])
}

func TestSleepEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, sleep(ctx, 0))
	time.AfterFunc(time.Millisecond, cancel)
	assert.ErrorIs(t, sleep(ctx, time.Hour), context.Canceled)
	for range 100 { // also when both have happened
		require.ErrorIs(t, sleep(ctx, 0), context.Canceled)
	}
}

// ListActors: each actor that stays is listed once, whatever moves around it.
func TestListActorsPages(t *testing.T) {
	p := newPair(t)
	var want []registry.ActorID
	for i := range 25 {
		l := mustClaim(t, p.other, fmt.Sprintf("actor-%02d", i), p.node)
		want = append(want, l.Actor)
	}
	stranger := mustClaim(t, p.other, "actor-10a", p.rival)
	gone := mustClaim(t, p.other, "actor-12a", p.node)

	var got []registry.ActorID
	page := registry.Page{Limit: 7}
	for pages := 1; ; pages++ {
		rows, next, err := p.mine.ListActors(t.Context(), p.node, page)
		require.NoError(t, err)
		for _, row := range rows {
			got = append(got, row.Actor)
			looked, _, err := p.mine.Lookup(t.Context(), row.Actor)
			require.NoError(t, err)
			assert.Equal(t, looked, row, "the index row is the record")
		}
		if pages == 1 {
			require.NoError(t, p.other.Release(t.Context(), gone))
			_, err = p.other.Transfer(t.Context(), stranger, p.node) // comes in behind the cursor's place
			require.NoError(t, err)
		}
		if next == "" {
			assert.Equal(t, 4, pages, "26 rows in pages of 7")
			break
		}
		page.After = next
	}
	want = append(want, stranger.Actor)
	slices.SortFunc(want, func(a, b registry.ActorID) int { return cmp.Compare(a.Name, b.Name) })
	assert.Equal(t, want, got)

	rows, next, err := p.mine.ListActors(t.Context(), registry.NodeRef{ID: "nobody", Epoch: 1}, registry.Page{})
	require.NoError(t, err)
	assert.Empty(t, rows)
	assert.Empty(t, next)
	rows, next, err = p.mine.ListActors(t.Context(), p.node, registry.Page{Limit: 26})
	require.NoError(t, err)
	assert.Len(t, rows, 26)
	assert.Empty(t, next, "a page that ends with the list has no successor")
}

// No row of the index outlives the tenure it stands for: after random changes of
// hands every held actor is in exactly its holder's list, and no other row exists.
func TestIndexFollowsTheHolders(t *testing.T) {
	p := newPair(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	nodes := []registry.NodeRef{p.node, p.rival, register(t, p.other, "node-c")}
	for i := range 120 {
		actor := actorID(fmt.Sprintf("actor-%d", rng.IntN(6)))
		held, _, err := p.other.Lookup(t.Context(), actor)
		require.NoError(t, err)
		to := nodes[rng.IntN(len(nodes))]
		switch {
		case !held.Held():
			_, err = p.other.Claim(t.Context(), actor, to, claimID(byte(i+1)))
		case rng.IntN(3) == 0:
			err = p.other.Release(t.Context(), held.Lease())
		case rng.IntN(2) == 0 && p.now.Now() < held.Expiry:
			_, err = p.other.Transfer(t.Context(), held.Lease(), to)
		default:
			p.now.Advance(lapse)
			_, err = p.other.Claim(t.Context(), actor, to, claimID(byte(i+1)))
		}
		require.NoError(t, err)
	}
	rows := 0
	for _, n := range nodes {
		for row, err := range registry.AllActors(t.Context(), p.other, n) {
			require.NoError(t, err)
			looked, _, err := p.other.Lookup(t.Context(), row.Actor)
			require.NoError(t, err)
			assert.Equal(t, looked, row)
			rows++
		}
	}
	stored, err := p.store.db.Transact(func(tr fdb.Transaction) (any, error) {
		return tr.GetRange(p.mine.keys.held, fdb.RangeOptions{}).GetSliceWithError()
	})
	require.NoError(t, err)
	assert.Len(t, stored.([]fdb.KeyValue), rows, "rows of no holder")
	assert.NotZero(t, rows)
}

// ListNodes with a status looks at 1000 nodes at most: a page may be short, or
// empty, and has a cursor when there may be more.
func TestListNodesScansBoundedly(t *testing.T) {
	p := newPair(t)
	for i := range 30 {
		ref := register(t, p.other, nodeID(i))
		if i%10 != 0 {
			require.NoError(t, p.other.DeregisterNode(t.Context(), ref))
		}
	}
	active := listing(t, registry.AllNodes(t.Context(), p.mine, registry.NodeActive))
	assert.Len(t, active, 5, "node-000, node-010, node-020, node-a, node-b")
	rows, next, err := p.mine.ListNodes(t.Context(), registry.NodeActive, registry.Page{Limit: 2})
	require.NoError(t, err)
	assert.Len(t, rows, 2)
	rows, next, err = p.mine.ListNodes(t.Context(), registry.NodeActive, registry.Page{Limit: 3, After: next})
	require.NoError(t, err)
	assert.Len(t, rows, 3)
	assert.Empty(t, next, "no further match: no further page")
	assert.Len(t, listing(t, registry.AllNodes(t.Context(), p.mine, registry.AnyStatus)), 32)
	rows, next, err = p.mine.ListNodes(t.Context(), registry.AnyStatus, registry.Page{Limit: 32})
	require.NoError(t, err)
	assert.Len(t, rows, 32)
	assert.Empty(t, next, "a page that ends with the list has no successor")
}

func TestSelectNodesGoesOnAfterAShortPage(t *testing.T) {
	scanned := []registry.Node{
		{Ref: registry.NodeRef{ID: "a"}, Status: registry.NodeLeft},
		{Ref: registry.NodeRef{ID: "b"}, Status: registry.NodeLeft},
	}
	rows, next, err := selectNodes(scanned, registry.NodeActive, 5, true)
	require.NoError(t, err)
	assert.Empty(t, rows)
	assert.Equal(t, encodeCursor("b"), next, "empty, and not the end")
	_, next, _ = selectNodes(scanned, registry.NodeActive, 5, false)
	assert.Empty(t, next)
}

// RenewBatch: one result per lease, in order, each as Renew would have answered.
func TestRenewBatch(t *testing.T) {
	p := newPair(t)
	var leases []registry.Lease
	for i := range 2*batchSize + 10 {
		leases = append(leases, mustClaim(t, p.other, fmt.Sprintf("actor-%03d", i), p.node))
	}
	released := leases[5]
	require.NoError(t, p.other.Release(t.Context(), released))
	leases[20] = registry.Lease{}

	p.clock.now = at(time.Second)
	results := p.mine.RenewBatch(t.Context(), leases)
	require.Len(t, results, len(leases))
	assert.Equal(t, 3, p.clock.reads, "one reading, one transaction, per 100")
	for i, res := range results {
		switch i {
		case 5:
			assert.ErrorIs(t, res.Err, registry.ErrNotHeld)
		case 20:
			assert.ErrorIs(t, res.Err, registry.ErrInvalid)
		default:
			require.NoError(t, res.Err, "lease %d", i)
			assert.Equal(t, at(time.Second).Add(s30), res.Lease.Expiry)
			assert.Equal(t, leases[i].Actor, res.Lease.Actor)
		}
	}

	p.clock.reads = 0
	assert.Empty(t, p.mine.RenewBatch(t.Context(), nil))
	assert.ErrorIs(t, p.mine.RenewBatch(t.Context(), []registry.Lease{{}})[0].Err, registry.ErrInvalid)
	assert.Zero(t, p.clock.reads, "nothing to renew, no transaction")
}

// VersionBump: the same actor twice in a batch is renewed twice, one transaction after the other.
func TestSameActorTwiceInABatch(t *testing.T) {
	p := newPair(t)
	x, y := mustClaim(t, p.other, "x", p.node), mustClaim(t, p.other, "y", p.node)
	results := p.mine.RenewBatch(t.Context(), []registry.Lease{x, y, x, y})
	for i, version := range []registry.Version{2, 2, 3, 3} {
		require.NoError(t, results[i].Err)
		assert.Equal(t, version, results[i].Lease.Version, "lease %d", i)
	}
	assert.Equal(t, 2, p.clock.reads)
}

const s30 = registry.DefaultTTL

// One actor that never comes to rest does not cost the others of its batch their renewal.
func TestRestlessActorIsSplitOff(t *testing.T) {
	p := newPair(t)
	var leases []registry.Lease
	for i := range 8 {
		leases = append(leases, mustClaim(t, p.other, fmt.Sprintf("actor-%d", i), p.node))
	}
	p.mine.opts.Attempts = 2
	disturb := func() {
		_, err := p.other.Renew(context.Background(), leases[3])
		p.ok(err)
	}
	for range 200 {
		p.clock.then(disturb)
	}
	for i, res := range p.mine.RenewBatch(t.Context(), leases) {
		if i == 3 {
			assert.ErrorIs(t, res.Err, registry.ErrUnavailable)
		} else {
			assert.NoError(t, res.Err, "lease %d", i)
		}
	}
}

// What this package did not write is reported with its key, and nothing is changed.
func TestCorruptValues(t *testing.T) {
	p := newPair(t)
	lease := mustClaim(t, p.other, "x", p.node)
	sound := mustClaim(t, p.other, "y", p.node)
	k := p.mine.keys
	put := func(key fdb.Key, value []byte) {
		_, err := p.store.db.Transact(func(tr fdb.Transaction) (any, error) { tr.Set(key, value); return nil, nil })
		require.NoError(t, err)
	}
	corrupted := func(err error, key fdb.Key) {
		t.Helper()
		var c *CorruptError
		require.ErrorAs(t, err, &c)
		assert.ErrorIs(t, err, registry.ErrUnavailable)
		assert.Equal(t, fdb.Printable(key), c.Key)
	}
	put(k.term(lease.Actor), []byte("junk"))
	_, err := p.mine.Renew(t.Context(), lease)
	corrupted(err, k.tenure(lease.Actor))
	_, err = p.mine.Claim(t.Context(), lease.Actor, p.node, claimID(3))
	corrupted(err, k.tenure(lease.Actor))
	waiting, end := context.WithTimeout(t.Context(), 10*time.Second)
	defer end()
	_, err = p.mine.Watch(waiting, lease.Actor, 0)
	corrupted(err, k.tenure(lease.Actor))
	results := p.mine.RenewBatch(t.Context(), []registry.Lease{lease, sound})
	corrupted(results[0].Err, k.tenure(lease.Actor))
	assert.NoError(t, results[1].Err, "a sound lease is renewed all the same")

	row := k.heldRow(p.node, lease.Actor)
	put(row, nil)
	_, _, err = p.mine.ListActors(t.Context(), p.node, registry.Page{})
	corrupted(err, row)
	stray := append(k.heldBy(p.node).Bytes(), 0x15)
	put(row, held{token: 1, version: 1}.encode())
	put(stray, held{token: 1, version: 1}.encode())
	_, _, err = p.mine.ListActors(t.Context(), p.node, registry.Page{})
	corrupted(err, stray)

	put(k.standing(p.rival.ID), []byte{valueFormat})
	_, _, err = p.mine.GetNode(t.Context(), p.rival.ID)
	corrupted(err, k.standing(p.rival.ID))
	_, _, err = p.mine.ListNodes(t.Context(), registry.AnyStatus, registry.Page{})
	corrupted(err, k.standing(p.rival.ID))

	put(k.cluster, []byte{valueFormat, 0, 0, 0, 0, 0, 0, 0, 9})
	_, err = Open(t.Context(), p.store.db, p.store.cfg, p.now, p.store.opts)
	corrupted(err, k.cluster)
	assert.ErrorContains(t, err, "schema version is 9")
}

// A record or a registration of which one key is missing is corrupt, and not absent:
// absent, it would be granted anew from token 1.
func TestHalfOfAValueIsCorrupt(t *testing.T) {
	p := newPair(t)
	k := p.mine.keys
	x, y := mustClaim(t, p.other, "x", p.node).Actor, mustClaim(t, p.other, "y", p.node).Actor
	for _, missing := range []fdb.Key{k.tenure(x), k.term(y), k.standing(p.node.ID), k.seen(p.rival.ID)} {
		_, err := p.store.db.Transact(func(tr fdb.Transaction) (any, error) { tr.Clear(missing); return nil, nil })
		require.NoError(t, err)
	}
	for _, actor := range []registry.ActorID{x, y} {
		_, _, err := p.mine.Lookup(t.Context(), actor)
		var c *CorruptError
		require.ErrorAs(t, err, &c)
		assert.Equal(t, fdb.Printable(k.tenure(actor)), c.Key)
	}
	for _, id := range []registry.NodeID{p.node.ID, p.rival.ID} {
		_, _, err := p.mine.GetNode(t.Context(), id)
		var c *CorruptError
		require.ErrorAs(t, err, &c)
		assert.Equal(t, fdb.Printable(k.standing(id)), c.Key)
	}
}

// What cannot be asked is not found.
func TestInvalidArgumentsFindNothing(t *testing.T) {
	p := newPair(t)
	_, found, err := p.mine.Lookup(t.Context(), registry.ActorID{})
	assert.ErrorIs(t, err, registry.ErrInvalid)
	assert.False(t, found)
	_, found, err = p.mine.GetNode(t.Context(), "")
	assert.ErrorIs(t, err, registry.ErrInvalid)
	assert.False(t, found)
}

// A listing of nodes stops at a registration that has not its two keys, and at a key
// that is no node's: it would otherwise hide what follows, or show what is not there.
func TestListNodesStopsAtWhatIsNoNode(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(tr fdb.Transaction, k keys)
		key   func(k keys) fdb.Key
		says  string
	}{
		"the first without standing": {
			func(tr fdb.Transaction, k keys) { tr.Clear(k.standing("node-a")) },
			func(k keys) fdb.Key { return k.seen("node-a") }, "two keys",
		},
		"the first without last seen": {
			func(tr fdb.Transaction, k keys) { tr.Clear(k.seen("node-a")) },
			func(k keys) fdb.Key { return k.standing("node-a") }, "two keys",
		},
		"the last without last seen": {
			func(tr fdb.Transaction, k keys) { tr.Clear(k.seen("node-b")) },
			func(k keys) fdb.Key { return k.standing("node-b") }, "two keys",
		},
		"the standing under another key": {
			func(tr fdb.Transaction, k keys) {
				tr.Set(k.nodes.Pack(tuple.Tuple{"node-a", "other"}), tr.Get(k.standing("node-a")).MustGet())
				tr.Clear(k.standing("node-a"))
			},
			func(k keys) fdb.Key { return k.nodes.Pack(tuple.Tuple{"node-a", "other"}) }, "two keys",
		},
		"a key of nobody's": {
			func(tr fdb.Transaction, k keys) { tr.Set(k.nodes.Pack(tuple.Tuple{"node-a", "r", 1}), nil) },
			func(k keys) fdb.Key { return k.nodes.Pack(tuple.Tuple{"node-a", "r", 1}) }, "want 2 names",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			_, err := p.store.db.Transact(func(tr fdb.Transaction) (any, error) { c.spoil(tr, p.mine.keys); return nil, nil })
			require.NoError(t, err)
			_, _, err = p.mine.ListNodes(t.Context(), registry.AnyStatus, registry.Page{})
			var corrupt *CorruptError
			require.ErrorAs(t, err, &corrupt)
			assert.Equal(t, fdb.Printable(c.key(p.mine.keys)), corrupt.Key)
			assert.Contains(t, corrupt.Problem, c.says)
		})
	}
}
