package broken

import (
	"context"
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/op"
)

// Mistakes of registries that know a repeated registration: another is taken for
// one, or more is done than to repeat (contract, section 3, RegisterNode).
var instances = slices.Concat(
	alike(
		Variant{
			Section: "membership", Case: "register-repeats",
			Doc:    "Contract, section 3, 14: a registration under the instance of the live one, and no other, changes nothing and returns it.",
			Breaks: rules("RegisterNode.repeated", "RegisterNode.granted", "RegisterNode.exists", "GetNode.answered", conformance.EpochFresh),
		},
		Variant{
			ID: "M203", Slug: "ended-incarnation-told-again",
			Title: "an incarnation that has ended is told again",
			bends: registering(func(_ context.Context, _ registry.Handle, c op.Call, n registry.Node) *op.Result {
				if same(c, n) {
					return told(n)
				}
				return nil
			}),
		},
		Variant{
			ID: "M204", Slug: "repetition-heartbeats",
			Title: "a repetition counts as a heartbeat",
			bends: registering(func(ctx context.Context, h registry.Handle, c op.Call, n registry.Node) *op.Result {
				if same(c, n) && n.Status == registry.NodeActive {
					_ = h.Heartbeat(ctx, n.Ref)
				}
				return nil
			}),
		},
		Variant{
			ID: "M205", Slug: "repetition-supersedes",
			Title: "a repetition with supersede is a new incarnation",
			bends: registering(func(ctx context.Context, h registry.Handle, c op.Call, n registry.Node) *op.Result {
				if same(c, n) && c.Mode == registry.Supersede {
					c.Info.Instance[1]++
				}
				r := op.Do(ctx, h, &c)
				return &r
			}),
		},
		Variant{
			ID: "M206", Slug: "half-an-instance",
			Title: "processes are told apart by the first half of their instance",
			bends: registering(func(_ context.Context, _ registry.Handle, c op.Call, n registry.Node) *op.Result {
				if n.Status == registry.NodeActive && !c.Info.Instance.IsZero() && [8]byte(c.Info.Instance[:8]) == [8]byte(n.Info.Instance[:8]) {
					return told(n)
				}
				return nil
			}),
		},
		Variant{
			ID: "M207", Slug: "no-instance-is-one",
			Title: "no instance is an instance, too",
			bends: registering(func(_ context.Context, _ registry.Handle, c op.Call, n registry.Node) *op.Result {
				if n.Status == registry.NodeActive && c.Info.Instance == n.Info.Instance {
					return told(n)
				}
				return nil
			}),
		},
	),
	[]Variant{
		{
			ID: "M338", Slug: "one-node-for-an-instance",
			Section: "membership", Case: "register-repeats",
			Title:  "a registration ends another node's under the same instance",
			Doc:    "Contract, section 3, 14: an instance names a registration of one node. A process that serves two names is taken for one that was renamed.",
			Breaks: rules("RegisterNode.granted"),
			bends: inside(func(r *request) op.Result {
				answer := r.step()
				for id, n := range r.nodes {
					if answer.Err == nil && id != r.call.Node.ID && n.Status == registry.NodeActive && same(r.call, n) {
						n.Status = registry.NodeLeft
						r.nodes[id] = n
					}
				}
				return answer
			}, op.RegisterNode),
		},
	},
)

// registering is a registration by somebody who knows the one before it.
func registering(answer func(ctx context.Context, h registry.Handle, c op.Call, known registry.Node) *op.Result) bend {
	return each(func(ctx context.Context, h registry.Handle, c op.Call) op.Result {
		if c.Kind == op.RegisterNode && c.Validate() == nil && ctx.Err() == nil {
			if known, found, err := h.GetNode(ctx, c.Node.ID); err == nil && found {
				if r := answer(ctx, h, c, known); r != nil {
					return *r
				}
			}
		}
		return pass(ctx, h, c)
	})
}

func told(n registry.Node) *op.Result { return &op.Result{Outcome: op.OK, Node: n} }

func same(c op.Call, n registry.Node) bool {
	return !c.Info.Instance.IsZero() && c.Info.Instance == n.Info.Instance
}
