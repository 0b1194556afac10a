package prove

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// Where a solver is to find a model, and not to find that there is none,
// quantifiers over infinite sets are its undoing. There a module is translated
// with sets of at most scope elements each: what remains has few quantifiers or
// none, and a model of it is one of the module all the same.
const maxScope = 3

// hunt looks for a model with small sets: a state that satisfies the invariant,
// and from there a step of an action after which a formula is false. Without a
// formula any step will do.
type hunt struct {
	action string
	breaks string // "" for any step
	change variation
	found  bool
	step   *Step // of what is broken
}

// translations has the theories that one process of the solver asks about, by
// what they change and by scope. They are not shared: pictures translate more.
type translations map[string][]*job

func (c translations) jobs(m *sany.Module, p Proof, change variation, scope int) ([]*job, error) {
	key := fmt.Sprint(scope, change.drop, "/", change.bug, "/", change.assume)
	if jobs, ok := c[key]; ok {
		return jobs, nil
	}
	g, err := newTheory(m, p, change, scope)
	if err != nil {
		return nil, err
	}
	c[key], err = g.jobs()
	return c[key], err
}

// seek carries out hunts, several at a time.
func seek(ctx context.Context, opts Options, m *sany.Module, p Proof, hunts []*hunt) error {
	queue := make(chan *hunt, len(hunts))
	for _, h := range hunts {
		queue <- h
	}
	close(queue)
	g, ctx := errgroup.WithContext(ctx)
	for range opts.Workers {
		g.Go(func() error {
			s, err := opts.Solver.Start(ctx, opts.Limit, nil)
			if err != nil {
				return err
			}
			defer s.Close()
			c := translations{}
			for h := range queue {
				for scope := 1; scope <= maxScope && !h.found; scope++ {
					if err := h.try(s, c, m, p, scope); err != nil {
						return fmt.Errorf("%s %s: %w", h.action, h.breaks, err)
					}
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (h *hunt) try(s *smt.Session, c translations, m *sany.Module, p Proof, scope int) error {
	jobs, err := c.jobs(m, p, h.change, scope)
	if err != nil {
		return err
	}
	known := false
	for _, j := range jobs {
		if j.action != h.action || h.found {
			continue
		}
		if h.breaks == "" {
			known = true
			if err := h.possible(s, j); err != nil {
				return err
			}
			continue
		}
		for _, f := range j.goals {
			if f.name == h.breaks && !h.found {
				known = true
				if err := h.broken(s, j, f); err != nil {
					return err
				}
			}
		}
	}
	if !known {
		return fmt.Errorf("there is no such obligation")
	}
	return nil
}

// open pushes a level with everything that is assumed before and of the step.
func (h *hunt) open(s *smt.Session, j *job) error {
	if err := s.Push(); err != nil {
		return err
	}
	g := j.theory
	for _, f := range j.assume {
		if f.name == h.change.without {
			continue
		}
		if err := s.Assert(f.term); err != nil {
			return err
		}
	}
	return s.Assert(append(append(append([]*smt.Term{}, g.assumed...), g.facts...), j.branch.conds...)...)
}

func (h *hunt) possible(s *smt.Session, j *job) error {
	if err := h.open(s, j); err != nil {
		return err
	}
	v, err := s.Check()
	if err != nil {
		return err
	}
	h.found = v == smt.Sat
	return s.Pop()
}

func (h *hunt) broken(s *smt.Session, j *job, f formula) error {
	var ways []breach
	g := j.theory
	if err := g.guarded(func() { ways = g.breaches(f.expr, f.env, breach{}) }); err != nil {
		return err
	}
	if err := h.open(s, j); err != nil {
		return err
	}
	for _, w := range ways {
		if err := s.Push(); err != nil {
			return err
		}
		if err := s.Assert(append(g.facts, w.conds...)...); err != nil {
			return err
		}
		v, err := s.Check()
		if err != nil {
			return err
		}
		if v == smt.Sat {
			h.found = true
			h.step, err = draw(s, j, f, w)
			if err != nil {
				return err
			}
		}
		if err := s.Pop(); err != nil {
			return err
		}
		if h.found {
			break
		}
	}
	return s.Pop()
}
