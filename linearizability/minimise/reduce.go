package minimise

// Reduce returns a part of items, in their order, that still fails and from
// which no single item can be left out without it passing. It leaves out halves
// first, then ever smaller runs. fails(items) must be true, and a part for which it
// is false is overwritten: it must not be kept. A predicate that fails only sometimes
// should be made [Stubborn].
func Reduce[T any](items []T, fails func([]T) bool) []T {
	var passed []T // room for the next part
	for size := max(1, len(items)/2); len(items) > 0; {
		before := len(items)
		for from := 0; from < len(items); {
			without := append(append(passed[:0], items[:from]...), items[min(from+size, len(items)):]...)
			if fails(without) {
				items, passed = without, nil
			} else {
				passed = without
				from += size
			}
		}
		if size > 1 {
			size /= 2
		} else if len(items) == before {
			break
		}
	}
	return items
}

// Stubborn makes a predicate for a failure that does not show every time: it
// asks until the failure shows, at most tries times for the first, and then as
// often as the rarest failure so far needed, twice over. So a frequent failure
// is reduced quickly and a rare one patiently.
func Stubborn[T any](tries int, fails func(T) bool) func(T) bool {
	limit, rarest := tries, 1
	return func(v T) bool {
		for i := 1; i <= limit; i++ {
			if fails(v) {
				rarest = max(rarest, i)
				limit = min(tries, 2*rarest)
				return true
			}
		}
		return false
	}
}
