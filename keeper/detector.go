package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// Options give the clock, the logger and the seed.
	Options Options
	// Failed is told of each node that was marked failed: like an Observer, on
	// a goroutine of its own, in order, and delaying nothing.
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
	if err := present("membership", m); err != nil {
		return nil, err
	}
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
	if err := present("context", ctx); err != nil {
		return err
	}
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
	active, err := d.active(ctx)
	if err != nil {
		d.s.clear()
		return err
	}
	for _, n := range d.s.observe(d.cfg, active, d.moment()) {
		// The registry checks the silence itself: a heartbeat that came since
		// refuses with ErrNodeAlive.
		_, err := ask(ctx, d.patience, memberPace(d.cfg), func(ctx context.Context) (done, error) {
			return done{}, d.judge(question{op: "MarkFailed", nodes: []registry.NodeID{n.Ref.ID}}, d.members.MarkFailed(ctx, n.Ref))
		})
		if err == nil {
			d.tell(slog.LevelWarn, "node marked failed", "node", n.Ref, "lastSeen", n.LastSeen)
			d.events.post(func() { d.o.Failed(n.Ref) })
		}
	}
	return nil
}

// active lists the active nodes, within the time of a round. A list that names a
// node twice, or another than was asked for, or that does not go on where it says
// that it does, is none: it might have no end.
func (d *Detector) active(ctx context.Context) ([]registry.Node, error) {
	call, cancel := context.WithTimeout(ctx, max(d.o.Every, memberPace(d.cfg).bound))
	defer cancel()
	q := question{op: "ListNodes"}
	var active []registry.Node
	seen := map[registry.NodeRef]bool{}
	for page := (registry.Page{Limit: registry.MaxPageLimit}); ; {
		rows, next, err := d.page(call, page)
		if err = d.judge(q, err); err == nil {
			err = call.Err()
		}
		if err != nil {
			return nil, err
		}
		for _, n := range rows {
			if seen[n.Ref] || n.Ref.Validate() != nil || n.Status != registry.NodeActive {
				return nil, d.complain(q.bad("%v, %v, in a list of active nodes", n.Ref, n.Status))
			}
			seen[n.Ref] = true
		}
		active = append(active, rows...)
		switch {
		case next == "":
			return active, nil
		case next == page.After || len(rows) == 0:
			return nil, d.complain(q.bad("a page of %d nodes after %q that goes on after %q", len(rows), page.After, next))
		}
		page.After = next
	}
}

func (d *Detector) page(ctx context.Context, page registry.Page) ([]registry.Node, registry.Cursor, error) {
	type answer struct {
		rows []registry.Node
		next registry.Cursor
	}
	a, err := ask(ctx, d.patience, memberPace(d.cfg), func(ctx context.Context) (a answer, err error) {
		a.rows, a.next, err = d.members.ListNodes(ctx, registry.NodeActive, page)
		return a, err
	})
	return a.rows, a.next, err
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
