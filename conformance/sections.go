package conformance

import (
	"slices"

	"github.com/kelpie-registry/registry/conformance/internal/sections"
)

// Section is a group of cases.
type Section struct {
	Name  string
	Doc   string
	Cases []Case
}

// Case is one thing that the suite looks at. Its name is stable.
type Case struct {
	Name  string
	Doc   string
	Rules []RuleID     // what it tests
	Needs []Capability // what the backend must have for it
}

// Sections lists every section with its cases, in the order of execution.
func Sections() []Section {
	var list []Section
	for _, s := range sections.All() {
		public := Section{Name: s.Name, Doc: s.Doc}
		for _, c := range s.Cases {
			public.Cases = append(public.Cases, Case{Name: c.Name, Doc: c.Doc, Rules: slices.Clone(c.Rules), Needs: slices.Clone(c.Needs)})
		}
		list = append(list, public)
	}
	return list
}

func sectionNames() []string {
	var names []string
	for _, s := range sections.All() {
		names = append(names, s.Name)
	}
	return names
}
