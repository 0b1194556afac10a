package main

import (
	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/conformance/remote"
	"github.com/kelpie-registry/registry/internal/console"
	"github.com/kelpie-registry/registry/internal/usage"
)

func newServe() *cobra.Command {
	return &cobra.Command{
		Use:   "serve BACKEND",
		Short: "Serve a registry by the JSON Lines protocol, for --exec",
		Long: `Serve speaks the child's side of the protocol that conform run --exec judges, for one of this repository's registries: to try
the protocol out, and to test it against itself.`,
		Example: `  conform run --exec 'conform serve memimpl'`,
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: completes(backendNames),
		RunE: func(cmd *cobra.Command, names []string) error {
			backends, err := backendsNamed(names)
			if err != nil {
				return err
			}
			if len(backends) != 1 {
				return usage.Errorf("%s is a group, serve takes one registry", names[0])
			}
			in, err := console.Open(cmd.Context(), "-", cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer in.Close()
			return remote.Serve(cmd.Context(), in, cmd.OutOrStdout(), backends[0])
		},
	}
}
