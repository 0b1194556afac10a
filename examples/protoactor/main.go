// Command protoactor runs virtual actors of Proto.Actor Go on several processes of one
// machine: counters, placed by a registry or by the framework's own lookup. See run.sh.
//
//	store    the process that has the registry and the actors' state: in files, or, built with
//	         the tag fdb and called with --cluster-file, in FoundationDB
//	node     a member of the cluster, which takes increments over HTTP
//	load     clients that increment until acknowledged, and then count
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/automanaged"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/examples/internal/counters"
	"github.com/kelpie-registry/registry/examples/internal/counters/infdb"
	"github.com/kelpie-registry/registry/examples/protoactor/lookup"
	"github.com/kelpie-registry/registry/keeper"
)

// cfg is the registry's: short leases, so that a demonstration is short.
var cfg = registry.Config{TTL: 2 * time.Second, Grace: 300 * time.Millisecond, MaxClockSkew: 50 * time.Millisecond, FailureTimeout: 2 * time.Second}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "protoactor", SilenceUsage: true}
	root.AddCommand(counters.Command(cfg, "127.0.0.1:7800", infdb.Elsewhere...), nodeCommand(),
		counters.Load{Nodes: "127.0.0.1:7801", Store: "127.0.0.1:7800", Clients: 24, Actors: 12, Patience: 2 * time.Second}.Command())
	if root.ExecuteContext(ctx) != nil {
		os.Exit(1)
	}
}

// node is a member of the cluster, and a gateway: it takes increments over HTTP for
// actors wherever they are, as seen from it.
type node struct {
	lookup string // registry or disthash
	store  string // address of the store
	listen string // address of the gateway
	peers  string // addresses at which the members tell that they live
	alive  int    // port at which this one does
	port   int    // for the cluster's messages; 0: any
	think  time.Duration

	direct []func(registry.Config) (counters.Backing, error) // where the registry is, if not at the store
}

// handle is the process's own of the registry, or asks the store for each call.
func (n *node) handle() (registry.Handle, error) {
	for _, open := range n.direct {
		if b, err := open(cfg); err != nil {
			return nil, err
		} else if b != nil {
			return b.Registry(cfg, keeper.SystemClock())
		}
	}
	return counters.Remote("http://"+n.store, keeper.SystemClock()), nil
}

func nodeCommand() *cobra.Command {
	var n node
	cmd := &cobra.Command{Use: "node", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return n.run(cmd.Context()) }}
	cmd.Flags().StringVar(&n.lookup, "lookup", "registry", "who places actors: registry, or disthash, the framework's own")
	cmd.Flags().StringVar(&n.store, "store", "127.0.0.1:7800", "the store's address")
	cmd.Flags().StringVar(&n.listen, "listen", "127.0.0.1:7801", "address for clients")
	cmd.Flags().StringVar(&n.peers, "peers", "127.0.0.1:7811", "for disthash: with commas, the addresses at which members tell that they live")
	cmd.Flags().IntVar(&n.alive, "alive", 7811, "for disthash: port at which this member tells that it lives")
	cmd.Flags().IntVar(&n.port, "port", 0, "port for the cluster's messages; 0: any")
	cmd.Flags().DurationVar(&n.think, "think", 0, "how long the actor's method works between its check and its write")
	for _, other := range infdb.Elsewhere {
		n.direct = append(n.direct, other(cmd.Flags()))
	}
	return cmd
}

func (n *node) run(ctx context.Context) error {
	c, ended, err := n.member()
	if err != nil {
		return err
	}
	c.StartMember()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-ended:
			slog.Warn("this is no member any more; the process ends")
			stop()
		case <-ctx.Done():
		}
	}()
	mux := http.NewServeMux()
	counters.Handle(mux, "/increment", func(_ *http.Request, q counters.Increment) (counters.Incremented, error) {
		answer, err := c.Request(q.Actor, kindName, wrapperspb.String(fmt.Sprintf("%s#%d", q.Client, q.Number)))
		if err != nil {
			return counters.Incremented{}, err
		}
		if value, ok := answer.(*wrapperspb.Int64Value); ok {
			return counters.Incremented{Value: value.Value}, nil
		}
		return counters.Incremented{}, fmt.Errorf("%v", answer)
	})
	err = counters.Serve(ctx, n.listen, mux)
	c.Shutdown(true)
	return err
}

// member makes the process's part of the cluster, and what is closed when the others
// have given it up.
func (n *node) member() (c *cluster.Cluster, ended <-chan struct{}, err error) {
	var identities cluster.IdentityLookup
	var provider cluster.ClusterProvider
	switch n.lookup {
	case "registry":
		h, err := n.handle()
		if err != nil {
			return nil, nil, err
		}
		l := lookup.New(lookup.Options{Handle: h, Config: cfg})
		identities, provider, ended = l, l.Members(), l.Done()
	case "disthash":
		identities, provider = disthash.New(), automanaged.NewWithConfig(500*time.Millisecond, n.alive, strings.Split(n.peers, ",")...)
	default:
		return nil, nil, fmt.Errorf("--lookup is %q, not registry or disthash", n.lookup)
	}
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(s *actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(os.Stderr, nil)).With("system", s.ID)
	}))
	config := cluster.Configure("counters", provider, identities, remote.Configure("127.0.0.1", n.port),
		cluster.WithKinds(counterKind("http://"+n.store, n.think)), cluster.WithRequestTimeout(time.Second))
	return cluster.New(system, config), ended, nil
}
