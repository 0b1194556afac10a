package broken

// SetYield implements conformance.Scheduled. The sound store yields before the
// mutex and after it; F1, F2, F3 and M18 also in the gap that is their mistake.
func (c *cluster) SetYield(yield func(point string)) { c.store.yield = yield }

// at is a yield point. The mutex is not held.
func (s *store) at(point string) {
	if s.yield != nil {
		s.yield(point)
	}
}
