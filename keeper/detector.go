package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
)

// DetectorOptions are the optional parts of a [Detector].
type DetectorOptions struct {
	// Every is the time between two rounds; default FailureTimeout/3.
	Every time.Duration
	// Threshold is the number of consecutive rounds that must find a node
	// silent before it is marked failed; default 3.
	Threshold int
	// Options give the clock, the logger and the policy's patience.
	Options Options
	// Failed is told of each node that was marked failed.
	Failed func(registry.NodeRef)
}

// Detector marks silent nodes as failed. It never takes an actor away: a node
// marked failed makes no new claims and its leases run out, so a false
// suspicion costs a node its registration, never an actor its single activation.
//
// Any number of nodes may run one. A round that could not read the registry,
// or that came late because this process was paused, clears all suspicions:
// while the registry was out of reach nobody could heartbeat, and marking
// everybody failed on its return would turn a short outage into a long one.
type Detector struct {
	members registry.Membership
	cfg     registry.Config
	o       DetectorOptions
	*patience
	s suspicions
}

// NewDetector returns a detector that works through m.
func NewDetector(m registry.Membership, cfg registry.Config, o DetectorOptions) (*Detector, error) {
	if o.Every == 0 {
		o.Every = max(cfg.FailureTimeout/3, 1)
	}
	if o.Threshold == 0 {
		o.Threshold = 3
	}
	if o.Every < 0 || o.Threshold < 0 {
		return nil, &registry.InvalidError{Field: "detector", Problem: fmt.Sprintf("has Every %v and Threshold %d, neither may be negative", o.Every, o.Threshold)}
	}
	if o.Failed == nil {
		o.Failed = func(registry.NodeRef) {}
	}
	p, err := newPatience(cfg, o.Options)
	if err != nil {
		return nil, err
	}
	return &Detector{members: m, cfg: cfg, o: o, patience: p, s: suspicions{every: o.Every, threshold: o.Threshold}}, nil
}

// Run detects until ctx ends or the handle is closed, and returns why.
func (d *Detector) Run(ctx context.Context) error {
	for {
		if err := d.round(ctx); errors.Is(err, registry.ErrClosed) {
			return err
		}
		if err := d.sleep(ctx, d.o.Every); err != nil {
			return err
		}
	}
}

// round looks at every active node once.
func (d *Detector) round(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, d.policy.CallTimeout)
	defer cancel()
	var active []registry.Node
	for n, err := range registry.AllNodes(call, d.members, registry.NodeActive) {
		if err != nil {
			d.s.clear()
			return err
		}
		active = append(active, n)
	}
	for _, n := range d.s.observe(d.cfg, active, d.moment()) {
		// The registry checks the silence itself: a heartbeat that came since
		// refuses with ErrNodeAlive.
		if err := d.members.MarkFailed(call, n.Ref); err == nil {
			d.log.Warn("node marked failed", "node", n.Ref, "lastSeen", n.LastSeen)
			d.o.Failed(n.Ref)
		}
	}
	return nil
}

// suspicions counts, for each silent node, the consecutive rounds that found it
// so: the detector's state machine.
type suspicions struct {
	every     time.Duration
	threshold int

	last  time.Duration // elapsed time of the previous round; 0 before the first
	quiet map[registry.NodeRef]suspicion
}

type suspicion struct {
	seen   registry.Instant
	rounds int
}

// observe takes one round's nodes and returns those to be marked failed.
func (s *suspicions) observe(cfg registry.Config, active []registry.Node, now moment) []registry.Node {
	if now.elapsed-s.last > 2*s.every {
		s.clear() // late, or the first round
	}
	s.last = now.elapsed
	next := make(map[registry.NodeRef]suspicion)
	var failed []registry.Node
	for _, n := range active {
		if now.wall < cfg.FailedAt(n.LastSeen) {
			continue
		}
		was := s.quiet[n.Ref]
		if was.seen != n.LastSeen {
			was = suspicion{seen: n.LastSeen}
		}
		was.rounds++
		if was.rounds >= s.threshold {
			failed = append(failed, n)
		}
		next[n.Ref] = was
	}
	s.quiet = next
	return failed
}

func (s *suspicions) clear() { s.quiet = nil }
