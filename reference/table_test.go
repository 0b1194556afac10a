package reference

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A table and its copies are what maps and their clones are, whatever is changed
// in which of them.
func TestTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tables, want := []*table[int, int]{{}}, []map[int]int{{}}
	for range 20_000 {
		i := rng.IntN(len(tables))
		switch rng.IntN(8) {
		case 0:
			copied := tables[i].share()
			if k := rng.IntN(6); k < len(tables) {
				tables[k], want[k] = &copied, maps.Clone(want[i])
			} else {
				tables, want = append(tables, &copied), append(want, maps.Clone(want[i]))
			}
		case 1:
			k := rng.IntN(len(tables))
			require.Equal(t, maps.Equal(want[i], want[k]), equal(tables[i], tables[k]))
		case 2:
			k := rng.IntN(200)
			tables[i].remove(k)
			delete(want[i], k)
		default:
			k, v := rng.IntN(200), rng.IntN(3)
			tables[i].put(k, v)
			want[i][k] = v
		}
		k := rng.IntN(200)
		v, found := tables[i].get(k)
		w, wanted := want[i][k]
		require.Equal(t, wanted, found)
		require.Equal(t, w, v)
	}
	for i := range tables {
		require.Equal(t, want[i], maps.Collect(tables[i].all))
	}
}
