package counters

import (
	"errors"
	"sync"
)

// Tally is what a store has seen of the activations that named themselves.
type Tally struct {
	Activations   int // that read an actor's state
	AtOnce        int // pairs of one actor, whose times from the first to the last request overlap
	StaleAccepted int // writes that were stored although a later activation had read the state
	StaleRefused  int // writes that the fence refused
}

// tally notes when each activation worked.
type tally struct {
	mu      sync.Mutex
	byActor map[string][]*worked
	stored  int // stale writes that were stored
	refused int
}

// worked is the time from the first to the last request that an activation began.
type worked struct {
	activation  string
	first, last int64
}

func (t *tally) loaded(w Write, err error) {
	if w.Activation == "" || err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byActor == nil {
		t.byActor = map[string][]*worked{}
	}
	t.byActor[w.Actor] = append(t.byActor[w.Actor], &worked{activation: w.Activation})
}

func (t *tally) saved(w Write, err error) {
	if w.Activation == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.byActor[w.Actor]
	for i, a := range all {
		if a.activation != w.Activation {
			continue
		}
		if a.first == 0 {
			a.first = w.Accepted
		}
		a.last = max(a.last, w.Accepted)
		if err == nil && i < len(all)-1 {
			t.stored++
		}
	}
	if errors.Is(err, errFenced) {
		t.refused++
	}
}

func (t *tally) count() Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := Tally{StaleAccepted: t.stored, StaleRefused: t.refused}
	for _, all := range t.byActor {
		n.Activations += len(all)
		for i, a := range all {
			for _, b := range all[:i] {
				if a.first != 0 && b.first != 0 && a.first <= b.last && b.first <= a.last {
					n.AtOnce++
				}
			}
		}
	}
	return n
}
