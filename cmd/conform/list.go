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
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/internal/usage"
)

func newList() *cobra.Command {
	lists := map[string]func(cmd *cobra.Command){
		"sections": listSections,
		"rules":    listRules,
		"failures": listFailures,
		"backends": listBackends,
		"dialects": listDialects,
	}
	names := sortedKeys(lists)
	return &cobra.Command{
		Use:       "list [" + strings.Join(names, "|") + "]",
		Short:     "List sections, rules, dialects and broken registries",
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
				return fmt.Errorf("%w; want one of %s", usage.UnknownName("list", args[0], names), strings.Join(names, ", "))
			}
			show(cmd)
			return nil
		},
	}
}

func listSections(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	for _, s := range conformance.Sections() {
		paragraph(w, 0, s.Name+": "+s.Doc)
		for _, c := range s.Cases {
			fmt.Fprintf(w, "  %s\n", c.Name)
			paragraph(w, 6, c.Doc)
			paragraph(w, 6, "rules: "+joined(c.Rules))
		}
		fmt.Fprintln(w)
	}
}

func listRules(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	for _, r := range slices.Concat(conformance.Rules(), conformance.ClientRules()) {
		fmt.Fprintf(w, "%s (contract, section %s)\n", r.ID, r.Section)
		paragraph(w, 6, r.Text)
	}
}

func listFailures(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	for _, v := range broken.All() {
		fmt.Fprintf(w, "%-5s %s\n", v.ID, v.Slug)
		paragraph(w, 6, v.Title)
		paragraph(w, 6, fmt.Sprintf("breaks %s; convicted in section %s", joined(v.Breaks), v.Section))
	}
}

func listBackends(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "shipped: %s\n", strings.Join(shippedNames(), ", "))
	if _, has := shipped["fdbimpl"]; !has {
		paragraph(w, 2, "fdbimpl is not in this build: "+howToBuild)
	}
	if len(apart) > 0 {
		paragraph(w, 0, "by name only: "+strings.Join(sortedKeys(apart), ", "))
	}
	paragraph(w, 0, fmt.Sprintf("broken, by id: %s (conform list failures)", strings.Join(brokenIDs(), " ")))
	paragraph(w, 0, fmt.Sprintf("right but unusual, as sound/NAME: %s", strings.Join(soundNames(), " ")))
}

func listDialects(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	for _, f := range dialect.Differences() {
		fmt.Fprintf(w, "%-17s %s\n", f.Name, f.Phrase)
		if f.Costs != "" {
			paragraph(w, 18, "not promised: "+f.Costs)
		}
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
