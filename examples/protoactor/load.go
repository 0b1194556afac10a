package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelpie-registry/registry/examples/internal/counters"
)

func loadCommand() *cobra.Command {
	var nodes, store string
	var clients, actors int
	var length time.Duration
	cmd := &cobra.Command{Use: "load", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return load(cmd.Context(), strings.Split(nodes, ","), "http://"+store, clients, actors, length)
	}}
	cmd.Flags().StringVar(&nodes, "nodes", "127.0.0.1:7801", "addresses of the nodes, with commas")
	cmd.Flags().StringVar(&store, "store", "127.0.0.1:7800", "the store's address, for the count at the end")
	cmd.Flags().IntVar(&clients, "clients", 24, "clients at work")
	cmd.Flags().IntVar(&actors, "actors", 12, "counters to increment")
	cmd.Flags().DurationVar(&length, "for", 10*time.Second, "how long new increments are begun; each is then repeated until it is acknowledged")
	return cmd
}

// increment is a client's request: its name and its number for it, as client#number.
type increment struct{ Actor, Number string }

// load increments counters from many clients, and then compares each with the number
// of increments that were acknowledged. Every increment that was begun is repeated
// until it is acknowledged, so the two must be equal.
func load(ctx context.Context, nodes []string, store string, clients, actors int, length time.Duration) error {
	acknowledged := make([]atomic.Int64, actors)
	var repeated atomic.Int64
	begin, stop := context.WithTimeout(ctx, length)
	defer stop()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			numbers := make([]int, actors)
			for n := i; begin.Err() == nil; n++ {
				a := n % actors
				numbers[a]++
				q := increment{name(a), fmt.Sprintf("client%d#%d", i, numbers[a])}
				if insist(ctx, nodes, i+n/actors, q, &repeated) == nil {
					acknowledged[a].Add(1)
				}
			}
		})
	}
	wg.Wait()
	return count(ctx, store, acknowledged, repeated.Load())
}

func name(actor int) string { return fmt.Sprint("c", actor) }

// insist repeats one increment until it is acknowledged, at one node after the other.
func insist(ctx context.Context, nodes []string, at int, q increment, repeated *atomic.Int64) error {
	for ; ctx.Err() == nil; at++ {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		var value int64
		err := counters.Post(try, "http://"+nodes[at%len(nodes)]+"/increment", q, &value)
		cancel()
		if err == nil {
			return nil
		}
		repeated.Add(1)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// count prints what the store has seen, and fails when a counter is wrong or two
// activations worked at once.
func count(ctx context.Context, store string, acknowledged []atomic.Int64, repeated int64) error {
	var total, lost, doubled int64
	for a := range acknowledged {
		var c counters.Counter
		// As the last tenure of all: whatever still wanted to write is fenced.
		if err := counters.Post(ctx, store+"/load", counters.Write{Actor: name(a), Token: 1 << 62}, &c); err != nil {
			return err
		}
		want := acknowledged[a].Load()
		total, lost, doubled = total+want, lost+max(want-c.Value, 0), doubled+max(c.Value-want, 0)
	}
	var t counters.Tally
	if err := counters.Post(ctx, store+"/tally", struct{}{}, &t); err != nil {
		return err
	}
	fmt.Printf("%d increments acknowledged, %d attempts repeated\n", total, repeated)
	fmt.Printf("%d activations; %d pairs of one actor's at once; stale writes: %d stored, %d refused\n", t.Activations, t.AtOnce, t.StaleAccepted, t.StaleRefused)
	fmt.Printf("increments lost: %d, counted twice: %d\n", lost, doubled)
	if lost+doubled > 0 || t.AtOnce+t.StaleAccepted > 0 {
		return errors.New("actors were active twice, or their writes were lost")
	}
	return nil
}
