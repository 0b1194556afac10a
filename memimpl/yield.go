//go:build yield

package memimpl

import "sync/atomic"

// yielder calls a function wherever another operation may come in between. No
// lock is held there.
type yielder struct {
	hook atomic.Pointer[func(point string)]
}

func (y *yielder) at(point string) {
	if hook := y.hook.Load(); hook != nil {
		(*hook)(point)
	}
}

// SetYield makes every operation of the store's handles call yield at its yield
// points, with the point's name and with no lock held; nil ends that. It is there
// only with the build tag "yield", for tests that explore schedules.
func (s *Store) SetYield(yield func(point string)) {
	if yield == nil {
		s.yields.hook.Store(nil)
		return
	}
	s.yields.hook.Store(&yield)
}
