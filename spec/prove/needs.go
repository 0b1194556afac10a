package prove

import (
	"context"
	"slices"

	"github.com/kelpie-registry/registry/spec/sany"
)

// Need says what fails when one conjunct is taken away.
type Need struct {
	Failure Failure // the conjunct: its Drop or Without
	Fails   []Obligation
}

// needs takes each conjunct of the guards and of the invariant away, one at a
// time, and asks for everything again.
func needs(ctx context.Context, opts Options, m *sany.Module, g *theory) ([]Need, error) {
	var out []Need
	for _, name := range literalsOf(m, "Guard") {
		out = append(out, Need{Failure: Failure{Drop: name}})
	}
	for _, f := range g.invariant {
		out = append(out, Need{Failure: Failure{Without: f.name}})
	}
	for i := range out {
		if err := out[i].find(ctx, opts, m, g); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (n *Need) find(ctx context.Context, opts Options, m *sany.Module, g *theory) error {
	h := g
	if n.Failure.Drop != "" {
		var err error
		if h, err = newTheory(m, g.proof, variation{drop: n.Failure.Drop}, 0); err != nil {
			return err
		}
	}
	jobs, err := h.jobs()
	if err != nil {
		return err
	}
	for _, j := range jobs {
		j.assume = slices.DeleteFunc(slices.Clone(j.assume), func(f formula) bool { return f.name == n.Failure.Without })
	}
	if err := askOne(ctx, opts, opts.Solver, jobs, (*job).ask); err != nil {
		return err
	}
	var r ProofResult
	r.collect(jobs)
	n.Fails = slices.DeleteFunc(r.Obligations, func(o Obligation) bool { return o.Status == Proved })
	return nil
}
