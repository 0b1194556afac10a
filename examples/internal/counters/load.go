package counters

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

// Increment is a client's request to a node. A client numbers its increments of a counter
// and repeats one until it is acknowledged.
type Increment struct {
	Actor  string
	Client string
	Number uint64
}

// Incremented is a node's answer.
type Incremented struct {
	Value int64
	At    string // address of the node that has the actor, when it is not this one
}

// Load is what a demonstration's clients do.
type Load struct {
	Nodes    string // addresses, with commas
	Store    string // address
	Clients  int
	Actors   int
	Patience time.Duration // of one attempt
}

// Command is the command `load` of a demonstration, with l for what its flags do not say.
func (l Load) Command() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{Use: "load", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return l.run(cmd.Context(), length)
	}}
	cmd.Flags().StringVar(&l.Nodes, "nodes", l.Nodes, "addresses of the nodes, with commas")
	cmd.Flags().StringVar(&l.Store, "store", l.Store, "the store's address, for the count at the end")
	cmd.Flags().IntVar(&l.Clients, "clients", l.Clients, "clients at work")
	cmd.Flags().IntVar(&l.Actors, "actors", l.Actors, "counters to increment")
	cmd.Flags().DurationVar(&length, "for", 10*time.Second, "how long new increments are begun; each is then repeated until it is acknowledged")
	return cmd
}

// run increments counters from many clients, and then compares each with the number of
// increments that were acknowledged. Every increment that was begun is repeated until it
// is acknowledged, so the two must be equal.
func (l Load) run(ctx context.Context, length time.Duration) error {
	acknowledged := make([]atomic.Int64, l.Actors)
	var repeated atomic.Int64
	begin, stop := context.WithTimeout(ctx, length)
	defer stop()
	var wg sync.WaitGroup
	for i := range l.Clients {
		wg.Go(func() {
			numbers := make([]uint64, l.Actors)
			for n := i; begin.Err() == nil; n++ {
				a := n % l.Actors
				numbers[a]++
				q := Increment{Actor: counterName(a), Client: fmt.Sprint("client", i), Number: numbers[a]}
				if l.insist(ctx, i+n/l.Actors, q, &repeated) == nil {
					acknowledged[a].Add(1)
				}
			}
		})
	}
	wg.Wait()
	return l.count(ctx, acknowledged, repeated.Load())
}

func counterName(actor int) string { return fmt.Sprint("c", actor) }

// insist repeats one increment until it is acknowledged, at the node that the last answer
// named or at the next one.
func (l Load) insist(ctx context.Context, at int, q Increment, repeated *atomic.Int64) error {
	nodes := strings.Split(l.Nodes, ",")
	url := "http://" + nodes[at%len(nodes)]
	for tries := 0; ctx.Err() == nil; tries++ {
		if tries > 0 {
			repeated.Add(1)
		}
		try, cancel := context.WithTimeout(ctx, l.Patience)
		var r Incremented
		err := Post(try, url+"/increment", q, &r)
		cancel()
		switch {
		case err == nil && r.At == "":
			return nil
		case err == nil && tries%4 != 3:
			url = r.At
		default:
			at++
			url = "http://" + nodes[at%len(nodes)]
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

// count prints what the store has seen, and fails when a counter is wrong, or two
// activations that named themselves worked at once.
func (l Load) count(ctx context.Context, acknowledged []atomic.Int64, repeated int64) error {
	store := "http://" + l.Store
	var total, lost, doubled int64
	for a := range acknowledged {
		var c Counter
		// As the last tenure of all: whatever still wanted to write is fenced.
		if err := Post(ctx, store+"/load", Write{Actor: counterName(a), Token: 1 << 62}, &c); err != nil {
			return err
		}
		want := acknowledged[a].Load()
		total, lost, doubled = total+want, lost+max(want-c.Value, 0), doubled+max(c.Value-want, 0)
	}
	var t Tally
	if err := Post(ctx, store+"/tally", struct{}{}, &t); err != nil {
		return err
	}
	fmt.Printf("%d increments acknowledged, %d attempts repeated\n", total, repeated)
	if t.Activations > 0 {
		fmt.Printf("%d activations; %d pairs of one actor's at once; stale writes: %d stored, %d refused\n", t.Activations, t.AtOnce, t.StaleAccepted, t.StaleRefused)
	}
	fmt.Printf("increments lost: %d, counted twice: %d\n", lost, doubled)
	if lost+doubled > 0 || t.AtOnce+t.StaleAccepted > 0 {
		return errors.New("actors were active twice, or their writes were lost")
	}
	return nil
}
