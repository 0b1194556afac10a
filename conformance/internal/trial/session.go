package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/internal/call"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Epoch0 is the true time at which a session begins, unless it is another; texts count from there.
const Epoch0 = registry.Instant(1_700_000_000_000_000_000)

// Session is a cluster under judgement and the one way to it: every way of
// executing operations (in lockstep with the reference, at the same time, by a
// schedule) opens its handles and makes its calls here.
type Session struct {
	T        *Trial
	Cfg      registry.Config
	Cluster  backend.Cluster
	Free     func()                // frees the cluster
	Exact    bool                  // the backend reads the clocks that it is given
	Time     *registry.ManualClock // true time, where it is the suite's; else a copy
	meter    *meter                // of how far it goes
	Recorder *history.Recorder     // of the handles opened from now on; nil: they are not recorded
}

// NewSession makes an empty cluster.
func (t *Trial) NewSession(cfg registry.Config) *Session { return t.NewSessionAt(cfg, Epoch0) }

// NewSessionAt is newSession at another true time, where time is the suite's.
func (t *Trial) NewSessionAt(cfg registry.Config, now registry.Instant) *Session {
	s := &Session{T: t, Cfg: cfg, Exact: t.Exact(), Time: registry.NewManualClock(now)}
	s.ReadTime()
	s.meter = newMeter(t.Judge, s.Time)
	s.Cluster, s.Free = t.NewCluster(cfg)
	return s
}

// Recorded makes the session record, with notes on where the history comes from.
func (s *Session) Recorded(notes ...string) *Session {
	s.Recorder = history.NewRecorder(s.Cfg).In(s.T.Judge.Dialect)
	notes = append(notes, "backend", s.T.Judge.Backend.Name(), "section", s.T.Section, "case", s.T.Name)
	for i := 0; i+1 < len(notes); i += 2 {
		s.Recorder.SetMeta(notes[i], notes[i+1])
	}
	return s
}

// ReadTime brings the copy of true time up to date, where time is real.
func (s *Session) ReadTime() {
	if !s.Exact {
		s.Time.Set(registry.SystemClock().Now())
	}
}

// Advance moves true time by d. It waits for it when time is real.
func (s *Session) Advance(d time.Duration) {
	if s.Exact {
		s.Time.Advance(d)
		return
	}
	Pause(s.T.Ctx, d)
	s.ReadTime()
}

// Open opens a handle that reads the given clock, or one of its own when time is real.
func (s *Session) Open(name string, clock registry.Clock) registry.Handle {
	return s.OpenFor([]string{name}, clock)[0]
}

// OpenFor opens one handle for several clients, who use it at the same time. Each
// has it under a name of its own, so that a history tells them apart. A reading
// of its clock may belong to an operation of any of them.
func (s *Session) OpenFor(names []string, clock registry.Clock) []registry.Handle {
	if !s.Exact {
		clock = registry.SystemClock()
	}
	clock = s.meter.clock(clock)
	if s.Recorder != nil {
		for _, name := range names {
			if s.Exact {
				clock = s.Recorder.Clock(name, clock)
			} else {
				s.Recorder.RealTime(name, clock, MarginsOf(s.Cfg, s.T.Judge.Dialect).Reading)
			}
		}
	}
	h := s.meter.wrap(s.opened(clock))
	handles := make([]registry.Handle, len(names))
	for i, name := range names {
		handles[i] = h
		if s.Recorder != nil {
			handles[i] = s.Recorder.Wrap(name, h)
		}
	}
	return handles
}

// opened is a handle as the backend gives it out.
func (s *Session) opened(clock registry.Clock) registry.Handle {
	h, err := s.OpenWith(s.Cfg, clock)
	if err != nil {
		s.T.GiveUp("Cluster.Open: %v", err)
	}
	return h
}

// OpenWith opens a handle with these time bounds, again while the store is in trouble.
func (s *Session) OpenWith(cfg registry.Config, clock registry.Clock) (h registry.Handle, err error) {
	err = s.T.untroubled("Cluster.Open", func() (err error) {
		h, err = s.Cluster.Open(cfg, clock)
		if call.Trouble(err) {
			s.T.Troubles.Add(1)
		}
		return err
	})
	return h, err
}

// Untroubled tries again while the store is in trouble, as often as a call is made that
// it does not answer, and returns the last error.
func Untroubled(try func() error) (err error) {
	for patience := (call.Patience{}); ; {
		if err = try(); !call.Trouble(err) || patience.Over(err) {
			return err
		}
	}
}

// untroubled is Untroubled of what the backend is asked for beside the calls on handles.
func (t *Trial) untroubled(what string, try func() error) error {
	var calls inVain
	return Untroubled(func() (err error) {
		t.Watch(func() string { return what }, func(context.Context) { err = try() })
		return t.Judge.Silence.hears(what, &calls, !call.Trouble(err), err)
	})
}

// Seed enters state into the cluster, which implements backend.Seeder.
func (s *Session) Seed(nodes []registry.Node, records []registry.Placement) error {
	return s.T.untroubled("Seeder.Seed", func() error { return s.Cluster.(backend.Seeder).Seed(nodes, records) })
}

// Purge has a process of its own, whose clock is the given one, forget what it may. It
// opens a handle, purges and closes it: what a purge knows beyond the store is gone then.
func (s *Session) Purge(clock registry.Clock) (forgotten int, err error) {
	return s.PurgeAfter(clock, func(ctx context.Context, _ registry.Handle) context.Context { return ctx })
}

// PurgeAfter is Purge, with something done to the handle first, and under the context that
// it makes of the call's.
func (s *Session) PurgeAfter(clock registry.Clock, first func(context.Context, registry.Handle) context.Context) (forgotten int, err error) {
	if !s.Exact {
		clock = registry.SystemClock()
	}
	h := s.opened(s.meter.clock(clock))
	defer h.Close()
	p, ok := h.(registry.Purger)
	if !ok {
		s.T.GiveUp("the handles do not implement registry.Purger")
	}
	s.T.Watch(func() string { return "Purge" }, func(ctx context.Context) { forgotten, err = p.Purge(first(ctx, h)) })
	return forgotten, err
}

// Do makes a call on a handle, under the watch of the trial: of a listing that is
// read whole, each page.
func (s *Session) Do(client string, h registry.Handle, c call.Call) (got op.Result) {
	if c.Kind.Lists() && !c.OnePage && !c.Bare && c.Under == nil {
		return call.AllPages(c.Call, func(page op.Call) op.Result { return s.Do(client, h, call.Call{Call: page, Bare: true}) })
	}
	s.T.Watch(func() string { return fmt.Sprintf("%s: %v", client, c) }, func(ctx context.Context) { got = c.Do(ctx, h) })
	if call.Trouble(got.Err) || slices.ContainsFunc(got.Renewals, unanswered) {
		s.T.Troubles.Add(1)
	}
	return got
}

// unanswered reports whether the store's trouble ended a member of a batch, and not its
// context.
func unanswered(r op.Result) bool {
	return r.Outcome.Ambiguous() || errors.Is(r.Err, registry.ErrUnavailable)
}

// Restart crashes the cluster. Its handles are dead then.
func (s *Session) Restart() {
	r, ok := s.Cluster.(backend.Restarter)
	if !ok {
		s.T.GiveUp("the cluster does not implement conformance.Restarter")
	}
	s.meter.crash()
	err := s.T.untroubled("Restarter.Restart", r.Restart)
	if err != nil {
		s.T.GiveUp("Restarter.Restart: %v", err)
	}
}

// History returns what was recorded.
func (s *Session) History() history.History { return s.Recorder.History() }
