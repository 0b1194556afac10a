package clientgo

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/kelpie-registry/registry"
)

// lock is the record of an election in a registry: a resourcelock.Interface, as those
// of client-go are on a Lease of Kubernetes. What is written is decided by what was
// read last, as there by the resource's version.
type lock struct {
	handle  registry.Handle
	self    func() registry.NodeRef
	actor   registry.ActorID
	timeout time.Duration // of a call, as client-go's configuration has one

	clock registry.Clock
	cfg   registry.Config
	over  func() // called when the tenure is over, and before a release is asked for

	mu       sync.Mutex
	lease    registry.Lease // the last that was granted to this process; zero: none
	until    time.Time      // when it ends, reckoned from before the request
	released error          // what became of the last release
}

var _ resourcelock.Interface = (*lock)(nil)

// Get implements resourcelock.Interface.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	p, found, err := l.handle.Lookup(ctx, l.actor)
	if err != nil {
		return nil, nil, err
	}
	if !found {
		return nil, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "leases"}, l.actor.Name)
	}
	r := &resourcelock.LeaderElectionRecord{LeaseDurationSeconds: int(math.Ceil((l.cfg.TTL + l.cfg.Grace + 2*l.cfg.MaxClockSkew).Seconds())), LeaderTransitions: int(p.Token)}
	if p.Held() {
		r.HolderIdentity = p.Holder.String()
	}
	raw, err := json.Marshal(p)
	return r, raw, err
}

// Create implements resourcelock.Interface.
func (l *lock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.Update(ctx, r)
}

// Update implements resourcelock.Interface: no holder is a release, this process as
// holder a renewal while it has a lease, and else a claim.
func (l *lock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	held, _ := l.held()
	if r.HolderIdentity == "" {
		l.over()
		l.set(registry.Lease{}, time.Time{})
		l.released = l.handle.Release(ctx, held)
		return l.released
	}
	var granted registry.Lease
	var err error
	sent, reading := time.Now(), l.clock.Now()
	if held.Token != 0 && held.Holder == l.self() {
		granted, err = l.handle.Renew(ctx, held)
	} else {
		granted, err = l.handle.Claim(ctx, l.actor, l.self(), registry.NewClaimID())
	}
	switch {
	case err == nil:
		l.set(granted, sent.Add(granted.Expiry.Sub(reading)))
	case ended(err):
		l.over()
		l.set(registry.Lease{}, time.Time{})
	}
	return err
}

// ended says whether a refusal ends the tenure.
func ended(err error) bool {
	return errors.Is(err, registry.ErrFenced) || errors.Is(err, registry.ErrNotHeld) || errors.Is(err, registry.ErrLapsed)
}

// held returns the lease, and when it ends.
func (l *lock) held() (registry.Lease, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lease, l.until
}

func (l *lock) set(lease registry.Lease, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lease, l.until = lease, until
}

// Identity implements resourcelock.Interface.
func (l *lock) Identity() string { return l.self().String() }

// Describe implements resourcelock.Interface.
func (l *lock) Describe() string { return l.actor.String() }

// RecordEvent implements resourcelock.Interface.
func (l *lock) RecordEvent(string) {}
