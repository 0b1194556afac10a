package fdbsim

import (
	"slices"
	"sync"
)

// Stepper is a Scheduler for exploring interleavings: it runs client functions, waits until each
// of them is blocked on a future or has returned, and then shows the requests that are on their way,
// of which the explorer resolves one. Nothing else makes anything happen, so that the same
// resolutions give the same run.
//
// A client must use one goroutine for its waiting, and must not wait for anything but futures.
type Stepper struct {
	mu      sync.Mutex
	quiet   sync.Cond
	running int // clients that are neither blocked nor done
	pending []*Request
}

// NewStepper makes a Stepper. It serves one cluster: the one whose Config names it.
func NewStepper() *Stepper {
	s := &Stepper{}
	s.quiet.L = &s.mu
	return s
}

// Submit implements Scheduler.
func (s *Stepper) Submit(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, r)
}

// Blocked implements Observer.
func (s *Stepper) Blocked() { s.add(-1) }

// Unblocked implements Observer.
func (s *Stepper) Unblocked() { s.add(1) }

func (s *Stepper) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running += n; s.running <= 0 {
		s.quiet.Broadcast()
	}
}

// Go runs a client until it blocks or returns. One client starts at a time, which numbers their
// transactions and requests the same way in every run.
func (s *Stepper) Go(client func()) {
	s.add(1)
	go func() {
		defer s.add(-1)
		client()
	}()
	s.Quiesce()
}

// Quiesce waits until every client is blocked or done, and returns the requests on their way in the
// order in which they were sent. Done clients and no requests: the run is over. Requests of
// timed out transactions stay among them until they are delivered or dropped.
func (s *Stepper) Quiesce() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.running > 0 {
		s.quiet.Wait()
	}
	slices.SortFunc(s.pending, func(a, b *Request) int { return int(a.ID) - int(b.ID) })
	return slices.Clone(s.pending)
}

// Resolve resolves one of the requests that Quiesce returned.
func (s *Stepper) Resolve(r *Request, v Verdict) {
	open := r.resolve(v)
	if open {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.pending, r); i >= 0 {
		s.pending = slices.Delete(s.pending, i, i+1)
	}
}

// Choices is one path through a tree of decisions.
type Choices struct {
	path  []int // what was chosen
	width []int // among how many
	next  int
}

// Choose picks one of n alternatives, 0 <= choice < n. The same path always meets the same n.
func (c *Choices) Choose(n int) int {
	if c.next == len(c.path) {
		c.path, c.width = append(c.path, 0), append(c.width, n)
	}
	if c.width[c.next] == 0 {
		c.width[c.next] = n // of a replayed path: not known before
	}
	if c.width[c.next] != n || c.path[c.next] >= n {
		panic("fdbsim: a replayed run met another number of choices: it is not deterministic")
	}
	c.next++
	return c.path[c.next-1]
}

// Path is what was chosen so far, for printing and for Replay.
func (c *Choices) Path() []int { return slices.Clone(c.path[:c.next]) }

// Replay runs once along a path that an earlier run printed; beyond its end it chooses the first.
func Replay(path []int, run func(*Choices)) {
	run(&Choices{path: slices.Clone(path), width: make([]int, len(path))})
}

// Explore runs every path of decisions, depth first, until all are done or limit runs have been made.
// It returns the number of runs and whether that was all of them.
func Explore(limit int, run func(*Choices)) (runs int, all bool) {
	c := &Choices{}
	for runs < limit {
		c.next = 0
		run(c)
		runs++
		last := len(c.path) - 1
		for last >= 0 && c.path[last] == c.width[last]-1 {
			last--
		}
		if last < 0 {
			return runs, true
		}
		c.path, c.width = c.path[:last+1], c.width[:last+1]
		c.path[last]++
	}
	return runs, false
}
