package keeper_test

import (
	"context"
	"fmt"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/keeper"
	"github.com/kelpie-registry/registry/memimpl"
)

// A node joins, holds an actor, serves it, and hands it on.
func Example() {
	ctx := context.Background()
	cfg := registry.DefaultConfig()
	store, err := memimpl.New(cfg)
	if err != nil {
		panic(err)
	}
	h, err := store.Open(cfg, registry.SystemClock())
	if err != nil {
		panic(err)
	}

	agent, err := keeper.Join(ctx, h, cfg, "node-1", keeper.AgentOptions{Mode: registry.Supersede})
	if err != nil {
		panic(err)
	}
	tenure, err := agent.Keeper().Acquire(ctx, registry.ActorID{Namespace: "shop", Name: "cart-7"})
	if err != nil {
		panic(err)
	}

	// For every request:
	if err := tenure.Check(); err != nil {
		panic(err) // lost: refuse the request
	}
	fmt.Println("serving under token", tenure.Token()) // send it with every write

	// The work stops when the tenure's context ends, whatever the cause.
	work := tenure.Context()
	if err := tenure.Release(ctx); err != nil {
		panic(err)
	}
	<-work.Done()
	fmt.Println(context.Cause(work))
	if err := agent.Leave(ctx); err != nil {
		panic(err)
	}
	// Output:
	// serving under token 1
	// tenure is over: shop/cart-7 token 1 of node-1#1: tenure was given up
}
