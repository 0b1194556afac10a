package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/usage"
)

func (t *tool) force() *cobra.Command {
	var token uint64
	var confirmed string
	cmd := &cobra.Command{
		Use:   "force-release-breaking-grace NAMESPACE NAME --token TOKEN --holder-is-dead NAMESPACE/NAME",
		Short: "DANGER: take an actor away from its holder before its lease and grace are over",
		Long: `Force-release-breaking-grace takes an actor away from its holder at once. THE
CONTRACT'S PROMISE THAT AN ACTOR RUNS ON ONE NODE AT A TIME IS BROKEN if the holder
still runs it: nothing here can check that. A lease that nobody renews ends by
itself after TTL + grace + twice the skew; wait for that if you can.

It needs the token of the tenure (see lookup), so that it cannot hit a later one,
and the actor's name once more behind --holder-is-dead. The token grows by one:
guarded writes of the old tenure are refused from then on.`,
		Args: cobra.ExactArgs(2),
		RunE: t.with(func(cmd *cobra.Command, s store, args []string) error {
			actor, err := actorNamed(args)
			switch {
			case err != nil:
				return err
			case token == 0:
				return usage.Errorf("--token says which tenure to end, and is missing")
			case confirmed != actor.String():
				return usage.Errorf("--holder-is-dead must repeat %s: the holder runs it no more, and you are sure", actor)
			}
			p, err := s.ForceRelease(cmd.Context(), actor, registry.Token(token))
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s was taken away\n", actor)
			return t.printRecord(cmd.OutOrStdout(), p)
		}),
	}
	cmd.Flags().Uint64Var(&token, "token", 0, "the token of the tenure to end")
	cmd.Flags().StringVar(&confirmed, "holder-is-dead", "", "NAMESPACE/NAME once more")
	return cmd
}
