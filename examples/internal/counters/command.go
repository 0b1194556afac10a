package counters

import (
	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry"
)

// Command is the command `store` of a demonstration: it serves a store in a folder,
// at the address listen unless another is given.
func Command(cfg registry.Config, listen string) *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: "store", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, err := Open(dir, cfg)
		if err != nil {
			return err
		}
		defer s.Close()
		return Serve(cmd.Context(), listen, s.Routes())
	}}
	cmd.Flags().StringVar(&listen, "listen", listen, "address")
	cmd.Flags().StringVar(&dir, "dir", ".", "folder of the registry and of the actors' state")
	return cmd
}
