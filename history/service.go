package history

import (
	"errors"
	"slices"

	"github.com/kelpie-registry/registry"
)

// Service is a stretch of time for which a client served an actor under a token:
// it did for the actor what only one client may do at a time. It says so itself,
// when it begins and when it has stopped; nobody else can know.
//
// A process that does not run serves nobody: a stretch ends where its process is
// stopped or dies, and another begins where it goes on.
type Service struct {
	Client string // as that of its operations
	Actor  registry.ActorID
	Token  registry.Token
	From   int64  // stamp, of the same order as those of operations
	Until  int64  // stamp; Never: it had not stopped when the history ends
	Why    string // it stopped, in the client's words; "" when it does not say

	// Clock is what the client's clock read while it served, by stamp: at the
	// beginning, at the end, and in between before each call, and before and after each
	// answer.
	Clock []Reading
}

// Reading is a reading of a clock at a stamp.
type Reading struct {
	At  int64 // stamp
	Now registry.Instant
}

// Serve notes that the named client begins to serve an actor under a token. It
// is called before the first thing is done for the actor, and end after the last
// one, with the reason, which may be nil. A second call of end does nothing.
//
// The readings are of the clock that Recorder.Clock or RealTime was given for the
// client; without one there are none.
func (r *Recorder) Serve(node string, actor registry.ActorID, token registry.Token) (end func(why error)) {
	c := r.client(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &serving{Service: Service{Client: node, Actor: actor, Token: token}}
	c.serving = append(c.serving, s)
	if !c.halted {
		r.open(c, s)
	}
	return func(why error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.serving, s)
		if i < 0 {
			return
		}
		c.serving = slices.Delete(c.serving, i, i+1)
		if s.running {
			if why != nil {
				s.Why = why.Error()
			}
			r.close(c, s)
		}
	}
}

// Halt notes that the client's process does not run from here on: it was stopped,
// or has died. What it serves it does not serve until Continue.
func (r *Recorder) Halt(node string) {
	c := r.client(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halted = true
	for _, s := range c.serving {
		if s.running {
			r.close(c, s)
		}
	}
}

// Continue notes that the client's process runs again. It is called when the
// process had its chance to notice: what it has not stopped by then, it serves.
func (r *Recorder) Continue(node string) {
	c := r.client(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halted = false
	for _, s := range c.serving {
		r.open(c, s)
	}
}

// Look reads the client's clock for what it serves at this moment.
func (r *Recorder) Look(node string) {
	c := r.client(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	r.look(c)
}

// Stamp returns the latest stamp: what is recorded from here on has a later one.
func (r *Recorder) Stamp() int64 { return r.stamp.Load() }

// serving is a service that has not ended. While it runs its stretch is open.
type serving struct {
	Service
	running bool
}

// open begins a stretch. The caller holds c.mu, as in the functions below.
func (r *Recorder) open(c *client, s *serving) {
	s.running = true
	s.From, s.Until, s.Why, s.Clock = r.stamp.Add(1), Never, "", nil
	s.read(c, s.From)
}

func (r *Recorder) close(c *client, s *serving) {
	s.running = false
	s.Until = r.stamp.Add(1)
	s.read(c, s.Until)
	c.served = append(c.served, s.Service)
}

// look reads the clock for every open stretch.
func (r *Recorder) look(c *client) {
	for _, s := range c.serving {
		if s.running {
			s.read(c, r.stamp.Add(1))
		}
	}
}

func (s *Service) read(c *client, at int64) {
	if c.wall != nil {
		s.Clock = append(s.Clock, Reading{at, c.wall.Now()})
	}
}

// services returns the stretches until now.
func (c *client) services() []Service {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.served)
	for _, s := range c.serving {
		if s.running {
			open := s.Service
			open.Clock = slices.Clone(open.Clock)
			all = append(all, open)
		}
	}
	return all
}

// check refuses what no recorder makes.
func (s *Service) check() error {
	switch {
	case s.Token == 0:
		return errors.New("a service is under a token: 0 is none")
	case s.Until <= s.From:
		return errors.New("a service ends after it began")
	}
	for i, r := range s.Clock {
		if r.At < s.From || r.At > s.Until || i > 0 && r.At <= s.Clock[i-1].At {
			return errors.New("the readings of a service are made during it, in their order")
		}
	}
	return nil
}
