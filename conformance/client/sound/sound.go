// Package sound has clients that keep their leases rightly, and some of them
// unusually: the suite must never convict one of them.
package sound

import (
	"context"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/client"
	"github.com/kelpie-registry/registry/conformance/client/plain"
	"github.com/kelpie-registry/registry/keeper"
)

// Variant is a right client.
type Variant struct {
	Name    string
	Doc     string // what is unusual about it
	Factory client.Factory
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// hedging has a client's renewals sent twice.
func hedging(f client.Factory) client.Factory {
	return func(n client.Node) (client.Client, error) {
		n.Handle = twice{n.Handle}
		return f(n)
	}
}

// twice sends each renewal twice, and answers with the first that succeeds.
type twice struct{ registry.Handle }

func (h twice) Renew(ctx context.Context, l registry.Lease) (registry.Lease, error) {
	both := make(chan registry.Renewal, 2)
	for range cap(both) {
		go func() {
			renewed, err := h.Handle.Renew(ctx, l)
			both <- registry.Renewal{Lease: renewed, Err: err}
		}()
	}
	first := <-both
	if first.Err != nil {
		first = <-both
	}
	return first.Lease, first.Err
}

// All returns the right clients.
func All() []Variant {
	const ttl = registry.DefaultTTL
	return []Variant{
		{"keeper", "package keeper with its own policy", Keeper(keeper.Policy{})},
		{"keeper-eager", "renews eight times in a lease", Keeper(keeper.Policy{RenewEvery: ttl / 8})},
		{"keeper-wary", "steps down at two thirds of the lease", Keeper(keeper.Policy{SafetyMargin: ttl / 4, RenewEvery: ttl / 4})},
		{"keeper-patient", "looks seldom, and spreads over a whole lease", Keeper(keeper.Policy{Spread: ttl / 2, PollEvery: ttl})},
		{"keeper-detecting", "marks failed who sends no heartbeats", Detecting(keeper.Policy{})},
		{"plain", "one goroutine for each actor", plain.New(plain.Policy{})},
		{"often", "renews ten times in a lease", plain.New(plain.Policy{RenewAfter: ttl / 10})},
		{"seldom", "renews in the middle of a lease", plain.New(plain.Policy{RenewAfter: ttl / 2})},
		{"wary", "stops a third of a lease early", plain.New(plain.Policy{RenewAfter: ttl / 5, Deadline: func(sent, _ registry.Instant, l registry.Lease) registry.Instant {
			return min(sent.Add(ttl), l.Expiry).Add(-ttl / 3)
		}})},
		{"to-the-end", "serves until the expiry in the answer, to the nanosecond", plain.New(plain.Policy{Deadline: func(_, _ registry.Instant, l registry.Lease) registry.Instant { return l.Expiry }})},
		{"new-ids", "claims under a new id each time, and waits for its own lost grant to lapse", plain.New(plain.Policy{NewIDs: true})},
		{"undoing", "gives back what a claim of unknown outcome may have got, and claims anew", plain.New(plain.Policy{Undoes: true})},
		{"over-cautious", "serves only while its last renewal was answered", plain.New(plain.Policy{StopsOnFailure: true})},
		{"pausing", "does not serve while it renews", plain.New(plain.Policy{StopsToRenew: true})},
		{"polling", "looks every second", plain.New(plain.Policy{PollEvery: time.Second, Spread: 2 * time.Second})},
		{"sleeping", "looks when the lease that it waits for has ended, and not before", plain.New(plain.Policy{PollEvery: 10 * ttl})},
		{"impatient", "tries again ten times in a second", plain.New(plain.Policy{RetryAfter: 100 * time.Millisecond})},
		{"short-calls", "gives a call a thirtieth of a lease", plain.New(plain.Policy{CallTimeout: ttl / 30})},
		{"long-calls", "gives a call a third of a lease", plain.New(plain.Policy{CallTimeout: ttl / 4, RenewAfter: ttl / 4})},
		{"one-loop", "one goroutine for all actors, which renews them together", Loop},
		{"jittery", "pauses for up to half a lease before it claims again", plain.New(plain.Policy{ClaimJitter: ttl / 2, Spread: ttl / 2})},
		{"last-moment", "renews when there is just time to do it again after the longest trouble", plain.New(plain.Policy{RenewAfter: ttl * 11 / 20, CallTimeout: ttl / 20, RetryAfter: ttl / 100})},
		{"waiting-out", "takes a claim of unknown outcome for lost, and waits until a grant must have lapsed", plain.New(plain.Policy{WaitsOut: true})},
		{"adopting", "looks a claim of unknown outcome up, and serves by what it sees", plain.New(plain.Policy{Adopts: true})},
		{"hedging", "sends each claim twice at once, under one id", plain.New(plain.Policy{Hedges: true})},
		{"watching", "waits with a watch, and at a moment of its own after it", plain.New(plain.Policy{Watches: true})},
		{"looking", "looks at the record after each renewal that failed", plain.New(plain.Policy{LooksBetween: true})},
		{"slow", "takes a third of a lease to start", func(n client.Node) (client.Client, error) {
			pause(context.Background(), ttl/3)
			return plain.New(plain.Policy{})(n)
		}},
		{"hedging-renewals", "sends each renewal twice at once, and takes the first answer", hedging(plain.New(plain.Policy{}))},
		{"rotating", "gives its lease up after every five renewals, and claims again at once", plain.New(plain.Policy{Rotates: 5})},
	}
}
