// Package usage tells mistakes of a command's caller from its other failures.
package usage

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

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

// OfArguments makes what root and its commands say of their arguments an [Error].
func OfArguments(root *cobra.Command) {
	for _, c := range append(root.Commands(), root) {
		if args := c.Args; args != nil {
			c.Args = func(cmd *cobra.Command, a []string) error {
				if err := args(cmd, a); err != nil {
					return Error{err}
				}
				return nil
			}
		}
	}
}
