package counters

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelpie-registry/registry"
)

// Elsewhere adds flags that name another backing than files; open returns it, or nil if
// they name none.
type Elsewhere func(flags *pflag.FlagSet) (open func(registry.Config) (Backing, error))

// Command is the command `store` of a demonstration: it serves a store, in a folder
// unless the flags name another backing, at the address listen unless another is given.
func Command(cfg registry.Config, listen string, others ...Elsewhere) *cobra.Command {
	var dir string
	var opens []func(registry.Config) (Backing, error)
	cmd := &cobra.Command{Use: "store", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, err := openAny(dir, cfg, opens)
		if err != nil {
			return err
		}
		defer s.Close()
		return Serve(cmd.Context(), listen, s.Routes())
	}}
	cmd.Flags().StringVar(&listen, "listen", listen, "address")
	cmd.Flags().StringVar(&dir, "dir", ".", "folder of the registry and of the actors' state")
	for _, other := range others {
		opens = append(opens, other(cmd.Flags()))
	}
	return cmd
}

func openAny(dir string, cfg registry.Config, opens []func(registry.Config) (Backing, error)) (*Store, error) {
	for _, open := range opens {
		if b, err := open(cfg); err != nil {
			return nil, err
		} else if b != nil {
			return New(cfg, b), nil
		}
	}
	return Open(dir, cfg)
}
