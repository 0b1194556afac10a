package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry/conformance"
	"github.com/kelpie-registry/registry/conformance/broken"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/internal/usage"
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

// unknownName is the error for a name that does not exist, with those of names that look
// like it.
func unknownName(what, name string, names []string) error {
	if like := lookAlikes(name, names); len(like) > 0 {
		return usage.Errorf("there is no %s %q; did you mean %s?", what, name, strings.Join(like, " or "))
	}
	return usage.Errorf("there is no %s %q", what, name)
}

// lookAlikes returns at most three of names that are the fewest slips of the keyboard
// away from name, or begin with it. Cobra, which knows that of commands, is asked.
func lookAlikes(name string, names []string) []string {
	c := new(cobra.Command)
	for _, n := range names {
		c.AddCommand(&cobra.Command{Use: n, Run: func(*cobra.Command, []string) {}})
	}
	for slips := 0; name != "" && slips <= 1+len(name)/3; slips++ {
		c.SuggestionsMinimumDistance = slips
		if like := c.SuggestionsFor(name); len(like) > 0 {
			return like[:min(len(like), 3)]
		}
	}
	return nil
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

func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	return names
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

// wanted says what the flags of a type take.
var wanted = map[string]string{
	"int": "a whole number", "uint64": "a whole number from 0 on", "duration": "a duration such as 30s or 10m", "bool": "true or false",
	"level": "one of " + strings.Join(levelNames(), ", "),
}

// flagError puts a mistake in the flags into one line.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		f := value.GetFlag()
		return usage.Errorf("--%s is %q, want %s", f.Name, value.GetValue(), cmp.Or(wanted[f.Value.Type()], "a "+f.Value.Type()))
	}
	var none *pflag.NotExistError
	if errors.As(err, &none) && none.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if like := lookAlikes(none.GetSpecifiedName(), names); len(like) > 0 {
			return usage.Errorf("%w; did you mean --%s?", err, strings.Join(like, " or --"))
		}
	}
	return usage.Error{Err: err}
}
