package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// epoch0 is the true time at which a session begins, unless it is another; texts count from there.
const epoch0 = registry.Instant(1_700_000_000_000_000_000)

// session is a cluster under judgement and the one way to it: every way of
// executing operations (in lockstep with the reference, at the same time, by a
// schedule) opens its handles and makes its calls here.
type session struct {
	t        *trial
	cfg      registry.Config
	cluster  Cluster
	free     func()                // frees the cluster
	exact    bool                  // the backend reads the clocks that it is given
	time     *registry.ManualClock // true time, where it is the suite's; else a copy
	meter    *meter                // of how far it goes
	recorder *history.Recorder     // of the handles opened from now on; nil: they are not recorded
}

// newSession makes an empty cluster.
func (t *trial) newSession(cfg registry.Config) *session { return t.newSessionAt(cfg, epoch0) }

// newSessionAt is newSession at another true time, where time is the suite's.
func (t *trial) newSessionAt(cfg registry.Config, now registry.Instant) *session {
	s := &session{t: t, cfg: cfg, exact: t.exact(), time: registry.NewManualClock(now)}
	s.readTime()
	s.meter = newMeter(t.judge.odometer, s.time)
	s.cluster, s.free = t.newCluster(cfg)
	return s
}

// recorded makes the session record, with notes on where the history comes from.
func (s *session) recorded(notes ...string) *session {
	s.recorder = history.NewRecorder(s.cfg).In(s.t.judge.dialect)
	notes = append(notes, "backend", s.t.judge.backend.Name(), "section", s.t.section, "case", s.t.name)
	for i := 0; i+1 < len(notes); i += 2 {
		s.recorder.SetMeta(notes[i], notes[i+1])
	}
	return s
}

// readTime brings the copy of true time up to date, where time is real.
func (s *session) readTime() {
	if !s.exact {
		s.time.Set(registry.SystemClock().Now())
	}
}

// advance moves true time by d. It waits for it when time is real.
func (s *session) advance(d time.Duration) {
	if s.exact {
		s.time.Advance(d)
		return
	}
	pause(s.t.ctx, d)
	s.readTime()
}

// open opens a handle that reads the given clock, or one of its own when time is real.
func (s *session) open(name string, clock registry.Clock) registry.Handle {
	return s.openFor([]string{name}, clock)[0]
}

// openFor opens one handle for several clients, who use it at the same time. Each
// has it under a name of its own, so that a history tells them apart. A reading
// of its clock may belong to an operation of any of them.
func (s *session) openFor(names []string, clock registry.Clock) []registry.Handle {
	if !s.exact {
		clock = registry.SystemClock()
	}
	clock = s.meter.clock(clock)
	if s.recorder != nil {
		for _, name := range names {
			if s.exact {
				clock = s.recorder.Clock(name, clock)
			} else {
				s.recorder.RealTime(name, clock, 2*s.cfg.MaxClockSkew)
			}
		}
	}
	var h registry.Handle
	var err error
	s.t.watch(func() string { return "Cluster.Open" }, func(context.Context) { h, err = s.cluster.Open(s.cfg, clock) })
	if err != nil {
		s.t.giveUp("Cluster.Open: %v", err)
	}
	h = s.meter.wrap(h)
	handles := make([]registry.Handle, len(names))
	for i, name := range names {
		handles[i] = h
		if s.recorder != nil {
			handles[i] = s.recorder.Wrap(name, h)
		}
	}
	return handles
}

// do makes a call on a handle, under the watch of the trial: of a listing that is
// read whole, each page.
func (s *session) do(client string, h registry.Handle, c call) (got op.Result) {
	if c.Kind.Lists() && !c.onePage && !c.bare && c.under == nil {
		return allPages(c.Call, func(page op.Call) op.Result { return s.do(client, h, call{Call: page, bare: true}) })
	}
	s.t.watch(func() string { return fmt.Sprintf("%s: %v", client, c) }, func(ctx context.Context) { got = c.do(ctx, h) })
	if trouble(got.Err) {
		s.t.troubles.Add(1)
	}
	return got
}

// restart crashes the cluster. Its handles are dead then.
func (s *session) restart() {
	r, ok := s.cluster.(Restarter)
	if !ok {
		s.t.giveUp("the cluster does not implement conformance.Restarter")
	}
	var err error
	s.meter.crash()
	s.t.watch(func() string { return "Restarter.Restart" }, func(context.Context) { err = r.Restart() })
	if err != nil {
		s.t.giveUp("Restarter.Restart: %v", err)
	}
}

// history returns what was recorded.
func (s *session) history() history.History { return s.recorder.History() }
