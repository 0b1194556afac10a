package tlc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kelpie-registry/registry/internal/strictjson"
)

// ManifestFile is the name of the manifest in a specification folder.
const ManifestFile = "manifest.json"

// Purpose says why a configuration is checked.
type Purpose string

// The purposes.
const (
	Pass      Purpose = "pass"      // the specification as it is meant: must hold, and where actions are counted every one must fire
	Liveness  Purpose = "liveness"  // as Pass, for liveness under fairness
	Inductive Purpose = "inductive" // as Pass, from every state that satisfies the invariant; actions may be dead
	Contract  Purpose = "contract"  // as Pass, against a second formulation of the contract; actions may be dead
	Variant   Purpose = "bug"       // a known bug: must be refuted
	Conjunct  Purpose = "conjunct"  // a guard's conjunct is dropped: must be refuted
	Witness   Purpose = "witness"   // a behaviour worth having: its negation must be refuted
	Bound     Purpose = "bound"     // a constant one step below its limit: must be refuted
)

// mustHold tells the purposes whose configurations pass from the others.
func (p Purpose) mustHold() bool {
	return p == Pass || p == Liveness || p == Inductive || p == Contract
}

var purposes = []Purpose{Pass, Liveness, Inductive, Contract, Variant, Conjunct, Witness, Bound}

// Manifest lists every configuration of a specification folder and what TLC
// must say about it.
type Manifest struct {
	// Unrefuted names properties of passing entries that no entry need violate,
	// each with the reason.
	Unrefuted map[string]string `json:"unrefuted"`
	// Kept names passing entries that no mistake needs, each with the reason for
	// having it.
	Kept map[string]string `json:"kept"`
	// Evaluated names the modules of which every expression of the machine must be
	// evaluated by some entry of purpose pass: no disjunct is dead.
	Evaluated []string `json:"evaluated"`
	Checks    []Check  `json:"checks"`
}

// Check is one entry: a base configuration, changes to it, and the verdict
// expected.
type Check struct {
	ID      string  `json:"id"`
	Purpose Purpose `json:"purpose"`
	Doc     string  `json:"doc"` // one sentence: what is shown

	Module string `json:"module"`
	Config string `json:"config"` // cfg file that the entry starts from

	Spec       string            `json:"spec,omitempty"`       // replaces SPECIFICATION
	Set        map[string]string `json:"set,omitempty"`        // replaces constants; "<- Def" substitutes
	Drop       string            `json:"drop,omitempty"`       // adds this conjunct to Dropped
	Bug        string            `json:"bug,omitempty"`        // adds this variant to Bugs
	Invariants []string          `json:"invariants,omitempty"` // with Properties, replaces all that the base checks
	Properties []string          `json:"properties,omitempty"`

	Expect   Verdict `json:"expect"`
	Violates string  `json:"violates,omitempty"` // the property that must be named
	States   int64   `json:"states,omitempty"`   // exact distinct states, for an entry that holds

	// Generated is the exact number of states generated, initial ones and one for
	// each step: a step that is lost changes it though every state is still reached.
	Generated int64 `json:"generated,omitempty"`

	// Fires is exactly how many actions fire, and Dead which never do, each explained
	// in Doc: for some entries of purpose pass, at least one of each module. Counting can double an entry's time.
	Fires int      `json:"fires,omitempty"`
	Dead  []string `json:"dead,omitempty"`
}

// LoadManifest reads and checks fsys's manifest: entries must be complete and
// contradict neither themselves nor each other.
func LoadManifest(fsys fs.FS) (Manifest, error) {
	data, err := fs.ReadFile(fsys, ManifestFile)
	if err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if err := strictjson.Unmarshal(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	if len(m.Checks) == 0 {
		return Manifest{}, fmt.Errorf("%s: it has no entry", ManifestFile)
	}
	seen := map[string]bool{}
	var errs []error
	for _, c := range m.Checks {
		if err := c.validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: entry %q: %w", ManifestFile, c.ID, err))
		}
		if seen[c.ID] {
			errs = append(errs, fmt.Errorf("%s: entry %q appears twice", ManifestFile, c.ID))
		}
		seen[c.ID] = true
	}
	return m, errors.Join(errs...)
}

// Format writes the manifest with each entry on a line of its own, so that a
// change of an entry is a change of a line. What [LoadManifest] reads from it is m.
func (m Manifest) Format() ([]byte, error) {
	unrefuted, err := encode(m.Unrefuted)
	if err != nil {
		return nil, err
	}
	kept, err := encode(m.Kept)
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(m.Checks))
	for i, c := range m.Checks {
		line, err := encode(c)
		if err != nil {
			return nil, err
		}
		lines[i] = "  " + lineBreak.ReplaceAllString(line, " ")
	}
	evaluated, err := encode(m.Evaluated)
	if err != nil {
		return nil, err
	}
	const form = "{\n\"unrefuted\": %s,\n\"kept\": %s,\n\"evaluated\": %s,\n\"checks\": [\n%s\n]\n}\n"
	return fmt.Appendf(nil, form, unrefuted, kept, lineBreak.ReplaceAllString(evaluated, " "), strings.Join(lines, ",\n")), nil
}

// lineBreak is one of the encoder's: inside of a string it would be an escape.
var lineBreak = regexp.MustCompile(`\n *`)

func encode(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return strings.TrimSpace(b.String()), err
}

func (c Check) validate() error {
	switch {
	case c.ID == "" || c.Module == "" || c.Config == "" || c.Doc == "":
		return errors.New("needs id, module, config and doc")
	case !slices.Contains(purposes, c.Purpose):
		return fmt.Errorf("unknown purpose %q", c.Purpose)
	case c.Purpose.mustHold() && (c.Expect != OK || c.Violates != "" || c.Drop != "" || c.Bug != ""):
		return fmt.Errorf("purpose %q expects %q, and no drop, bug or violates", c.Purpose, OK)
	case c.Purpose.mustHold() && (c.States == 0 || c.Generated == 0):
		return errors.New("needs the exact numbers of distinct and of generated states")
	case c.Fires != 0 && c.Purpose != Pass || c.Fires == 0 && c.Dead != nil:
		return errors.New("counts actions, which is for purpose pass, or names dead ones and does not count")
	case !c.Purpose.mustHold() && (c.Expect == OK || c.Expect == Failed || c.States != 0 || c.Generated != 0 || c.Dead != nil):
		return fmt.Errorf("purpose %q expects a violation, and no states, generated or dead", c.Purpose)
	case (c.Expect == Invariant || c.Expect == Action || c.Expect == Temporal) && c.Violates == "":
		return errors.New("does not name the violated property")
	case c.Purpose == Bound && (c.Drop != "" || c.Bug != ""):
		return fmt.Errorf("purpose %q is about a constant, and makes no mistake", c.Purpose)
	case c.Purpose == Conjunct && c.Drop == "" || c.Purpose == Variant && c.Bug == "" && !c.replaces():
		return fmt.Errorf("purpose %q does not say which one", c.Purpose)
	}
	return nil
}

// replaces reports whether the entry puts another definition in a name's place.
func (c Check) replaces() bool {
	for _, v := range c.Set {
		if strings.HasPrefix(v, "<-") {
			return true
		}
	}
	return false
}

// Resolve returns the configuration that the entry describes.
func (c Check) Resolve(fsys fs.FS) (Config, error) {
	text, err := fs.ReadFile(fsys, c.Config)
	if err != nil {
		return Config{}, err
	}
	cfg, err := ParseConfig(string(text))
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", c.Config, err)
	}
	if c.Spec != "" {
		cfg.Specification = c.Spec
	}
	if c.Invariants != nil || c.Properties != nil {
		cfg.Invariants, cfg.Properties = c.Invariants, c.Properties
	}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		cfg.Set(name, c.Set[name])
	}
	if c.Drop != "" {
		cfg.add("Dropped", c.Drop)
	}
	if c.Bug != "" {
		cfg.add("Bugs", c.Bug)
	}
	if c.live() {
		cfg.Symmetry = "" // a behaviour that never does what it should may be one that symmetry leaves out
	}
	return cfg, c.checkable(cfg)
}

// Job is what decides the entry, with the configuration that [Check.Resolve] gives. What
// must happen at last is checked in a process of its own: one run in some, in a process
// that had run others, TLC found nothing where a behaviour violates the property.
func (c Check) Job(fsys fs.FS, cfg Config) Job {
	return Job{FS: fsys, Module: c.Module, Config: cfg, Alone: c.live()}
}

// live reports whether the entry is about what must happen at last.
func (c Check) live() bool { return c.Purpose == Liveness || c.Expect == Temporal }

// checkable: TLC does not say which liveness property failed, so that an entry
// which names one must check that one alone; and a named property must be there.
func (c Check) checkable(cfg Config) error {
	if c.Violates == "" {
		return nil
	}
	if c.Expect == Temporal && (len(cfg.Properties) != 1 || len(cfg.Invariants) > 0) {
		return errors.New("a liveness violation needs that property alone, for TLC does not name it")
	}
	if !slices.Contains(slices.Concat(cfg.Invariants, cfg.Properties), c.Violates) {
		return fmt.Errorf("does not check %s, which it must violate", c.Violates)
	}
	return nil
}

// Audit checks, without running TLC, what a manifest must have so that its
// passes mean something: each configuration fits its module; each property that
// a passing entry relies on is violated by some other entry, and each that a
// mistake must violate is relied on by a passing entry; no entry puts another
// definition in the place of a property; each mistake lies within the bounds of a
// passing entry, and each of those is needed by one; each action that is dead in one passing
// entry fires in another, and some entry of each module counts them; and each guard conjunct and each variant that a module
// names is refuted by an entry, and each entry names one that exists. The error
// joins one error per finding.
func Audit(fsys fs.FS, m Manifest) error {
	var errs []error
	a := audit{
		relied: map[string]string{}, violated: map[string]string{}, replaced: map[string]string{},
		fires: map[string]bool{}, counted: map[string]bool{}, named: map[string]bool{}, refuted: map[string]bool{},
		closures: map[string]Closure{},
	}
	var entries []resolved
	for _, c := range m.Checks {
		e, err := a.resolve(fsys, c)
		if err == nil {
			entries = append(entries, e)
			err = a.add(e)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.ID, err))
		}
	}
	errs = append(errs, bounds(entries, m.Kept)...)
	for _, p := range slices.Sorted(maps.Keys(a.relied)) {
		if a.violated[p] == "" && m.Unrefuted[p] == "" {
			errs = append(errs, fmt.Errorf("%s: no entry violates %s: it may be a property that cannot fail", a.relied[p], p))
		}
		if id := a.replaced[p]; id != "" {
			errs = append(errs, fmt.Errorf("%s: puts another definition in the place of %s, which is a property", id, p))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(a.violated)) {
		if a.relied[p] == "" {
			errs = append(errs, fmt.Errorf("%s: violates %s, which no passing entry checks: the contract would not have it", a.violated[p], p))
		}
	}
	for _, action := range slices.Sorted(maps.Keys(a.fires)) {
		if !a.fires[action] {
			errs = append(errs, fmt.Errorf("%s fires in no passing entry", action))
		}
	}
	for _, module := range slices.Sorted(maps.Keys(a.counted)) {
		if !a.counted[module] {
			errs = append(errs, fmt.Errorf("no passing entry of %s counts which actions fire", module))
		}
	}
	for p := range m.Unrefuted {
		if a.relied[p] == "" || a.violated[p] != "" {
			errs = append(errs, fmt.Errorf("unrefuted lists %s without need", p))
		}
	}
	for _, g := range slices.Sorted(maps.Keys(a.named)) {
		if !a.refuted[g] {
			errs = append(errs, fmt.Errorf("%s: no entry refutes the module without it", g))
		}
	}
	return errors.Join(errs...)
}

type audit struct {
	relied   map[string]string // "Module.Property" of a passing entry, to one such entry
	violated map[string]string // "Module.Property" that a mistake must violate, to one entry that has it
	replaced map[string]string // "Module.Name" that an entry defines otherwise, to one such entry
	fires    map[string]bool   // "Module.Action" that is dead in some passing entry: whether it fires in another
	counted  map[string]bool   // module of passing entries: whether one of them counts actions
	named    map[string]bool   // "Module: conjunct X", "Module: variant X" in some module
	refuted  map[string]bool   // the same, with an entry
	closures map[string]Closure
}

// resolved is an entry with the modules and the configuration that it is about.
type resolved struct {
	Check
	closure Closure
	cfg     Config
}

func (a audit) resolve(fsys fs.FS, c Check) (resolved, error) {
	closure, known := a.closures[c.Module]
	if !known {
		var err error
		if closure, err = Load(fsys, c.Module); err != nil {
			return resolved{}, err
		}
		a.closures[c.Module] = closure
	}
	cfg, err := c.Resolve(fsys)
	return resolved{c, closure, cfg}, err
}

// coverage notes which actions the entry takes. Any definition counts as one:
// only those that some entry lists as dead are asked for.
func (a audit) coverage(closure Closure, dead []string) {
	for _, m := range closure.extended() {
		for name := range m.Definitions {
			a.fires[m.Name+"."+name] = a.fires[m.Name+"."+name] || !slices.Contains(dead, name)
		}
	}
}

func (a audit) add(e resolved) error {
	c, closure, cfg := e.Check, e.closure, e.cfg
	if len(cfg.Constraints)+len(cfg.ActionConstraints) > 0 || cfg.View != "" {
		return errors.New("has a constraint or a view, which leaves out behaviours")
	}
	if set := closure.chosenFrom(cfg.Symmetry); set != "" {
		return fmt.Errorf("%s makes %s symmetric, of which some definition chooses one", cfg.Symmetry, set)
	}
	if c.Purpose.mustHold() {
		for _, p := range slices.Concat(cfg.Invariants, cfg.Properties) {
			a.relied[closure.home(p)+"."+p] = c.ID
		}
	}
	if c.Violates != "" && c.Purpose != Witness {
		a.violated[closure.home(c.Violates)+"."+c.Violates] = c.ID
	}
	for _, s := range cfg.Constants {
		if s.Substitute {
			a.replaced[closure.home(s.Name)+"."+s.Name] = c.ID
		}
	}
	if c.Purpose == Pass {
		a.counted[c.Module] = a.counted[c.Module] || c.Fires > 0
	}
	if c.Fires > 0 {
		a.coverage(closure, c.Dead)
	}
	var guards, bugs []string
	for _, m := range closure.extended() {
		guards, bugs = append(guards, m.Guards...), append(bugs, m.Bugs...)
		for _, g := range m.Guards {
			a.named[m.Name+": conjunct "+g] = true
			a.refuted[m.Name+": conjunct "+g] = a.refuted[m.Name+": conjunct "+g] || g == c.Drop
		}
		for _, b := range m.Bugs {
			a.named[m.Name+": variant "+b] = true
			a.refuted[m.Name+": variant "+b] = a.refuted[m.Name+": variant "+b] || b == c.Bug
		}
	}
	switch {
	case c.Drop != "" && !slices.Contains(guards, c.Drop):
		return fmt.Errorf("drops %q, but the module has no such conjunct", c.Drop)
	case c.Bug != "" && !slices.Contains(bugs, c.Bug):
		return fmt.Errorf("is variant %q, but the module has no such variant", c.Bug)
	}
	return Lint(closure, cfg)
}
