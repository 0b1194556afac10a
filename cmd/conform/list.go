package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
)

func newList() *cobra.Command {
	lists := map[string]func(cmd *cobra.Command){
		"sections": listSections,
		"rules":    listRules,
		"failures": listFailures,
		"backends": listBackends,
	}
	names := sortedKeys(lists)
	return &cobra.Command{
		Use:       "list [" + strings.Join(names, "|") + "]",
		Short:     "List the suite's sections and rules, and the broken registries",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, n := range names {
					lists[n](cmd)
				}
				return nil
			}
			show, ok := lists[args[0]]
			if !ok {
				return usagef("there is no list %q, want one of %s", args[0], strings.Join(names, ", "))
			}
			show(cmd)
			return nil
		},
	}
}

func listSections(cmd *cobra.Command) {
	t := newTable("section", "case", "what it does", "rules")
	for _, s := range conformance.Sections() {
		for _, c := range s.Cases {
			t.AppendRow([]any{s.Name, c.Name, c.Doc, joined(c.Rules)})
		}
		t.AppendSeparator()
	}
	fmt.Fprintln(cmd.OutOrStdout(), t.Render())
}

func listRules(cmd *cobra.Command) {
	t := newTable("rule", "contract", "text")
	for _, r := range slices.Concat(conformance.Rules(), conformance.ClientRules()) {
		t.AppendRow([]any{r.ID, r.Section, r.Text})
	}
	fmt.Fprintln(cmd.OutOrStdout(), t.Render())
}

func listFailures(cmd *cobra.Command) {
	t := newTable("id", "name", "what is wrong", "rules", "section")
	for _, v := range broken.All() {
		t.AppendRow([]any{v.ID, v.Slug, v.Title, joined(v.Breaks), v.Section})
	}
	fmt.Fprintln(cmd.OutOrStdout(), t.Render())
}

func listBackends(cmd *cobra.Command) {
	fmt.Fprintf(cmd.OutOrStdout(), "shipped: %s\n", strings.Join(shippedNames(), ", "))
	if len(apart) > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "by name only: %s\n", strings.Join(sortedKeys(apart), ", "))
	}
}

func joined[T ~string](s []T) string {
	parts := make([]string, len(s))
	for i, v := range s {
		parts[i] = string(v)
	}
	return strings.Join(parts, ", ")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
