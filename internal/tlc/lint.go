package tlc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Lint reports what is wrong between a configuration and its module. TLC
// silently ignores an assignment to a name that the module does not declare, so
// that a mutated model could be the unmutated one; here that is an error, as is
// each other name that leads nowhere. The error joins one error per finding.
func Lint(c Closure, cfg Config) error {
	constants, definitions := c.scope()
	var errs []error
	complain := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(c.Root.Name+": "+format, args...))
	}
	assigned := map[string]bool{}
	for _, a := range cfg.Constants {
		_, defined := definitions[a.Name]
		switch {
		case assigned[a.Name]:
			complain("constant %s is assigned twice", a.Name)
		case a.Substitute && !constants[a.Name] && !defined:
			complain("%s <- %s: the module has no constant and no definition %s", a.Name, a.Value, a.Name)
		case !a.Substitute && !constants[a.Name]:
			complain("%s = %s: the module declares no constant %s, and TLC would ignore it", a.Name, a.Value, a.Name)
		}
		if _, ok := definitions[a.Value]; a.Substitute && !ok {
			complain("%s <- %s: the module has no definition %s", a.Name, a.Value, a.Value)
		}
		assigned[a.Name] = true
	}
	for n := range constants {
		if !assigned[n] {
			complain("constant %s is not assigned", n)
		}
	}
	names := slices.Concat(cfg.Invariants, cfg.Properties, cfg.Constraints, cfg.ActionConstraints,
		[]string{cfg.Specification, cfg.Init, cfg.Next, cfg.Symmetry, cfg.View})
	for _, n := range names {
		if n == "" {
			continue
		}
		if params, ok := definitions[n]; !ok {
			complain("the module has no definition %s", n)
		} else if params > 0 {
			complain("%s takes parameters", n)
		}
	}
	if cfg.Symmetry != "" {
		for _, a := range cfg.Constants {
			if of, ok := partOf(a.Value, cfg.Constants); ok {
				complain("%s = %s names some of %s = %s, which TLC takes for one another (%s)", a.Name, a.Value, of.Name, of.Value, cfg.Symmetry)
			}
		}
	}
	if (cfg.Specification == "") == (cfg.Init == "" || cfg.Next == "") {
		complain("a configuration has either SPECIFICATION or INIT and NEXT")
	}
	return errors.Join(errs...)
}

var (
	someString     = regexp.MustCompile(`"[^"]*"`)
	modelValues    = regexp.MustCompile(`^\{\s*[a-z]\w*\s*(,\s*[a-z]\w*\s*)*\}$`)
	wordOfConstant = regexp.MustCompile(`[a-z]\w*`)
)

// partOf returns the set of model values among the constants of which value has some and
// not all.
func partOf(value string, constants []Assignment) (Assignment, bool) {
	has := wordOfConstant.FindAllString(someString.ReplaceAllString(value, ""), -1)
	for _, set := range constants {
		if set.Substitute || !modelValues.MatchString(set.Value) {
			continue
		}
		all := wordOfConstant.FindAllString(set.Value, -1)
		n := len(all)
		all = slices.DeleteFunc(all, func(v string) bool { return slices.Contains(has, v) })
		if len(all) > 0 && len(all) < n {
			return set, true
		}
	}
	return Assignment{}, false
}
