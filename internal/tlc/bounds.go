package tlc

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// bounds returns one error for each mistake and each witness that lies outside the
// bounds of every entry that holds. Each is found by TLC within the bounds of its own
// entry. If those of an entry that holds are as large, it would not hold with the
// mistake made; and who makes them smaller, or drops that entry, is told so. An entry of
// purpose [Bound] lies outside in one thing, which is what it is about.
//
// It also returns one for each entry that holds and that none of these needs, since
// others cover what it covers: who dropped it would be told by nobody. kept names those
// that are there all the same.
func bounds(entries []resolved, kept map[string]string) (errs []error) {
	needed := map[string]bool{}
	for _, e := range entries {
		if e.Purpose.mustHold() {
			continue
		}
		switch by := covering(entries, e); {
		case len(by) == 1:
			needed[by[0]] = true
		case len(by) == 0 && e.Purpose == Bound:
			errs = append(errs, fmt.Errorf("%s: no entry that holds differs from it in one thing: that one is not shown to be what matters", e.ID))
		case len(by) == 0:
			errs = append(errs, fmt.Errorf("%s: no entry that holds has bounds as large: they do not show that it would fail with this", e.ID))
		}
	}
	for _, p := range entries {
		if p.Purpose.mustHold() && needed[p.ID] == (kept[p.ID] != "") {
			errs = append(errs, fmt.Errorf("%s: either a mistake needs its bounds, and no other entry's do, or kept says why it is there", p.ID))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(kept)) {
		if !slices.ContainsFunc(entries, func(p resolved) bool { return p.ID == id && p.Purpose.mustHold() }) {
			errs = append(errs, fmt.Errorf("kept names %s, which is no entry that holds", id))
		}
	}
	return errs
}

// covering lists the entries that cover e.
func covering(entries []resolved, e resolved) (ids []string) {
	for _, p := range entries {
		if p.covers(e) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// covers reports whether p holds, is about what the mistake or witness e violates,
// and searches all that e searches.
func (p resolved) covers(e resolved) bool {
	if !p.Purpose.mustHold() {
		return false
	}
	outside := 0
	count := func(within bool) {
		if !within {
			outside++
		}
	}
	count(p.concerns(e))
	count(p.begins(e))
	for _, a := range p.cfg.Constants {
		count(a.allows(e.cfg))
	}
	for _, a := range e.cfg.Constants {
		count(e.Purpose != Bound || !a.Substitute || p.cfg.has(a.Name))
	}
	return outside == 0 || outside == 1 && e.Purpose == Bound
}

// concerns reports whether p checks the property that e violates. A witness violates
// none: p has to check a module whose states it is about.
func (p resolved) concerns(e resolved) bool {
	if e.Purpose == Witness {
		return slices.ContainsFunc(e.closure.extended(), func(m Module) bool { return m.Name == p.Module })
	}
	return slices.Contains(slices.Concat(p.cfg.Invariants, p.cfg.Properties), e.Violates) &&
		p.closure.home(e.Violates) == e.closure.home(e.Violates)
}

// begins reports whether p searches the behaviours that e does, if its modules have
// those.
func (p resolved) begins(e resolved) bool {
	_, known := p.closure.Modules[e.closure.home(e.cfg.Specification)]
	return !known || p.cfg.Specification == e.cfg.Specification
}

// allows reports whether a constant of an entry that holds is no narrower than that
// of another configuration, if that has it and puts no definition in its place.
func (a Assignment) allows(other Config) bool {
	i := slices.IndexFunc(other.Constants, func(b Assignment) bool { return b.Name == a.Name })
	if i < 0 {
		return !a.Substitute
	}
	b := other.Constants[i]
	switch {
	case a.Substitute:
		return a == b
	case a.Name == "Dropped" || a.Name == "Bugs":
		return atLeast(b.Value, a.Value)
	default:
		return b.Substitute || atLeast(a.Value, b.Value)
	}
}

// has reports whether the configuration says what stands for name.
func (c Config) has(name string) bool {
	return slices.ContainsFunc(c.Constants, func(a Assignment) bool { return a.Name == name })
}

// atLeast compares the values of a constant: the same, a number that is no lower, or a
// set with all that the other has.
func atLeast(a, b string) bool {
	if x, err := strconv.Atoi(a); err == nil {
		y, err := strconv.Atoi(b)
		return err == nil && x >= y
	}
	if !strings.HasPrefix(a, "{") || !strings.HasPrefix(b, "{") {
		return a == b
	}
	has := members(a)
	return !slices.ContainsFunc(members(b), func(x string) bool { return !slices.Contains(has, x) })
}

// members lists what stands between the braces of a set of names or numbers.
func members(set string) []string {
	return strings.FieldsFunc(strings.Trim(set, "{}"), func(r rune) bool { return r == ',' || r == ' ' })
}
