package conformance_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
	"github.com/kelpie-registry/registry/reference"
)

// bent is the reference with one thing wrong: functions that are set take the
// place of the handle's own.
type bent struct {
	registry.Handle
	claim        func(context.Context, registry.ActorID, registry.NodeRef, registry.ClaimID) (registry.Lease, error)
	renew        func(context.Context, registry.Lease) (registry.Lease, error)
	release      func(context.Context, registry.Lease) error
	transfer     func(context.Context, registry.Lease, registry.NodeRef) (registry.Lease, error)
	lookup       func(context.Context, registry.ActorID) (registry.Placement, bool, error)
	validate     func(context.Context, registry.ActorID, registry.Token) error
	listActors   func(context.Context, registry.NodeRef, registry.Page) ([]registry.Placement, registry.Cursor, error)
	registerNode func(context.Context, registry.NodeID, registry.NodeInfo, registry.RegisterMode) (registry.Node, error)
	heartbeat    func(context.Context, registry.NodeRef) error
	markFailed   func(context.Context, registry.NodeRef) error
	deregister   func(context.Context, registry.NodeRef) error
	listNodes    func(context.Context, registry.NodeStatus, registry.Page) ([]registry.Node, registry.Cursor, error)
	close        func() error
}

func (b *bent) Claim(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
	if b.claim != nil {
		return b.claim(ctx, a, n, id)
	}
	return b.Handle.Claim(ctx, a, n, id)
}

func (b *bent) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	if b.renew != nil {
		return b.renew(ctx, l)
	}
	return b.Handle.Renew(ctx, l)
}

func (b *bent) Release(ctx context.Context, l registry.Lease) error {
	if b.release != nil {
		return b.release(ctx, l)
	}
	return b.Handle.Release(ctx, l)
}

func (b *bent) Transfer(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
	if b.transfer != nil {
		return b.transfer(ctx, l, to)
	}
	return b.Handle.Transfer(ctx, l, to)
}

func (b *bent) Lookup(ctx context.Context, a registry.ActorID) (registry.Placement, bool, error) {
	if b.lookup != nil {
		return b.lookup(ctx, a)
	}
	return b.Handle.Lookup(ctx, a)
}

func (b *bent) Validate(ctx context.Context, a registry.ActorID, t registry.Token) error {
	if b.validate != nil {
		return b.validate(ctx, a, t)
	}
	return b.Handle.Validate(ctx, a, t)
}

func (b *bent) ListActors(ctx context.Context, n registry.NodeRef, p registry.Page) ([]registry.Placement, registry.Cursor, error) {
	if b.listActors != nil {
		return b.listActors(ctx, n, p)
	}
	return b.Handle.ListActors(ctx, n, p)
}

func (b *bent) RegisterNode(ctx context.Context, id registry.NodeID, i registry.NodeInfo, m registry.RegisterMode) (registry.Node, error) {
	if b.registerNode != nil {
		return b.registerNode(ctx, id, i, m)
	}
	return b.Handle.RegisterNode(ctx, id, i, m)
}

func (b *bent) Heartbeat(ctx context.Context, n registry.NodeRef) error {
	if b.heartbeat != nil {
		return b.heartbeat(ctx, n)
	}
	return b.Handle.Heartbeat(ctx, n)
}

func (b *bent) MarkFailed(ctx context.Context, n registry.NodeRef) error {
	if b.markFailed != nil {
		return b.markFailed(ctx, n)
	}
	return b.Handle.MarkFailed(ctx, n)
}

func (b *bent) DeregisterNode(ctx context.Context, n registry.NodeRef) error {
	if b.deregister != nil {
		return b.deregister(ctx, n)
	}
	return b.Handle.DeregisterNode(ctx, n)
}

func (b *bent) ListNodes(ctx context.Context, s registry.NodeStatus, p registry.Page) ([]registry.Node, registry.Cursor, error) {
	if b.listNodes != nil {
		return b.listNodes(ctx, s, p)
	}
	return b.Handle.ListNodes(ctx, s, p)
}

func (b *bent) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.Handle.Close()
}

// twist is a way to be wrong, and the cases that must notice.
type twist struct {
	name   string
	config func(*registry.Config)                     // the store's, behind the suite's back
	clock  func() func(registry.Clock) registry.Clock // per cluster
	bend   func() func(*bent)                         // per cluster
	wrap   func(registry.Handle) registry.Handle      // adds an optional interface
	cases  []string
}

type twistedBackend struct {
	referenceBackend
	twist twist
}

func (b twistedBackend) New(cfg registry.Config) (conformance.Cluster, error) {
	if b.twist.config != nil {
		b.twist.config(&cfg)
	}
	s, err := reference.NewStore(cfg)
	c := &twistedCluster{store: s, cfg: cfg, twist: b.twist}
	if b.twist.bend != nil {
		c.bend = b.twist.bend()
	}
	if b.twist.clock != nil {
		c.clock = b.twist.clock()
	}
	return c, err
}

type twistedCluster struct {
	store *reference.Store
	cfg   registry.Config
	twist twist
	bend  func(*bent)
	clock func(registry.Clock) registry.Clock
}

func (c *twistedCluster) Close() error { return nil }

func (c *twistedCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if c.twist.config != nil {
		c.twist.config(&cfg)
	}
	if c.clock != nil {
		clock = c.clock(clock)
	}
	h, err := c.store.Open(cfg, clock)
	if err != nil {
		return nil, err
	}
	var handle registry.Handle = h
	if c.bend != nil {
		b := &bent{Handle: h}
		c.bend(b)
		handle = b
	}
	if c.twist.wrap != nil {
		handle = c.twist.wrap(handle)
	}
	return handle, nil
}

// swap answers want instead of an error that matches is.
func swap(err, is, want error) error {
	if errors.Is(err, is) {
		return &registry.Refusal{Reason: want}
	}
	return err
}

// bend makes a twist of one cluster-independent change.
func bend(f func(*bent)) func() func(*bent) { return func() func(*bent) { return f } }

// offsets lists with cursors that count rows, as an OFFSET of a query does.
func offsets(b *bent) {
	b.listActors = func(ctx context.Context, n registry.NodeRef, p registry.Page) ([]registry.Placement, registry.Cursor, error) {
		all, _, err := b.Handle.ListActors(ctx, n, registry.Page{Limit: registry.MaxPageLimit})
		from := len(p.After)
		if err != nil || from >= len(all) {
			return nil, "", err
		}
		rows := all[from:min(from+p.Rows(), len(all))]
		if from+len(rows) >= len(all) {
			return rows, "", nil
		}
		return rows, registry.Cursor(strings.Repeat("x", from+len(rows))), nil
	}
}

// batch renews until the first error.
type batch struct{ registry.Handle }

func (b batch) RenewBatch(ctx context.Context, leases []registry.Lease) []registry.Renewal {
	results := make([]registry.Renewal, len(leases))
	for i, l := range leases {
		if l, err := b.Renew(ctx, l); err != nil {
			for j := range results[i:] {
				results[i+j].Err = err
			}
			break
		} else {
			results[i].Lease = l
		}
	}
	return results
}

// lyingBatch says that it renewed, and did not.
type lyingBatch struct{ registry.Handle }

func (b lyingBatch) RenewBatch(_ context.Context, leases []registry.Lease) []registry.Renewal {
	results := make([]registry.Renewal, len(leases))
	for i, l := range leases {
		results[i].Lease = l
	}
	return results
}

// eager answers every watch at once.
type eager struct{ registry.Handle }

func (w eager) Watch(ctx context.Context, a registry.ActorID, _ registry.Version) (registry.Placement, error) {
	p, _, err := w.Lookup(ctx, a)
	return p, err
}

var twists = []twist{
	{name: "a grant without a new token", cases: []string{"contract/claim-grants", "concurrent/claim-race", "random/tenures"}, bend: bend(func(b *bent) {
		b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
			l, err := b.Handle.Claim(ctx, a, n, id)
			l.Token = min(l.Token, 1)
			if errors.Is(err, registry.ErrHeld) { // everybody is welcome
				return registry.Lease{Actor: a, Holder: n, Token: 1, Version: 1, ClaimID: id}, nil
			}
			return l, err
		}
	})},
	{name: "no margin for skew", config: func(c *registry.Config) { c.MaxClockSkew = 0 },
		cases: []string{"contract/claim-boundaries", "contract/config-mismatch", "random/tenures", "random/everything", "concurrent/boundaries", "concurrent/late-renewal", "edges/time"}},
	{name: "no grace", config: func(c *registry.Config) { c.Grace = 0 },
		cases: []string{"contract/renew-boundaries", "contract/claim-boundaries", "contract/renew-grants", "edges/three"}},
	{name: "a shorter silence", config: func(c *registry.Config) { c.FailureTimeout = max(c.FailureTimeout-1, 2*c.MaxClockSkew+1) },
		cases: []string{"membership/mark-failed-boundaries"}},
	{name: "claim ids are ignored", cases: []string{"contract/claim-repeats", "concurrent/claim-retry"}, bend: bend(func(b *bent) {
		var count atomic.Int32
		b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
			if id.IsZero() {
				return b.Handle.Claim(ctx, a, n, id)
			}
			l, err := b.Handle.Claim(ctx, a, n, registry.ClaimID{0: id[0], 14: byte(count.Add(1)), 15: 1})
			l.ClaimID = id
			return l, err
		}
	})},
	{name: "failed is unknown", cases: []string{"contract/claim-membership", "contract/transfer-membership", "membership/heartbeat", "contract/refusal-order", "concurrent/membership", "edges/member"}, bend: bend(func(b *bent) {
		b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
			l, err := b.Handle.Claim(ctx, a, n, id)
			return l, swap(err, registry.ErrNodeFailed, registry.ErrNodeUnknown)
		}
		b.transfer = func(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
			l, err := b.Handle.Transfer(ctx, l, to)
			return l, swap(err, registry.ErrNodeFailed, registry.ErrNodeUnknown)
		}
		b.heartbeat = func(ctx context.Context, n registry.NodeRef) error {
			return swap(b.Handle.Heartbeat(ctx, n), registry.ErrNodeFailed, registry.ErrNodeUnknown)
		}
	})},
	{name: "a renewal by a slow clock shortens the lease", cases: []string{"contract/own-clock", "contract/renew-grants"}, bend: bend(func(b *bent) {
		b.renew = func(ctx context.Context, l registry.Lease) (registry.Lease, error) {
			l, err := b.Handle.Renew(ctx, l)
			l.Expiry -= registry.Instant(time.Millisecond)
			return l, err
		}
	})},
	{name: "a second release is refused", cases: []string{"contract/release"}, bend: bend(func(b *bent) {
		b.release = func(ctx context.Context, l registry.Lease) error {
			if p, _, _ := b.Handle.Lookup(ctx, l.Actor); p.Version > 0 && !p.Held() && p.Token == l.Token {
				return &registry.Refusal{Reason: registry.ErrNotHeld, Placement: p}
			}
			return b.Handle.Release(ctx, l)
		}
	})},
	{name: "a hand-off keeps the token", cases: []string{"contract/transfer-grants", "fencing/after-transfer", "concurrent/hand-off"}, bend: bend(func(b *bent) {
		b.transfer = func(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
			token := l.Token
			l, err := b.Handle.Transfer(ctx, l, to)
			if err == nil {
				l.Token = token
			}
			return l, err
		}
	})},
	{name: "a hand-off in grace is refused as held", cases: []string{"contract/transfer-boundaries"}, bend: bend(func(b *bent) {
		b.transfer = func(ctx context.Context, l registry.Lease, to registry.NodeRef) (registry.Lease, error) {
			l, err := b.Handle.Transfer(ctx, l, to)
			return l, swap(err, registry.ErrLapsed, registry.ErrNotHeld)
		}
	})},
	{name: "a released tenure is fenced", cases: []string{"contract/tenure-refusals", "edges/pair"}, bend: bend(func(b *bent) {
		b.renew = func(ctx context.Context, l registry.Lease) (registry.Lease, error) {
			l, err := b.Handle.Renew(ctx, l)
			return l, swap(err, registry.ErrNotHeld, registry.ErrFenced)
		}
	})},
	{name: "a released record is not found", cases: []string{"contract/lookup-raw", "concurrent/hot-actor"}, bend: bend(func(b *bent) {
		b.lookup = func(ctx context.Context, a registry.ActorID) (registry.Placement, bool, error) {
			p, found, err := b.Handle.Lookup(ctx, a)
			if !p.Held() {
				return registry.Placement{}, false, err
			}
			return p, found, err
		}
	})},
	{name: "one clock for all handles", cases: []string{"contract/own-clock"}, clock: func() func(registry.Clock) registry.Clock {
		var first registry.Clock
		return func(c registry.Clock) registry.Clock {
			if first == nil {
				first = c
			}
			return first
		}
	}},
	{name: "long addresses are cut", cases: []string{"contract/names-limits"}, bend: bend(func(b *bent) {
		b.registerNode = func(ctx context.Context, id registry.NodeID, i registry.NodeInfo, m registry.RegisterMode) (registry.Node, error) {
			if i.Validate() == nil && len(i.Address) > 512 {
				i.Address = i.Address[:512]
			}
			return b.Handle.RegisterNode(ctx, id, i, m)
		}
	})},
	{name: "names are folded", cases: []string{"contract/names-distinct"}, bend: bend(func(b *bent) {
		b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
			name := a.Name
			a.Name = strings.TrimSpace(a.Name)
			l, err := b.Handle.Claim(ctx, a, n, id)
			if err == nil {
				l.Actor.Name = name
			}
			return l, err
		}
	})},
	{name: "token 0 is merely not held", cases: []string{"contract/bad-input", "contract/closed-handle", "contract/ended-context"}, bend: bend(func(b *bent) {
		b.lookup = func(ctx context.Context, a registry.ActorID) (registry.Placement, bool, error) {
			if a.Validate() != nil {
				return registry.Placement{}, false, nil
			}
			return b.Handle.Lookup(ctx, a)
		}
	})},
	{name: "a closed handle works on", cases: []string{"contract/closed-handle"}, bend: bend(func(b *bent) { b.close = func() error { return nil } })},
	{name: "a cancelled claim is made", cases: []string{"contract/ended-context"}, bend: bend(func(b *bent) {
		b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
			_, _ = b.Handle.Claim(context.WithoutCancel(ctx), a, n, id)
			return b.Handle.Claim(ctx, a, n, id)
		}
	})},
	{name: "every refusal carries the wrong node", cases: []string{"contract/refusal-order"}, bend: bend(func(b *bent) {
		b.renew = func(ctx context.Context, l registry.Lease) (registry.Lease, error) {
			l, err := b.Handle.Renew(ctx, l)
			var r *registry.Refusal
			if errors.As(err, &r) {
				r.Placement.Holder.Epoch++
			}
			return l, err
		}
	})},
	{name: "a refused heartbeat tells the asked incarnation", cases: []string{"membership/heartbeat", "membership/deregister", "random/everything"}, bend: bend(func(b *bent) {
		b.heartbeat = func(ctx context.Context, n registry.NodeRef) error {
			err := b.Handle.Heartbeat(ctx, n)
			if r := new(registry.Refusal); errors.As(err, &r) && !r.Node.Ref.IsZero() {
				r.Node.Ref = n
			}
			return err
		}
	})},
	{name: "a refusal tells a reading of the second before", cases: []string{"contract/claim-boundaries", "contract/refusal-order", "concurrent/claim-race", "random/tenures"}, bend: bend(func(b *bent) {
		b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
			l, err := b.Handle.Claim(ctx, a, n, id)
			if r := new(registry.Refusal); errors.As(err, &r) {
				r.Now -= registry.Instant(time.Second)
			}
			return l, err
		}
	})},
	{name: "a record is found beside the error", cases: []string{"contract/failed-lookups", "contract/ended-context"}, bend: bend(func(b *bent) {
		b.lookup = func(ctx context.Context, a registry.ActorID) (registry.Placement, bool, error) {
			p, found, err := b.Handle.Lookup(context.WithoutCancel(ctx), a)
			return p, found, errors.Join(err, ctx.Err())
		}
	})},
	{name: "the last row of a full page is lost", cases: []string{"contract/listing", "membership/list-nodes"}, bend: bend(func(b *bent) {
		b.listActors = func(ctx context.Context, n registry.NodeRef, p registry.Page) ([]registry.Placement, registry.Cursor, error) {
			rows, next, err := b.Handle.ListActors(ctx, n, p)
			if next != "" && len(rows) > 1 {
				rows = rows[:len(rows)-1]
			}
			return rows, next, err
		}
		b.listNodes = func(ctx context.Context, s registry.NodeStatus, p registry.Page) ([]registry.Node, registry.Cursor, error) {
			rows, next, err := b.Handle.ListNodes(ctx, s, p)
			if next != "" && len(rows) > 1 {
				rows = rows[:len(rows)-1]
			}
			return rows, next, err
		}
	})},
	{name: "cursors are offsets", cases: []string{"contract/listing-under-change"}, bend: bend(offsets)},
	{name: "actors of the listing are released ones", cases: []string{"concurrent/spread"}, bend: bend(func(b *bent) {
		b.listActors = func(ctx context.Context, n registry.NodeRef, p registry.Page) ([]registry.Placement, registry.Cursor, error) {
			rows, next, err := b.Handle.ListActors(ctx, n, p)
			for i := range rows {
				rows[i].Version++
			}
			return rows, next, err
		}
	})},
	{name: "a batch ends at the first error", wrap: func(h registry.Handle) registry.Handle { return batch{h} }, cases: []string{"contract/renew-batch", "random/batches"}},
	{name: "a batch that does nothing", wrap: func(h registry.Handle) registry.Handle { return lyingBatch{h} }, cases: []string{"contract/renew-batch", "concurrent/batches"}},
	{name: "a watch that does not wait", wrap: func(h registry.Handle) registry.Handle { return eager{h} }, cases: []string{"contract/watch", "contract/watchers", "concurrent/watchers"}},
	{name: "registration always supersedes", cases: []string{"membership/register"}, bend: bend(func(b *bent) {
		b.registerNode = func(ctx context.Context, id registry.NodeID, i registry.NodeInfo, m registry.RegisterMode) (registry.Node, error) {
			if m.Validate() == nil {
				m = registry.Supersede
			}
			return b.Handle.RegisterNode(ctx, id, i, m)
		}
	})},
	{name: "heartbeats are lost", cases: []string{"membership/heartbeat", "random/everything"}, bend: bend(func(b *bent) {
		b.heartbeat = func(ctx context.Context, n registry.NodeRef) error {
			_, _, err := b.Handle.ListActors(ctx, n, registry.Page{})
			return err
		}
	})},
	{name: "a failed node can be marked alive", cases: []string{"membership/mark-failed"}, bend: bend(func(b *bent) {
		b.markFailed = func(ctx context.Context, n registry.NodeRef) error {
			if m, _, _ := b.Handle.GetNode(ctx, n.ID); m.Standing(n) == registry.StandingFailed {
				return &registry.Refusal{Reason: registry.ErrNodeUnknown, Node: m}
			}
			return b.Handle.MarkFailed(ctx, n)
		}
	})},
	{name: "leaving twice is fine", cases: []string{"membership/deregister"}, bend: bend(func(b *bent) {
		b.deregister = func(ctx context.Context, n registry.NodeRef) error {
			err := b.Handle.DeregisterNode(ctx, n)
			if errors.Is(err, registry.ErrNodeUnknown) {
				return nil
			}
			return err
		}
	})},
	{name: "failure takes actors away", cases: []string{"membership/suspicion"}, bend: bend(func(b *bent) {
		b.markFailed = func(ctx context.Context, n registry.NodeRef) error {
			err := b.Handle.MarkFailed(ctx, n)
			if err == nil {
				for p := range registry.AllActors(ctx, b.Handle, n) {
					_ = b.Handle.Release(ctx, p.Lease())
				}
			}
			return err
		}
	})},
	{name: "incarnations share their leases", cases: []string{"membership/restart", "fencing/after-restart", "edges/crash"}, bend: bend(func(b *bent) {
		b.claim = func(ctx context.Context, a registry.ActorID, n registry.NodeRef, id registry.ClaimID) (registry.Lease, error) {
			p, _, _ := b.Handle.Lookup(ctx, a)
			if p.Held() && p.Holder.ID == n.ID && p.Holder.Epoch < n.Epoch {
				_ = b.Handle.Release(ctx, p.Lease())
			}
			return b.Handle.Claim(ctx, a, n, id)
		}
	})},
	{name: "every token is valid", cases: []string{"fencing/after-release", "fencing/after-transfer", "fencing/after-reclaim", "fencing/after-own-reclaim",
		"fencing/after-restart", "fencing/guarded-writes", "fencing/racing-writes", "edges/write"}, bend: bend(func(b *bent) {
		b.validate = func(ctx context.Context, a registry.ActorID, t registry.Token) error {
			if err := b.Handle.Validate(ctx, a, t); !errors.Is(err, registry.ErrFenced) {
				return err
			}
			return nil
		}
	})},
}

// convictions judges b and returns the cases that convicted it.
func convictions(t *testing.T, b conformance.Backend, opts ...conformance.Option) []string {
	t.Helper()
	r, err := conformance.Judge(t.Context(), b, opts...)
	require.NoError(t, err)
	var ids []string
	for _, c := range r.Cases {
		if c.Verdict == conformance.Convicted {
			ids = append(ids, c.ID())
		}
	}
	return ids
}

// A check that cannot fail proves nothing: every case of the suite is seen to
// convict a registry with one thing wrong.
func TestEveryCaseCanFail(t *testing.T) {
	var mu sync.Mutex
	failed := map[string]bool{}
	judge := func(t *testing.T, b conformance.Backend, want []string) {
		got := convictions(t, b, conformance.OnlyCases(regexp.MustCompile("^("+strings.Join(want, "|")+")$")))
		mu.Lock()
		defer mu.Unlock()
		for _, id := range want {
			assert.Contains(t, got, id)
		}
		for _, id := range got {
			failed[id] = true
		}
	}
	for _, tw := range twists {
		t.Run(tw.name, func(t *testing.T) { judge(t, twistedBackend{twist: tw}, tw.cases) })
	}
	for name, tr := range map[string]struct {
		b     troubledBackend
		cases []string
	}{
		"a crash loses the store": {troubledBackend{forgets: true}, []string{"durable/keeps-everything", "durable/after-every-step", "durable/between-rounds", "durable/many-writes", "durable/under-way",
			"durable/shown", "durable/shown-members"}},
		"a lost answer is called a failure":           {troubledBackend{liar: true}, []string{"faults/lost-answers", "faults/everything", "faults/claim-retry", "faults/members", "faults/endings"}},
		"a late request is called settled":            {troubledBackend{settles: true}, []string{"faults/late-requests", "faults/everything"}},
		"a lost answer is tried again":                {troubledBackend{retries: true}, []string{"faults/lost-answers", "faults/everything"}},
		"an unavailable store works all the same":     {troubledBackend{unavailable: true}, []string{"faults/unavailable"}},
		"a lost request is called a refusal for good": {troubledBackend{refuses: true}, []string{"faults/lost-requests"}},
	} {
		t.Run(name, func(t *testing.T) { judge(t, tr.b, tr.cases) })
	}
	t.Run("records are read in two steps", func(t *testing.T) {
		judge(t, yieldingBackend{torn: true}, []string{
			"schedules/pairs-free", "schedules/pairs-released", "schedules/pairs-live", "schedules/pairs-expiry", "schedules/pairs-last-moment",
			"schedules/pairs-reclaimable", "schedules/pairs-tick", "schedules/others", "schedules/batches", "schedules/cancelled", "schedules/triples", "schedules/triples-tick"})
	})
	for slug, cases := range map[string][]string{
		"purge-without-floor":     {"purge/late-calls", "purge/many-names", "purge/random", "purge/racing", "purge/restarts", "purge/faults"},
		"purges-whom-it-suspects": {"purge/spares"},
		"batches-not-synced":      {"durable/batches-under-way"},
	} {
		t.Run(slug, func(t *testing.T) {
			v, ok := broken.Find(slug)
			require.True(t, ok)
			judge(t, v.Backend(), cases)
		})
	}
	for _, v := range broken.All() { // seen by the test of package broken
		if v.Case != "" {
			failed[v.Section+"/"+v.Case] = true
		}
	}
	for _, s := range conformance.Sections() {
		for _, c := range s.Cases {
			assert.True(t, failed[s.Name+"/"+c.Name], "%s/%s was never seen to fail", s.Name, c.Name)
		}
	}
}

// Every rule has a case, every case has rules that exist, and names are stable
// identifiers.
func TestRulesAndCases(t *testing.T) {
	known := map[conformance.RuleID]bool{}
	for _, r := range conformance.Rules() {
		assert.False(t, known[r.ID], "rule %s is there twice", r.ID)
		known[r.ID] = true
	}
	tested := map[conformance.RuleID]bool{}
	seen := map[string]bool{}
	for _, s := range conformance.Sections() {
		for _, c := range s.Cases {
			id := s.Name + "/" + c.Name
			assert.False(t, seen[id], "case %s is there twice", id)
			seen[id] = true
			assert.Regexp(t, `^[a-z-]+/[a-z-]+$`, id)
			assert.NotEmpty(t, c.Doc, id)
			assert.NotEmpty(t, c.Rules, id)
			for _, r := range c.Rules {
				assert.True(t, known[r], "%s cites %s, which is no rule", id, r)
				tested[r] = true
			}
		}
	}
	untested := slices.DeleteFunc(conformance.Rules(), func(r conformance.Rule) bool { return tested[r.ID] })
	for _, r := range untested {
		assert.Contains(t, []conformance.RuleID{conformance.CallsReturn, conformance.Declared}, r.ID, "no case tests the rule; the engine tests these two")
	}
}
