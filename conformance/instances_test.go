package conformance_test

import (
	"context"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// middleware is the reference with every call of its handles passed through a function.
type middleware func(ctx context.Context, h registry.Handle, c op.Call) op.Result

func (middleware) Name() string { return "reference" }

func (m middleware) New(cfg registry.Config) (conformance.Cluster, error) {
	store, err := reference.NewStore(cfg)
	return &middlewareCluster{m, store}, err
}

type middlewareCluster struct {
	through middleware
	store   *reference.Store
}

func (c *middlewareCluster) Close() error { return nil }

func (c *middlewareCluster) Open(cfg registry.Config, clock registry.Clock) (registry.Handle, error) {
	h, err := c.store.Open(cfg, clock)
	if err != nil {
		return nil, err
	}
	return op.Handle(func(ctx context.Context, call op.Call) op.Result { return c.through(ctx, h, call) }, op.PowersOf(h)), nil
}

// Registries that know a repeated registration, and mistake another for one or do
// more than repeat (contract, section 3, RegisterNode).
func TestMistakesWithInstances(t *testing.T) {
	register := func(bend func(ctx context.Context, h registry.Handle, c op.Call, known registry.Node) *op.Result) middleware {
		return func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			if c.Kind == op.RegisterNode && c.Validate() == nil && ctx.Err() == nil {
				if known, found, err := h.GetNode(ctx, c.Node.ID); err == nil && found {
					if r := bend(ctx, h, c, known); r != nil {
						return *r
					}
				}
			}
			return op.Do(ctx, h, &c)
		}
	}
	told := func(n registry.Node) *op.Result { return &op.Result{Outcome: op.OK, Node: n} }
	same := func(c op.Call, n registry.Node) bool {
		return !c.Info.Instance.IsZero() && c.Info.Instance == n.Info.Instance
	}
	for name, m := range map[string]middleware{
		"an incarnation that has ended is told again": register(func(_ context.Context, _ registry.Handle, c op.Call, n registry.Node) *op.Result {
			if same(c, n) {
				return told(n)
			}
			return nil
		}),
		"a repetition counts as a heartbeat": register(func(ctx context.Context, h registry.Handle, c op.Call, n registry.Node) *op.Result {
			if same(c, n) && n.Status == registry.NodeActive {
				_ = h.Heartbeat(ctx, n.Ref)
			}
			return nil
		}),
		"a repetition with supersede is a new incarnation": register(func(ctx context.Context, h registry.Handle, c op.Call, n registry.Node) *op.Result {
			if same(c, n) && c.Mode == registry.Supersede {
				c.Info.Instance[1]++
			}
			r := op.Do(ctx, h, &c)
			return &r
		}),
		"processes are told apart by the first half of their instance": register(func(_ context.Context, _ registry.Handle, c op.Call, n registry.Node) *op.Result {
			if n.Status == registry.NodeActive && !c.Info.Instance.IsZero() && [8]byte(c.Info.Instance[:8]) == [8]byte(n.Info.Instance[:8]) {
				return told(n)
			}
			return nil
		}),
		"no instance is an instance, too": register(func(_ context.Context, _ registry.Handle, c op.Call, n registry.Node) *op.Result {
			if n.Status == registry.NodeActive && c.Info.Instance == n.Info.Instance {
				return told(n)
			}
			return nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := conformance.Judge(t.Context(), m, conformance.OnlyCases(regexp.MustCompile("^membership/register-repeats$")))
			require.NoError(t, err)
			require.Len(t, r.Cases, 1)
			assert.Equal(t, conformance.Convicted, r.Cases[0].Verdict, r.Cases[0].Reason)
		})
	}
	t.Run("none", func(t *testing.T) {
		m := middleware(func(ctx context.Context, h registry.Handle, c op.Call) op.Result { return op.Do(ctx, h, &c) })
		r, err := conformance.Judge(t.Context(), m, conformance.OnlySections("membership", "random"))
		require.NoError(t, err)
		assert.Zero(t, r.Count(conformance.Convicted)+r.Count(conformance.Unknown))
	})
	t.Run("a registry without instances is not asked", func(t *testing.T) {
		m := middleware(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
			c.Info.Instance = registry.InstanceID{}
			return op.Do(ctx, h, &c)
		})
		r, err := conformance.Judge(t.Context(), m, conformance.OnlySections("membership", "random"))
		require.NoError(t, err)
		assert.Zero(t, r.Count(conformance.Convicted)+r.Count(conformance.Unknown))
		assert.Equal(t, 1, r.Count(conformance.Skipped), "register-repeats")
	})
}
