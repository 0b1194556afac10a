// Package usage tells mistakes of a command's caller from its other failures.
package usage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry"
)

// Error is a mistake of the caller.
type Error struct{ Err error }

func (e Error) Error() string { return e.Err.Error() }

// Unwrap returns what the mistake is.
func (e Error) Unwrap() error { return e.Err }

// Errorf returns an [Error] with that text.
func Errorf(format string, args ...any) error { return Error{fmt.Errorf(format, args...)} }

// Is reports whether err is a mistake of the caller: an [Error] or an invalid argument.
func Is(err error) bool {
	var e Error
	return errors.As(err, &e) || errors.Is(err, registry.ErrInvalid)
}

// Of makes mistakes on the command line of root and its commands an [Error] in one line: of
// names that look like what is there, of arguments with how to use the command, of flags
// with what they take.
func Of(root *cobra.Command) {
	root.SetFlagErrorFunc(flagError)
	root.Args = known(root, "command")
	arguments(root)
	helpers(root)
}

// arguments makes what root and its commands say of their arguments an [Error] that
// shows how to use the command, and refuses values that no flag has a use for.
func arguments(root *cobra.Command) {
	for _, c := range append(root.Commands(), root) {
		args := c.Args
		if args == nil {
			args = cobra.ArbitraryArgs
		}
		c.Args = func(cmd *cobra.Command, a []string) error {
			err := args(cmd, a)
			switch {
			case err == nil:
				return useless(cmd)
			case Is(err):
				return err
			}
			return Errorf("%w; usage: %s", err, cmd.UseLine())
		}
	}
}

// useless refuses numbers and durations below zero, and texts that are empty, as of
// a shell's variable that is not set.
func useless(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		v, t := f.Value.String(), f.Value.Type()
		switch {
		case err != nil:
		case (t == "int" || t == "duration") && strings.HasPrefix(v, "-"):
			err = Errorf("--%s is %s, want 0 or more", f.Name, v)
		case t == "string" && v == "", t == "stringSlice" && v == "[]":
			err = Errorf("--%s is empty", f.Name)
		}
	})
	return err
}
