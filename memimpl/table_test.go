package memimpl

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// word is an element of a table; few sums, so that walks are long.
type word struct {
	name string
	hash uint64
}

func (w *word) is(name string) bool { return w.name == name }
func (w *word) sum() uint64         { return w.hash }

func newWord(i int) *word { return &word{name: fmt.Sprint(i), hash: uint64(i % 7)} }

// TestTableEqualsMap compares the table with a map while elements come and go.
func TestTableEqualsMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table table[string, word, *word]
		model := map[string]*word{}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 40), 0, 300).Draw(t, "words") {
			w := newWord(i)
			if old := model[w.name]; old != nil {
				table.remove(old)
				delete(model, w.name)
			} else {
				table.enter(w)
				model[w.name] = w
			}
			require.Equal(t, len(model), table.live)
			for i := range 41 {
				w := newWord(i)
				require.Same(t, model[w.name], table.find(w.name, w.hash), w.name)
			}
			seen := 0
			for w := range table.all {
				require.Same(t, model[w.name], w)
				seen++
			}
			require.Equal(t, len(model), seen)
		}
	})
}

// TestTableIsReadWhileItIsWritten: what was entered before a look began is found by
// it, however the table grows meanwhile, and however many others are removed.
func TestTableIsReadWhileItIsWritten(t *testing.T) {
	var table table[string, word, *word]
	const kept = 100
	for i := range kept {
		table.enter(newWord(i))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i = (i + 1) % kept {
				w := newWord(i)
				if found := table.find(w.name, w.hash); found == nil || found.name != w.name {
					t.Errorf("%s is not found", w.name)
					return
				}
				if isClosed(stop) {
					return
				}
			}
		})
	}
	for round := range 50 {
		var others []*word
		for i := range 200 {
			others = append(others, newWord(kept+1000*round+i))
			table.enter(others[i])
		}
		for _, w := range others {
			table.remove(w)
		}
	}
	close(stop)
	wg.Wait()
	require.Equal(t, kept, table.live)
}
