//go:build fdb && fdbsim

package fdbimpl_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/apple/foundationdb/bindings/go/src/fdb/tuple"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/fdbimpl"
	"github.com/kelpie-registry/registry/fdbimpl/fdbtest/testdb"
)

// open returns a handle with a registered node, on a simulated cluster. In
// production the database is fdb.MustOpenDefault() and the clock registry.SystemClock().
func open() (*testdb.DB, *fdbimpl.Registry, registry.NodeRef) {
	db, err := testdb.Open("")
	if err != nil {
		panic(err)
	}
	ctx, clock := context.Background(), registry.NewManualClock(0)
	r, err := fdbimpl.Open(ctx, db.Database, registry.DefaultConfig(), clock, fdbimpl.Options{
		Prefix: tuple.Tuple{"my-app", "registry"},
	})
	if err != nil {
		panic(err)
	}
	n, err := r.RegisterNode(ctx, "host-1", registry.NodeInfo{Address: "10.0.0.1:7000"}, registry.Supersede)
	if err != nil {
		panic(err)
	}
	return db, r, n.Ref
}

func ExampleOpen() {
	db, r, node := open()
	defer db.Close()
	defer r.Close()

	ctx, cart := context.Background(), registry.ActorID{Namespace: "cart", Name: "4711"}
	lease, err := r.Claim(ctx, cart, node, registry.NewClaimID())
	fmt.Println(lease.Holder, lease.Token, err)

	_, err = r.Claim(ctx, cart, node, registry.NewClaimID())
	fmt.Println(errors.Is(err, registry.ErrHeld))
	// Output:
	// host-1#1 1 <nil>
	// true
}

// The write of an actor's state is committed only with the tenure that made it.
func ExampleRegistry_Guard() {
	db, r, node := open()
	defer db.Close()
	defer r.Close()

	ctx, cart := context.Background(), registry.ActorID{Namespace: "cart", Name: "4711"}
	lease, _ := r.Claim(ctx, cart, node, registry.NewClaimID())
	save := func(state string) error {
		_, err := db.Database.Transact(func(tr fdb.Transaction) (any, error) {
			if err := r.Guard(tr, lease); err != nil {
				return nil, err
			}
			tr.Set(fdb.Key("state/4711"), []byte(state))
			return nil, nil
		})
		return err
	}
	fmt.Println(save("two apples"))
	_ = r.Release(ctx, lease)
	fmt.Println(errors.Is(save("three apples"), registry.ErrNotHeld))
	// Output:
	// <nil>
	// true
}

func ExampleRegistry_RenewBatch() {
	db, r, node := open()
	defer db.Close()
	defer r.Close()

	ctx := context.Background()
	var leases []registry.Lease
	for i := range 250 {
		lease, _ := r.Claim(ctx, registry.ActorID{Namespace: "cart", Name: fmt.Sprint(i)}, node, registry.NewClaimID())
		leases = append(leases, lease)
	}
	renewed := 0
	for _, res := range r.RenewBatch(ctx, leases) { // three transactions
		if res.Err == nil {
			renewed++
		}
	}
	fmt.Println(renewed)
	// Output: 250
}

func ExampleRegistry_Watch() {
	db, r, node := open()
	defer db.Close()
	defer r.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cart := registry.ActorID{Namespace: "cart", Name: "4711"}
	lease, _ := r.Claim(ctx, cart, node, registry.NewClaimID())
	released := make(chan registry.Placement)
	go func() {
		p, _ := r.Watch(ctx, cart, lease.Version)
		released <- p
	}()
	_ = r.Release(ctx, lease)
	fmt.Println((<-released).Holder)
	// Output: nobody
}
