package keeper

import (
	"time"

	"github.com/kelpie-registry/registry"
)

// Observer is told what happens to a keeper's leases: for metrics, alarms and
// traces. Its methods are called one after the other, in the order of the events,
// on a goroutine of the keeper's that does nothing else but log. A slow observer
// is told late and delays nothing; it may call the keeper. When thousands of events
// wait for it further ones are dropped, answers of calls (Claimed, Renewed) first;
// the logger then says how many, and [Keeper.Dropped] counts them. Embed
// [NopObserver] to implement a part of it.
type Observer interface {
	// Claimed: a claim was answered, granted (err nil) or not.
	Claimed(actor registry.ActorID, took time.Duration, err error)
	// Renewed: the renewal of a lease was answered. A batch reports each of
	// its leases with the time the whole batch took.
	Renewed(lease registry.Lease, took time.Duration, err error)
	// Degraded: Policy.DegradedAfter renewals in a row failed. The lease is
	// still good; there may be time to hand the work off.
	Degraded(t *Tenure, err error)
	// Healthy: a degraded tenure was renewed again.
	Healthy(t *Tenure)
	// Lost: a tenure ended, for whatever cause. Its context is cancelled.
	Lost(*LostError)
}

// NopObserver ignores everything.
type NopObserver struct{}

// Claimed implements [Observer].
func (NopObserver) Claimed(registry.ActorID, time.Duration, error) {}

// Renewed implements [Observer].
func (NopObserver) Renewed(registry.Lease, time.Duration, error) {}

// Degraded implements [Observer].
func (NopObserver) Degraded(*Tenure, error) {}

// Healthy implements [Observer].
func (NopObserver) Healthy(*Tenure) {}

// Lost implements [Observer].
func (NopObserver) Lost(*LostError) {}
