package broken

import (
	"slices"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/op"
	"github.com/kelpie-registry/registry/reference"
)

// bend is a mistake: it changes a sound cluster, which has nobody's actors yet,
// into a wrong one. State that it needs belongs to the cluster.
type bend func(*cluster)

// both is a mistake that shows in two places.
func both(one, other bend) bend {
	return func(c *cluster) { one(c); other(c) }
}

// law is the specification's step in its three parts.
type law struct {
	repeats func(attempt) bool
	guard   func(attempt) reference.Guard
	effect  func(attempt) reference.View
}

var specified = law{
	repeats: func(a attempt) bool { return reference.Repeats(a.cfg, a.View, &a.Call, a.now) },
	guard:   func(a attempt) reference.Guard { return reference.Check(a.cfg, a.View, &a.Call, a.now) },
	effect:  func(a attempt) reference.View { return reference.Effect(a.cfg, a.View, &a.Call, a.now) },
}

func (l *law) decide(a attempt) reference.Decision {
	if l.repeats(a) {
		return reference.Decision{Repeats: true}
	}
	return reference.Decision{Guard: l.guard(a)}
}

// attempt is all that a step rests on.
type attempt struct {
	by  *handle // for mistakes that look at more
	cfg registry.Config
	reference.View
	op.Call
	now registry.Instant
}

func (a attempt) kind() op.Kind { return a.Call.Kind }

func (r *request) kind() op.Kind { return r.call.Kind }

// answer is what the attempt is answered when it was decided so.
func (a attempt) answer(d reference.Decision) op.Result {
	return reference.Answer(a.View, &a.Call, d, a.now)
}

// newcomer is the node that a claim or a transfer would make the holder.
func (a *attempt) newcomer() *registry.NodeRef {
	if a.Kind == op.Transfer {
		return &a.To
	}
	return &a.Call.Node
}

// lapsed reports whether the record's lease is over for its holder.
func (a *attempt) lapsed() bool { return a.now >= a.Record.Expiry.Add(a.cfg.Grace) }

// Bends of the law, for some operations.

// judging is a guard that judges another attempt than the one that is made.
func judging(pretend func(*attempt), kinds ...op.Kind) bend {
	return guarding(func(a attempt) reference.Guard {
		pretend(&a)
		return specified.guard(a)
	}, kinds...)
}

// guarding is another guard.
func guarding(guard func(attempt) reference.Guard, kinds ...op.Kind) bend {
	return func(c *cluster) { c.law.guard = forKinds(guard, c.law.guard, attempt.kind, kinds) }
}

// repeating is an operation that takes other calls for repetitions than it should.
func repeating(repeats func(attempt) bool, kinds ...op.Kind) bend {
	return func(c *cluster) { c.law.repeats = forKinds(repeats, c.law.repeats, attempt.kind, kinds) }
}

// neverRepeating is an operation that knows no repetition.
func neverRepeating(kinds ...op.Kind) bend {
	return repeating(func(attempt) bool { return false }, kinds...)
}

// starting is an effect that starts from something else than what is there.
func starting(from func(*attempt), kinds ...op.Kind) bend {
	return affecting(func(a attempt) reference.View {
		from(&a)
		return specified.effect(a)
	}, kinds...)
}

// leaving is an effect after which something is not as it should be.
func leaving(wrong func(before attempt, after *reference.View), kinds ...op.Kind) bend {
	return affecting(func(a attempt) reference.View {
		after := specified.effect(a)
		wrong(a, &after)
		return after
	}, kinds...)
}

func affecting(effect func(attempt) reference.View, kinds ...op.Kind) bend {
	return func(c *cluster) { c.law.effect = forKinds(effect, c.law.effect, attempt.kind, kinds) }
}

// Bends of the way of a call.

// outside is what some operations do before they take the mutex, after they
// let go of it, or instead. The sound rest is [request.serve].
func outside(wrong func(*request) op.Result, kinds ...op.Kind) bend {
	return func(c *cluster) { c.outside = forKinds(wrong, c.outside, (*request).kind, kinds) }
}

// inside is what some operations do in the critical section. The sound rest is
// [request.step].
func inside(wrong func(*request) op.Result, kinds ...op.Kind) bend {
	return func(c *cluster) { c.inside = forKinds(wrong, c.inside, (*request).kind, kinds) }
}

// forKinds is wrong for those kinds of operations, and as it was for the others.
func forKinds[A, R any](wrong, former func(A) R, kind func(A) op.Kind, kinds []op.Kind) func(A) R {
	return func(a A) R {
		if slices.Contains(kinds, kind(a)) {
			return wrong(a)
		}
		return former(a)
	}
}

// answering is an answer that is not what came of the call.
func answering(wrong func(r *request, answer *op.Result), kinds ...op.Kind) bend {
	return outside(func(r *request) op.Result {
		answer := r.serve()
		wrong(r, &answer)
		return answer
	}, kinds...)
}

// Bends of the state, and of what a handle takes for granted.

// naming is another key to store a record under.
func naming(key func(registry.ActorID) string) bend {
	return func(c *cluster) { c.key = key }
}

// losing is what a crash takes with it.
func losing(lose func(*cluster)) bend {
	return func(c *cluster) { c.crash = func() { lose(c) } }
}

// matching is another comparison of a handle's configuration with the cluster's.
func matching(match func(given, store registry.Config) error) bend {
	return func(c *cluster) { c.match = match }
}
