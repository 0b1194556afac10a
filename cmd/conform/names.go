package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
	"github.com/kelpie-registry/registry/dialect"
)

// module is the path of this module, for lines that work outside of a clone.
const module = "github.com/kelpie-registry/registry"

// program is how this command was called, for lines that can be typed again.
var program = "conform"

// calledAs is what a person types to start the binary at path, which is os.Args[0],
// built with those tags.
func calledAs(path, tags string) string {
	switch {
	case !strings.Contains(path, "go-build"): // bin/conform, or conform in PATH
		return path
	case slices.Contains(strings.Split(filepath.ToSlash(path), "/"), "exe"): // where go run puts what it builds
		return strings.Join(strings.Fields("go run "+tagsFlag(tags)+" "+module+"/cmd/conform"), " ")
	default: // in go's build cache
		return "go tool conform"
	}
}

func tagsFlag(tags string) string {
	if tags == "" {
		return ""
	}
	return "-tags " + tags
}

func buildTags() string { return buildSetting("-tags") }

func buildSetting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// version tells the module's version, the Go that built this binary, and the tags.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of an unknown build"
	}
	v := cmp.Or(info.Main.Version, "(devel)")
	if info.Main.Path != module {
		v = "(devel)"
		for _, m := range info.Deps {
			if m.Path == module {
				v = m.Version
			}
		}
	}
	return fmt.Sprintf("%s, %s, build tags: %s", v, info.GoVersion, cmp.Or(buildTags(), "none"))
}

// once leaves out what has the name of something before it.
func once[T any](list []T, name func(T) string) []T {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(x T) bool {
		was := seen[name(x)]
		seen[name(x)] = true
		return was
	})
}

// backendNames lists what conform run takes: registries, groups, broken ones by id.
func backendNames() []string {
	names := slices.Concat(shippedNames(), sortedKeys(apart), []string{"shipped", "broken"}, brokenIDs())
	for _, n := range soundNames() {
		names = append(names, "sound/"+n)
	}
	return names
}

func brokenIDs() []string {
	var ids []string
	for _, v := range broken.All() {
		ids = append(ids, v.ID)
	}
	return ids
}

// caseIDs lists the cases of those sections, of all when there are none.
func caseIDs(sections []string) []string {
	var ids []string
	for _, s := range conformance.Sections() {
		if len(sections) > 0 && !slices.Contains(sections, s.Name) {
			continue
		}
		for _, c := range s.Cases {
			ids = append(ids, s.Name+"/"+c.Name)
		}
	}
	return ids
}

func sectionNames() []string {
	var names []string
	for _, s := range conformance.Sections() {
		names = append(names, s.Name)
	}
	return names
}

func ruleIDs() []string {
	var ids []string
	for _, r := range conformance.Rules() {
		ids = append(ids, string(r.ID))
	}
	return ids
}

func levelNames() []string {
	var names []string
	for _, e := range conformance.Efforts() {
		names = append(names, string(e))
	}
	return names
}

// dialectNames are the differences, and the dialect without any.
func dialectNames() []string {
	names := []string{"contract"}
	for _, f := range dialect.Differences() {
		names = append(names, f.Name)
	}
	return names
}

// completes offers names as completions.
func completes(names func() []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names(), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag offers names as completions of a flag that cmd has.
func completeFlag(cmd *cobra.Command, flag string, names func() []string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, completes(names)); err != nil {
		panic(err) // the flag does not exist
	}
}

// completeList offers names as completions of what follows the last comma.
func completeList(cmd *cobra.Command, flag string, names func() []string) {
	offer := func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		before := begun[:strings.LastIndex(begun, ",")+1]
		list := names()
		for i := range list {
			list[i] = before + list[i]
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	if err := cmd.RegisterFlagCompletionFunc(flag, offer); err != nil {
		panic(err) // the flag does not exist
	}
}
