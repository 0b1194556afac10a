package prove

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/kelpie-registry/registry/internal/strictjson"
)

// ManifestFile is the name of the list of proofs in a specification folder.
const ManifestFile = "proofs.json"

// Proof is one entry of the manifest: an inductive invariant of a module, what
// it implies, and what must fail when something that it needs is taken away.
type Proof struct {
	ID     string `json:"id"`
	Doc    string `json:"doc"` // one sentence: what is proven
	Module string `json:"module"`
	Init   string `json:"init"`
	Next   string `json:"next"`
	// Types names the definitions whose conjuncts x \in S say what kind of value
	// each variable has.
	Types []string `json:"types"`
	// Assume names definitions about the constants, assumed besides the
	// assumptions of the modules.
	Assume []string `json:"assume"`
	// Invariant names the definitions whose conjunction is inductive.
	Invariant []string `json:"invariant"`
	// Properties names state predicates, which the invariant must imply, and
	// formulas [][A]_v, for which every step from it must satisfy A.
	Properties []string `json:"properties"`
	// Failures are the obligations that must fail.
	Failures []Failure `json:"failures"`
	// Redundant names the conjuncts of the invariant that nothing needs but they
	// themselves, each with the reason for having it. Everything else is proved
	// without assuming them.
	Redundant map[string]string `json:"redundant,omitempty"`

	// Tables names properties that say all that a step changes and leaves alone: a step
	// that does one thing else must break one of them.
	Tables []string `json:"tables,omitempty"`
	// Loose names what a step may do besides without their noticing, each with the reason.
	Loose map[string]string `json:"loose,omitempty"`

	// Like makes this entry that of another, before it, with the differences that
	// are given here: its own Doc and Failures, Assume if there is one, and those
	// that follow. What each conjunct is needed for is the other's business, and
	// none is called redundant.
	Like string `json:"like,omitempty"`
	// Dropped names conjuncts of guards that are left out.
	Dropped []string `json:"dropped,omitempty"`
	// Replace puts a definition of the module into the place of another, as a
	// configuration's <- does.
	Replace map[string]string `json:"replace,omitempty"`
	// Except names the properties of the other that are not shown: each is one that
	// falls with what is dropped, as a failure of the other says.
	Except []string `json:"except,omitempty"`
}

// complete is the entry with what it has of the one that it is like.
func (p Proof) complete(earlier []Proof) (Proof, error) {
	if p.Like == "" {
		return p, nil
	}
	i := slices.IndexFunc(earlier, func(o Proof) bool { return o.ID == p.Like })
	if i < 0 || earlier[i].Like != "" {
		return p, fmt.Errorf("no proof %q before it that is like no other", p.Like)
	}
	of := earlier[i]
	for _, name := range p.Except {
		if !slices.Contains(of.Properties, name) {
			return p, fmt.Errorf("%q, which is excepted, is no property of %s", name, p.Like)
		}
		falls := func(f Failure) bool { return f.Breaks == name && slices.Contains(p.Dropped, f.Drop) }
		if !slices.ContainsFunc(of.Failures, falls) {
			return p, fmt.Errorf("%q is excepted, and no failure of %s shows that it falls with what is dropped", name, p.Like)
		}
	}
	own := p
	p = of
	p.ID, p.Doc, p.Like, p.Failures, p.Redundant = own.ID, own.Doc, own.Like, own.Failures, nil
	p.Dropped, p.Replace, p.Except = own.Dropped, own.Replace, own.Except
	if len(own.Assume) > 0 {
		p.Assume = own.Assume
	}
	p.Properties = slices.DeleteFunc(slices.Clone(of.Properties), func(name string) bool { return slices.Contains(own.Except, name) })
	return p, nil
}

// Failure takes one thing away from a proof and names the obligation that fails
// then. Exactly one of Drop, Without, Bug and Instead is set.
type Failure struct {
	Doc     string   `json:"doc,omitempty"`
	Drop    string   `json:"drop,omitempty"`    // a guard's conjunct: the constant Dropped has it
	Bug     string   `json:"bug,omitempty"`     // a variant: the constant Bugs has it
	Without string   `json:"without,omitempty"` // a conjunct of the invariant, not assumed
	Instead []string `json:"instead,omitempty"` // replaces Assume
	Action  string   `json:"action,omitempty"`  // whose step breaks it; none for a state predicate
	Breaks  string   `json:"breaks"`            // the property, or the invariant's conjunct
}

// Name says what is taken away.
func (f Failure) Name() string {
	switch {
	case f.Drop != "":
		return "guard without " + f.Drop
	case f.Bug != "":
		return "variant " + f.Bug
	case f.Without != "":
		return "invariant without " + f.Without
	default:
		return "assuming " + fmt.Sprint(f.Instead)
	}
}

func (f Failure) validate() error {
	given := 0
	for _, set := range []bool{f.Drop != "", f.Bug != "", f.Without != "", len(f.Instead) > 0} {
		if set {
			given++
		}
	}
	if given != 1 || f.Breaks == "" {
		return fmt.Errorf("failure %q: want one of drop, bug, without and instead, and what it breaks", f.Name())
	}
	return nil
}

// LoadManifest reads and checks the list of proofs of a specification folder.
func LoadManifest(fsys fs.FS) ([]Proof, error) {
	data, err := fs.ReadFile(fsys, ManifestFile)
	if err != nil {
		return nil, err
	}
	var proofs []Proof
	if err := strictjson.Unmarshal(data, &proofs); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	if len(proofs) == 0 {
		return nil, fmt.Errorf("%s: it has no proof", ManifestFile)
	}
	var errs []error
	var ids []string
	for i, p := range proofs {
		p, err := p.complete(proofs[:i])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: proof %s: %w", ManifestFile, p.ID, err))
			continue
		}
		proofs[i] = p
		if slices.Contains(ids, p.ID) || p.ID == "" || p.Doc == "" || p.Module == "" || p.Init == "" || p.Next == "" ||
			len(p.Invariant) == 0 || len(p.Properties) == 0 || len(p.Failures) == 0 {
			errs = append(errs, fmt.Errorf("%s: proof %q is incomplete or there twice", ManifestFile, p.ID))
		}
		if len(p.Assume) > 0 && !slices.ContainsFunc(p.Failures, func(f Failure) bool { return len(f.Instead) > 0 }) {
			errs = append(errs, fmt.Errorf("%s: proof %s: no failure shows that it needs what it assumes", ManifestFile, p.ID))
		}
		ids = append(ids, p.ID)
		for _, f := range p.Failures {
			if err := f.validate(); err != nil {
				errs = append(errs, fmt.Errorf("%s: proof %s: %w", ManifestFile, p.ID, err))
			}
		}
	}
	return proofs, errors.Join(errs...)
}
