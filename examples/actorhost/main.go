// Command actorhost is a small virtual-actor host: several processes on one
// machine, counters as actors, one activation of each at a time, state that
// survives kill -9 and SIGSTOP of its processes with no lost and no double
// increments. See run.sh.
//
//	store    the process that has the registry and the actors' state: in files, or, built with
//	         the tag fdb and called with --cluster-file, in FoundationDB
//	node     a host: serves counters over HTTP while it holds their leases
//	load     clients that increment until acknowledged, and then count
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/internal/counters"
	"github.com/kelpie-registry/registry/examples/internal/counters/infdb"
)

// cfg is the cluster's: short leases, so that a demonstration is short.
var cfg = registry.Config{TTL: 2 * time.Second, Grace: 300 * time.Millisecond, MaxClockSkew: 50 * time.Millisecond, FailureTimeout: 2 * time.Second}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := &cobra.Command{Use: "actorhost", SilenceUsage: true}
	root.AddCommand(counters.Command(cfg, "127.0.0.1:7700", infdb.Elsewhere...), nodeCommand(),
		counters.Load{Nodes: "127.0.0.1:7701", Store: "127.0.0.1:7700", Clients: 8, Actors: 5, Patience: cfg.TTL / 2}.Command())
	if root.ExecuteContext(ctx) != nil {
		os.Exit(1)
	}
}

func nodeCommand() *cobra.Command {
	var listen, store, id string
	var think time.Duration
	cmd := &cobra.Command{Use: "node", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)).With("node", id)
		h, err := newHost(cmd.Context(), registry.NodeID(id), "http://"+listen, "http://"+store, think, log)
		if err != nil {
			return err
		}
		return counters.Serve(cmd.Context(), listen, h.routes())
	}}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:7701", "address")
	cmd.Flags().StringVar(&store, "store", "127.0.0.1:7700", "the store's address")
	cmd.Flags().StringVar(&id, "id", "n1", "the node's name; a restarted process takes its old one")
	cmd.Flags().DurationVar(&think, "think", 0, "how long the actor's method works between its check and its write")
	return cmd
}
