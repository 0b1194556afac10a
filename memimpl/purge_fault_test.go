package memimpl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/memimpl/internal/faultfs"
)

// forgotten is what a store that forgets told over all its lives: of each actor the
// highest numbers, which no later tenure may have again, whether its record is there
// still or was purged.
type forgotten struct {
	highest map[registry.ActorID]registry.Floor
	purged  int
}

func (o *forgotten) told(p registry.Placement) {
	o.highest[p.Actor] = o.highest[p.Actor].Over(p.Token, p.Version)
}

// live is one life of a store: tenures of two actors, a purge of one and of both, with a
// compaction between, and claims above the floor, each going on as well as it can.
func (o *forgotten) live(s *Store, life int) {
	clock := registry.NewManualClock(registry.Instant(1+life) * 1_000_000_000_000)
	h, err := s.Open(short, clock)
	if err != nil {
		return
	}
	n, err := h.RegisterNode(ctx, "n1", registry.NodeInfo{}, registry.Supersede)
	if err != nil {
		return
	}
	tenure := func(name string, id byte) {
		l, err := h.Claim(ctx, named(name), n.Ref, registry.ClaimID{byte(life + 1), id})
		if err != nil {
			return
		}
		o.told(registry.Placement(l))
		if h.Release(ctx, l) == nil {
			p := registry.Placement(l)
			p.Version++
			o.told(p)
		}
	}
	purge := func() {
		clock.Advance(short.TTL + short.Grace + 2*short.MaxClockSkew)
		n, _ := h.Purge(ctx)
		o.purged += n
	}
	for id := range byte(3) {
		tenure("high", id)
	}
	purge()
	s.compactNow()
	tenure("low", 9)
	purge()
	tenure("high", 10)
}

// play lets a store live twice under a plan, killed in between.
func (o *forgotten) play(plan func(faultfs.Call) faultfs.Fault) *faultfs.Disk {
	*o = forgotten{highest: map[registry.ActorID]registry.Floor{}}
	return twoLives(plan, o.live, Retain(0))
}

// verify opens the store without a fault, and claims every actor: above all that was told.
func (o *forgotten) verify(d *faultfs.Disk) error {
	s, err := newStoreOnFaults(d, Retain(0))
	if err != nil {
		return err
	}
	defer s.Close()
	h, err := s.Open(short, registry.NewManualClock(9_000_000_000_000))
	if err != nil {
		return err
	}
	n, err := h.RegisterNode(ctx, "n2", registry.NodeInfo{}, registry.Supersede)
	if err != nil {
		return err
	}
	for actor, told := range o.highest {
		p, found, err := h.Lookup(ctx, actor)
		if found && (p.Token < told.Token || p.Version < told.Version) {
			return fmt.Errorf("%+v was acknowledged of %v, after the restart there is %+v", told, actor, p)
		}
		l, claimErr := h.Claim(ctx, actor, n.Ref, registry.ClaimID{1})
		if err = errors.Join(err, claimErr); err != nil {
			return err
		}
		if l.Token <= told.Token || l.Version <= told.Version {
			return fmt.Errorf("%+v was acknowledged of %v, record found: %v, and the next tenure is %+v", told, actor, found, l)
		}
	}
	return nil
}

// TestPurgeUnderEveryFault: whatever one call of the operating system does while records
// are forgotten, and whatever a loss of power then takes, no token and no version is
// given out again (TokenMonotonic, Durability; contract, section 4).
func TestPurgeUnderEveryFault(t *testing.T) {
	var calls []faultfs.Call
	var o forgotten
	d := o.play(func(c faultfs.Call) faultfs.Fault { calls = append(calls, c); return faultfs.None })
	require.Equal(t, 4, o.purged, "without a fault: of each life two purges, the first of which forgets one")
	require.NoError(t, o.verify(d))
	underEveryFault(t, calls, slices.Sorted(maps.Keys(faultfs.Losses())), o.play, o.verify)
}
