package trial

import (
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
)

// Shares divides a time among cases: each may take an equal part of what is left when
// it begins, so that what one does not need is for those after it.
type Shares struct {
	until registry.Instant

	mu      sync.Mutex
	waiting int // cases that have not begun
}

// NewShares divides the time up to an instant among so many cases.
func NewShares(until registry.Instant, cases int) *Shares {
	return &Shares{until: until, waiting: cases}
}

// Begin returns when the share ends of a case that begins now, one of so many that are
// judged at the same time.
func (s *Shares) Begin(now registry.Instant, parallel int) registry.Instant {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := max(0, s.until.Sub(now))
	end := now.Add(left * time.Duration(min(parallel, s.waiting)) / time.Duration(max(1, s.waiting)))
	s.waiting--
	return end
}
