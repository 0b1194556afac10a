package registry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
)

// An actor has one holder at a time: while it lives, others are told who holds it; when
// it has been silent until Reclaimable, the next claim is granted, under a higher token.
func Example() {
	ctx := context.Background()
	cfg := registry.DefaultConfig()
	store, err := memimpl.New(cfg)
	if err != nil {
		panic(err)
	}
	clock := registry.NewManualClock(registry.InstantOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	h, err := store.Open(cfg, clock)
	if err != nil {
		panic(err)
	}
	n1, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.IfAbsent)
	if err != nil {
		panic(err)
	}
	n2, err := h.RegisterNode(ctx, "n2", registry.NodeInfo{}, registry.IfAbsent)
	if err != nil {
		panic(err)
	}

	room := registry.ActorID{Namespace: "room", Name: "42"}
	lease, err := h.Claim(ctx, room, n1.Ref, registry.NewClaimID())
	fmt.Println("n1 has token", lease.Token, err)
	_, err = h.Claim(ctx, room, n2.Ref, registry.NewClaimID())
	fmt.Println("n2 is refused:", errors.Is(err, registry.ErrHeld))

	clock.Advance(cfg.TTL + cfg.Grace + 2*cfg.MaxClockSkew + 1)
	next, err := h.Claim(ctx, room, n2.Ref, registry.NewClaimID())
	fmt.Println("n2 has token", next.Token, err)
	fmt.Println("n1's token is refused:", errors.Is(h.Validate(ctx, room, lease.Token), registry.ErrFenced))
	// Output:
	// n1 has token 1 <nil>
	// n2 is refused: true
	// n2 has token 2 <nil>
	// n1's token is refused: true
}
