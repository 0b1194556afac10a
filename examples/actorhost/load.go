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
	cmd.Flags().StringVar(&nodes, "nodes", "127.0.0.1:7701", "addresses of the nodes, with commas")
	cmd.Flags().StringVar(&store, "store", "127.0.0.1:7700", "the store's address, for the count at the end")
	cmd.Flags().IntVar(&clients, "clients", 8, "clients at work")
	cmd.Flags().IntVar(&actors, "actors", 5, "counters to increment")
	cmd.Flags().DurationVar(&length, "for", 10*time.Second, "how long new increments are begun; each is then repeated until it is acknowledged")
	return cmd
}

// load increments counters from many clients, and then compares each with the
// number of increments that were acknowledged. Every increment that was begun
// is repeated until it is acknowledged, so the two must be equal.
func load(ctx context.Context, nodes []string, store string, clients, actors int, length time.Duration) error {
	acknowledged := make([]atomic.Int64, actors)
	var repeated atomic.Int64
	begin, stop := context.WithTimeout(ctx, length)
	defer stop()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			numbers := make([]uint64, actors)
			for i := c; begin.Err() == nil && ctx.Err() == nil; i++ {
				actor := i % actors
				numbers[actor]++
				q := increment{Actor: fmt.Sprint("c", actor), Client: fmt.Sprint("client", c), Number: numbers[actor]}
				if err := insist(ctx, nodes, i, q, &repeated); err == nil {
					acknowledged[actor].Add(1)
				}
			}
		})
	}
	wg.Wait()
	return count(ctx, store, acknowledged, repeated.Load())
}

// insist repeats one increment until it is acknowledged, at the node that the
// last answer named or at the next one.
func insist(ctx context.Context, nodes []string, at int, q increment, repeated *atomic.Int64) error {
	url := "http://" + nodes[at%len(nodes)]
	for tries := 0; ctx.Err() == nil; tries++ {
		if tries > 0 {
			repeated.Add(1)
		}
		try, cancel := context.WithTimeout(ctx, cfg.TTL/2)
		var r result
		err := counters.Post(try, url+"/increment", q, &r)
		cancel()
		switch {
		case err == nil && r.At == "":
			return nil
		case err == nil && tries%4 != 3:
			url = r.At
		default:
			at++
			url = "http://" + nodes[at%len(nodes)]
			pause(ctx, 20*time.Millisecond)
		}
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func count(ctx context.Context, store string, acknowledged []atomic.Int64, repeated int64) error {
	var total int64
	var wrong []error
	for i := range acknowledged {
		var c counters.Counter
		name, want := fmt.Sprint("c", i), acknowledged[i].Load()
		// As the last tenure of all: whatever still wanted to write is fenced.
		if err := counters.Post(ctx, store+"/load", counters.Write{Actor: name, Token: 1 << 62}, &c); err != nil {
			return err
		}
		total += want
		if c.Value != want {
			wrong = append(wrong, fmt.Errorf("%s counts %d, %d were acknowledged", name, c.Value, want))
		}
	}
	fmt.Printf("%d increments acknowledged, %d attempts repeated\n", total, repeated)
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	fmt.Println("no increment lost, none counted twice")
	return nil
}
