package prove

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kelpie-registry/registry/spec/sany"
	"github.com/kelpie-registry/registry/spec/smt"
)

// questionBound bounds a question. What can be proved takes less than half of it, and all but
// two questions of the keeper less than a fiftieth; what cannot, is seldom found out in any
// time, and a countermodel is looked for.
const questionBound = 24_000_000

// Judge says of changed modules which property of a proof no longer holds. It
// remembers what was proved, so that of each change only the obligations are asked
// that it touches. It may be used concurrently.
type Judge struct {
	Exporter sany.Exporter
	Solver   smt.Solver // z3

	mu     sync.Mutex
	proved map[[sha256.Size]byte]bool
}

// Broken returns an obligation of the proof that fails for the modules of fsys,
// with its countermodel: one of a property if there is such a one, else one of the
// invariant. It is nil when all are proved. Where an obligation is not proved and no
// countermodel is found it has the status [Unknown]. A construct that the translator
// does not know is an [*Error].
func (j *Judge) Broken(ctx context.Context, fsys fs.FS, p Proof) (*Obligation, error) {
	m, err := sany.Load(ctx, j.Exporter, fsys, p.Module)
	if err != nil {
		return nil, err
	}
	g, err := newTheory(m, p, variation{}, 0)
	if err != nil {
		return nil, err
	}
	jobs, err := g.jobs()
	if err != nil {
		return nil, err
	}
	s, err := j.Solver.Start(ctx, time.Hour, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.Bound(questionBound); err != nil {
		return nil, err
	}
	look := inspection{Judge: j, s: s, module: m, proof: p, scoped: translations{}}
	for _, properties := range []bool{true, false} {
		for _, job := range jobs {
			if err := look.job(job, properties); err != nil {
				return nil, fmt.Errorf("%s: %w", job.action, err)
			}
			if look.failed != nil && look.failed.Status == Failed {
				return look.failed, nil
			}
		}
	}
	return look.failed, nil
}

// inspection is one call of Broken.
type inspection struct {
	*Judge
	s      *smt.Session
	module *sany.Module
	proof  Proof
	scoped translations
	failed *Obligation // what was not proved first
}

// job asks about the job's properties, or about the invariant's conjuncts, until one fails.
func (i *inspection) job(j *job, properties bool) error {
	var premises canonical
	for _, list := range [][]*smt.Term{j.theory.assumed, j.theory.facts, j.branch.conds, j.assumed(false)} {
		premises.add(list...)
	}
	for _, f := range j.goals {
		if slices.Contains(i.proof.Properties, f.name) != properties || i.failed != nil && i.failed.Status == Failed {
			continue
		}
		question := premises.clone()
		question.add(f.term)
		if f.redundant {
			question.add(j.assumed(true)...)
		}
		if !i.known(question.sum) {
			if err := i.ask(j, f, question.sum); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	return nil
}

func (i *inspection) ask(j *job, f formula, key [sha256.Size]byte) error {
	if err := j.open(i.s); err != nil {
		return err
	}
	if f.redundant {
		if err := i.s.Assert(j.assumed(true)...); err != nil {
			return err
		}
	}
	v, err := j.denied(i.s, f)
	if err != nil {
		return err
	}
	if err := i.s.Pop(); err != nil {
		return err
	}
	if v == smt.Unsat {
		i.remember(key)
		return nil
	}
	h := hunt{action: j.action, breaks: f.name}
	for scope := 1; scope <= maxScope && !h.found; scope++ {
		if err := h.try(i.s, i.scoped, i.module, i.proof, scope); err != nil {
			return err
		}
	}
	o := Obligation{Action: j.action, Property: f.name, Status: Unknown, Step: h.step}
	if h.found {
		o.Status = Failed
	}
	if h.found || i.failed == nil {
		i.failed = &o
	}
	return nil
}

func (j *Judge) known(key [sha256.Size]byte) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.proved[key]
}

func (j *Judge) remember(key [sha256.Size]byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.proved == nil {
		j.proved = map[[sha256.Size]byte]bool{}
	}
	j.proved[key] = true
}

// canonical is a list of terms whose symbols are numbered by their first place in it:
// a change elsewhere in the module renumbers them, and changes nothing here.
type canonical struct {
	names map[string]string
	sum   [sha256.Size]byte // of the terms so far
}

var numbered = regexp.MustCompile(`[^|() ]*![0-9]+`)

func (c *canonical) add(terms ...*smt.Term) {
	if c.names == nil {
		c.names = map[string]string{}
	}
	h := sha256.New()
	h.Write(c.sum[:])
	for _, x := range terms {
		fmt.Fprintln(h, numbered.ReplaceAllStringFunc(x.String(), c.number))
	}
	h.Sum(c.sum[:0])
}

func (c *canonical) number(name string) string {
	if _, ok := c.names[name]; !ok {
		c.names[name] = fmt.Sprintf("%s!%d", name[:strings.LastIndexByte(name, '!')], len(c.names))
	}
	return c.names[name]
}

func (c *canonical) clone() *canonical { return &canonical{maps.Clone(c.names), c.sum} }
