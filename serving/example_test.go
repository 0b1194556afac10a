package serving_test

import (
	"context"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/memimpl"
	"github.com/kelpie-registry/registry/serving"
)

// A client that serves on after its lease has ended is convicted by its own clock.
func Example() {
	ctx := context.Background()
	cfg := registry.DefaultConfig()
	store, err := memimpl.New(cfg)
	if err != nil {
		panic(err)
	}
	recorder := history.NewRecorder(cfg)
	time0 := registry.NewManualClock(registry.InstantOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	clock := recorder.Clock("n1", time0)
	opened, err := store.Open(cfg, clock)
	if err != nil {
		panic(err)
	}
	h := recorder.Wrap("n1", opened)

	n1, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.IfAbsent)
	if err != nil {
		panic(err)
	}
	lease, err := h.Claim(ctx, registry.ActorID{Namespace: "room", Name: "42"}, n1.Ref, registry.NewClaimID())
	if err != nil {
		panic(err)
	}
	stop := recorder.Serve("n1", lease.Actor, lease.Token)
	time0.Advance(cfg.TTL + time.Second)
	recorder.Look("n1")
	stop(nil)

	for _, v := range serving.Check(recorder.History(), serving.Options{}) {
		fmt.Println(v.Rule)
	}
	// Output: service.deadline
}
