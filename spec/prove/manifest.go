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
	var errs []error
	var ids []string
	for _, p := range proofs {
		if slices.Contains(ids, p.ID) || p.ID == "" || p.Doc == "" || p.Module == "" || p.Init == "" || p.Next == "" ||
			len(p.Invariant) == 0 || len(p.Properties) == 0 || len(p.Failures) == 0 {
			errs = append(errs, fmt.Errorf("%s: proof %q is incomplete or there twice", ManifestFile, p.ID))
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
