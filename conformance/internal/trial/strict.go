package trial

import (
	"errors"
	"slices"
	"sync"

	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// strictness collects which declared differences a backend was seen to need.
type strictness struct {
	mu     sync.Mutex
	needed []string
}

func (s *strictness) Needs(f dialect.Difference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.needed, f.Name) {
		s.needed = append(s.needed, f.Name)
	}
}

func (s *strictness) Has(f dialect.Difference) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.needed, f.Name)
}

// Without returns d without a difference.
func Without(d dialect.Dialect, f dialect.Difference) (less dialect.Dialect) {
	for _, g := range d.List() {
		if g.Name != f.Name {
			only := g.Only
			if only.HoldsLonger > 0 {
				only.HoldsLonger = d.HoldsLonger
			}
			less = less.And(only)
		}
	}
	return less
}

// Lacking names the differences that leave out the operation, when it was answered that
// there is no such operation and d has it.
func Lacking(d dialect.Dialect, k op.Kind, err error) (names []string) {
	if !errors.Is(err, errors.ErrUnsupported) || !d.Offers(k) {
		return nil
	}
	for _, f := range dialect.Differences() {
		if !f.Only.Offers(k) {
			names = append(names, f.Name)
		}
	}
	return names
}
