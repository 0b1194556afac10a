package usage

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// UnknownName is the error for a name that does not exist, with those of names that look
// like it.
func UnknownName(what, name string, names []string) error {
	if like := lookAlikes(name, names); len(like) > 0 {
		return Errorf("there is no %s %q; did you mean %s?", what, name, strings.Join(like, " or "))
	}
	return Errorf("there is no %s %q", what, name)
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

// helpers makes mistyped names for Cobra's own two commands mistakes, too.
func helpers(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = known(root, "command")
		case "completion":
			c.Args, c.RunE = known(c, "shell"), func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// known refuses what is no command of parent's.
func known(parent *cobra.Command, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if found, _, err := parent.Find(args); len(args) > 0 && (err != nil || found == parent) {
			return UnknownName(what, args[0], commandNames(parent))
		}
		return nil
	}
}

func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	return names
}

// flagError puts a mistake in the flags into one line.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		f := value.GetFlag()
		return Errorf("--%s is %q, want %s", f.Name, value.GetValue(), wanted(f.Value))
	}
	var none *pflag.NotExistError
	if errors.As(err, &none) && none.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if like := lookAlikes(none.GetSpecifiedName(), names); len(like) > 0 {
			return Errorf("%w; did you mean --%s?", err, strings.Join(like, " or --"))
		}
	}
	return Error{Err: err}
}

// Choice is a flag's value that says what it takes, such as "one of a, b".
type Choice interface{ Wanted() string }

func wanted(v pflag.Value) string {
	if c, ok := v.(Choice); ok {
		return c.Wanted()
	}
	switch v.Type() {
	case "int":
		return "a whole number"
	case "uint64":
		return "a whole number from 0 on"
	case "duration":
		return "a duration such as 30s or 10m"
	case "bool":
		return "true or false"
	}
	return "a " + v.Type()
}
