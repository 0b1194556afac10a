package memimpl_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl"
)

// Two nodes in one process share a store; each has its own handle.
func ExampleNew() {
	ctx, cfg := context.Background(), registry.DefaultConfig()
	store, err := memimpl.New(cfg)
	if err != nil {
		panic(err)
	}
	clock := registry.NewManualClock(0) // in production: registry.SystemClock()
	h, err := store.Open(cfg, clock)
	if err != nil {
		panic(err)
	}
	defer h.Close()

	actor := registry.ActorID{Namespace: "cart", Name: "7"}
	one, _ := h.RegisterNode(ctx, "one", registry.NodeInfo{Address: "10.0.0.1:7000"}, registry.Supersede)
	two, _ := h.RegisterNode(ctx, "two", registry.NodeInfo{Address: "10.0.0.2:7000"}, registry.Supersede)

	lease, err := h.Claim(ctx, actor, one.Ref, registry.NewClaimID())
	fmt.Println(lease.Holder, "token", lease.Token, err)

	_, err = h.Claim(ctx, actor, two.Ref, registry.NewClaimID())
	var refusal *registry.Refusal
	fmt.Println(errors.Is(err, registry.ErrHeld), errors.As(err, &refusal), "by", refusal.Placement.Holder)

	clock.Advance(cfg.TTL + cfg.Grace + 2*cfg.MaxClockSkew)
	lease, err = h.Claim(ctx, actor, two.Ref, registry.NewClaimID())
	fmt.Println(lease.Holder, "token", lease.Token, err)
	fmt.Println(h.Validate(ctx, actor, 1))
	// Output:
	// one#1 token 1 <nil>
	// true true by one#1
	// two#1 token 2 <nil>
	// fenced: a higher token was granted (found cart/7 held by two#1, token 2, version 2, expiry 1970-01-01T00:01:06Z)
}

// On a file, a registry is what it was when it is opened again.
func ExampleOnFile() {
	ctx, cfg := context.Background(), registry.DefaultConfig()
	dir, err := os.MkdirTemp("", "registry")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "registry.db")
	clock, actor := registry.NewManualClock(0), registry.ActorID{Namespace: "cart", Name: "7"}

	for range 2 {
		store, err := memimpl.New(cfg, memimpl.OnFile(path))
		if err != nil {
			panic(err)
		}
		h, _ := store.Open(cfg, clock)
		node, _ := h.RegisterNode(ctx, "one", registry.NodeInfo{}, registry.Supersede)
		lease, _ := h.Claim(ctx, actor, node.Ref, registry.NewClaimID())
		fmt.Println(lease.Holder, "token", lease.Token, "version", lease.Version)
		_ = h.Release(ctx, lease)
		_, err = memimpl.New(cfg, memimpl.OnFile(path), memimpl.LockTimeout(time.Millisecond))
		fmt.Println(errors.Is(err, memimpl.ErrInUse))
		_ = store.Close()
	}
	// Output:
	// one#1 token 1 version 1
	// true
	// one#2 token 2 version 3
	// true
}

// A watcher learns of a hand-off without polling.
func ExampleRegistry_Watch() {
	ctx, cfg := context.Background(), registry.DefaultConfig()
	store, _ := memimpl.New(cfg)
	h, _ := store.Open(cfg, registry.NewManualClock(0))
	defer h.Close()
	one, _ := h.RegisterNode(ctx, "one", registry.NodeInfo{}, registry.Supersede)
	two, _ := h.RegisterNode(ctx, "two", registry.NodeInfo{}, registry.Supersede)
	lease, _ := h.Claim(ctx, registry.ActorID{Namespace: "cart", Name: "7"}, one.Ref, registry.NewClaimID())

	moved := make(chan registry.Placement)
	go func() {
		p, _ := h.Watch(ctx, lease.Actor, lease.Version)
		moved <- p
	}()
	_, _ = h.Transfer(ctx, lease, two.Ref)
	fmt.Println("now held by", (<-moved).Holder)
	// Output: now held by two#1
}

// A batch renews what it can and says of each lease what became of it.
func ExampleRegistry_RenewBatch() {
	ctx, cfg := context.Background(), registry.DefaultConfig()
	store, _ := memimpl.New(cfg)
	clock := registry.NewManualClock(0)
	h, _ := store.Open(cfg, clock)
	defer h.Close()
	one, _ := h.RegisterNode(ctx, "one", registry.NodeInfo{}, registry.Supersede)
	a, _ := h.Claim(ctx, registry.ActorID{Namespace: "cart", Name: "a"}, one.Ref, registry.NewClaimID())
	b, _ := h.Claim(ctx, registry.ActorID{Namespace: "cart", Name: "b"}, one.Ref, registry.NewClaimID())
	_ = h.Release(ctx, b)

	clock.Advance(10 * time.Second)
	for _, r := range h.RenewBatch(ctx, []registry.Lease{a, b}) {
		fmt.Println(r.Lease.Expiry, errors.Is(r.Err, registry.ErrNotHeld))
	}
	// Output:
	// 1970-01-01T00:00:40Z false
	// 1970-01-01T00:00:00Z true
}
