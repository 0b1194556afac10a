package trial

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// As many pieces are under way at the same time as there are idle places, and one more.
func TestPiecesInIdlePlaces(t *testing.T) {
	x := &Trial{Judge: &Judgement{Idle: make(Idle, 2)}}
	x.Judge.Idle.Leave()
	x.Judge.Idle.Leave()
	var together sync.WaitGroup
	together.Add(3)
	var mu sync.Mutex
	seen := map[int]int{}
	x.InOrder(9, func(i int) bool {
		if i < 3 {
			together.Done()
			together.Wait()
		}
		mu.Lock()
		defer mu.Unlock()
		seen[i]++
		return true
	})
	assert.Equal(t, map[int]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1}, seen)
	assert.Len(t, x.Judge.Idle, 2, "the places are given back")
}

// Without idle places the pieces come one after the other, and none after the first
// that says no.
func TestPiecesOneAfterTheOther(t *testing.T) {
	x := &Trial{Judge: &Judgement{}}
	var order []int
	x.InOrder(5, func(i int) bool { order = append(order, i); return i < 2 })
	assert.Equal(t, []int{0, 1, 2}, order)
}

// A piece that says no while others are under way ends none of those before it.
func TestPiecesBeforeOneThatFailed(t *testing.T) {
	x := &Trial{Judge: &Judgement{Idle: make(Idle, 1)}}
	x.Judge.Idle.Leave()
	failed := make(chan struct{})
	var done [3]bool
	x.InOrder(3, func(i int) bool {
		if i == 0 {
			<-failed
		} else {
			defer close(failed)
		}
		done[i] = true
		return false
	})
	assert.Equal(t, [3]bool{true, true, false}, done)
}
