package schedule

import "slices"

// decision is one step of a schedule: who could go on, the one that the schedule
// prefers first, and which of them did.
type decision struct {
	order       []int // contenders
	taken       int   // position in order
	preemptions int   // up to here, this one not included
	forced      bool  // the contender before had ended: to go on with another is no preemption
}

// cost is the number of preemptions of going on with position i.
func (d decision) cost(i int) int {
	if i > 0 && !d.forced {
		return 1
	}
	return 0
}

// next returns the choices of the schedule that follows one with these
// decisions in the order of a depth-first search, and false after the last.
// Preferring first who is running already, it comes to every schedule within
// the bound exactly once: each position is raised to every choice, and what
// follows it starts again from the first.
func next(path []decision, bound int) ([]int, bool) {
	for i := len(path) - 1; i >= 0; i-- {
		d, to := path[i], path[i].taken+1
		if to < len(d.order) && (bound == Unbounded || d.preemptions+d.cost(to) <= bound) {
			return append(choices(path[:i]), to), true
		}
	}
	return nil, false
}

func choices(path []decision) []int {
	taken := make([]int, len(path), len(path)+1)
	for i, d := range path {
		taken[i] = d.taken
	}
	return taken
}

// number names a schedule among all those of a case, so that a seed can carry
// it: the situation, and above it the choices as digits to the base of the
// largest group of contenders. With maxStops it needs fewer than 40 bits.
func number(situations, situation int, taken []int) uint64 {
	n := uint64(0)
	for _, c := range slices.Backward(taken) {
		n = n*maxContenders + uint64(c)
	}
	return n*uint64(situations) + uint64(situation)
}

// numbered is the reverse of number. Zeros at the end are not in a number, and
// not needed: they are what a schedule does by itself.
func numbered(situations int, n uint64) (situation int, taken []int) {
	situation = int(n % uint64(situations))
	for n /= uint64(situations); n > 0; n /= maxContenders {
		taken = append(taken, int(n%maxContenders))
	}
	return situation, taken
}

// maxContenders is the largest group. Two operations and a tick have at most 11
// steps, three have 15, and three with a tick 16: 32 bits of choices.
const maxContenders = 4
