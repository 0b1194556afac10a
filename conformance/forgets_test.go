package conformance_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// forgetter is a store that forgets whatever it may, before each call, as
// RegistryFloor.tla has it: rows, and a floor that is raised in the step that removes a
// row. Its mistakes are those of the specification's variants, and some more.
type forgetter struct{ mistake string }

func (f forgetter) Name() string { return "forgetter " + f.mistake }

func (forgetter) Dialect() dialect.Dialect { return dialect.Dialect{Forgets: true} }

func (f forgetter) New(cfg registry.Config) (conformance.Cluster, error) {
	return &forgetterCluster{forgetter: f, cfg: cfg, rows: map[registry.ActorID]reference.Record{}, members: map[registry.NodeID]reference.Member{}}, nil
}

type forgetterCluster struct {
	forgetter
	cfg registry.Config

	mu      sync.Mutex // guards the rest
	rows    map[registry.ActorID]reference.Record
	members map[registry.NodeID]reference.Member
	floor   reference.Floor
	owed    reference.Floor // what the floor is not raised by yet, by mistake
}

func (c *forgetterCluster) Close() error { return nil }

func (c *forgetterCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Match(c.cfg); err != nil {
		return nil, err
	}
	closed := false
	floor := &c.floor
	if c.mistake == "floor per process" {
		floor = new(reference.Floor)
	}
	return op.Handle(func(ctx context.Context, call op.Call) op.Result {
		if err := call.Validate(); err != nil {
			return op.Failed(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		closed = closed || call.Kind == op.Close
		switch {
		case call.Kind == op.Close:
			return op.Result{Outcome: op.OK}
		case closed:
			return op.Failed(registry.ErrClosed)
		case ctx.Err() != nil:
			return op.Failed(ctx.Err())
		}
		now := clock.Now()
		c.purge(floor, now)
		return c.answer(floor, &call, now)
	}, op.Powers{}), nil
}

// purge forgets what it may. The caller holds the mutex.
func (c *forgetterCluster) purge(floor *reference.Floor, now registry.Instant) {
	*floor = reference.Floor{Token: max(floor.Token, c.owed.Token), Version: max(floor.Version, c.owed.Version)}
	cfg := c.cfg
	if c.mistake == "forgets at the expiry" {
		cfg.Grace, cfg.MaxClockSkew = 0, 0
	}
	for actor, r := range c.rows {
		m := c.members[r.Holder.ID]
		over := floor.Over(r.Token, r.Version)
		if reference.PurgeGuard(cfg, r, m.Standing(r.Holder), over, now) != reference.Enabled {
			continue
		}
		delete(c.rows, actor)
		switch c.mistake {
		case "no floor":
		case "floor of tokens alone":
			floor.Token = over.Token
		case "floor of versions alone":
			floor.Version = over.Version
		case "floor raised later":
			c.owed = c.owed.Over(r.Token, r.Version)
		case "floor of the last":
			*floor = reference.Floor{Token: r.Token, Version: r.Version}
		default:
			*floor = over
		}
	}
}

// answer takes the call's step. The caller holds the mutex.
func (c *forgetterCluster) answer(floor *reference.Floor, call *op.Call, now registry.Instant) op.Result {
	if call.Kind.Lists() {
		return c.list(call)
	}
	row, there := c.rows[call.Actor]
	row.Actor = call.Actor
	if !there && call.Kind == op.Claim {
		row = reference.PurgeEffect(row, *floor)
	}
	cfg := c.cfg
	switch c.mistake {
	case "claims without a margin":
		cfg.MaxClockSkew = 0
	case "claims at the expiry":
		cfg.Grace = 0
	}
	v := reference.View{Record: row, Member: c.members[call.Party()]}
	v, d := reference.Step(cfg, v, call, now)
	if d == (reference.Decision{}) && call.Kind.Mutates() {
		if call.Kind.OfNode() {
			c.members[call.Node.ID] = v.Member
		} else {
			c.rows[call.Actor] = v.Record
		}
	}
	return reference.Answer(v, call, d, now)
}

// list answers with whole lists in a store of its own, which knows no more than this one.
func (c *forgetterCluster) list(call *op.Call) op.Result {
	s, err := reference.NewStore(c.cfg)
	if err != nil {
		return op.Failed(err)
	}
	var nodes []registry.Node
	for _, m := range c.members {
		nodes = append(nodes, m)
	}
	var records []registry.Placement
	for _, r := range c.rows {
		records = append(records, r)
	}
	h, openErr := s.Open(c.cfg, registry.NewManualClock(0))
	if err := errors.Join(openErr, s.Import(nodes, records)); err != nil {
		return op.Failed(err)
	}
	return op.Do(context.Background(), h, call)
}

func judgeForgetter(t *testing.T, mistake string) *conformance.Report {
	t.Helper()
	r, err := conformance.Judge(t.Context(), forgetter{mistake}, conformance.Level(conformance.Quick), conformance.Histories(30), conformance.Parallel(1),
		conformance.OnlySections("contract", "membership", "concurrent", "fencing", "random"))
	require.NoError(t, err)
	return r
}

// A store that forgets above a floor passes; without the floor, or with a wrong one, it
// is convicted, though it may forget.
func TestForgettingNeedsAFloor(t *testing.T) {
	right := judgeForgetter(t, "")
	for _, c := range right.Cases {
		assert.Nil(t, c.Conviction, "%s\n%s", c.ID(), c.Conviction)
		assert.NotEqual(t, conformance.Unknown, c.Verdict, "%s: %s", c.ID(), c.Reason)
	}
	assert.NotContains(t, right.Dialect.Stricter, "forgets")
	for _, mistake := range []string{
		"no floor", "floor raised later", "floor per process", "floor of tokens alone", "floor of versions alone", "floor of the last",
		"forgets at the expiry", "claims without a margin", "claims at the expiry",
	} {
		t.Run(mistake, func(t *testing.T) {
			r := judgeForgetter(t, mistake)
			assert.Positive(t, r.Count(conformance.Convicted))
			for _, c := range r.Cases {
				if c.Conviction != nil {
					t.Logf("%s: %s", c.ID(), c.Conviction.Rule)
				}
			}
		})
	}
}
