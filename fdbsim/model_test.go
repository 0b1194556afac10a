package fdbsim

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestMain runs more of the random tests than rapid does by default: each takes a fraction of a
// millisecond.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "2000"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// shortKey draws from few keys of different lengths, so that they meet often.
func shortKey() *rapid.Generator[[]byte] {
	return rapid.Map(rapid.StringMatching(`[a-b]{1,2}|c`), func(s string) []byte { return []byte(s) })
}

func keyRange() *rapid.Generator[KeyRange] {
	return rapid.Custom(func(t *rapid.T) KeyRange {
		a, b := shortKey().Draw(t, "a"), shortKey().Draw(t, "b")
		if bytes.Compare(a, b) > 0 {
			a, b = b, a
		}
		return KeyRange{a, b}
	})
}

// sortedRows is the map's rows in key order.
func sortedRows(m map[string]string) []KeyValue {
	var rows []KeyValue
	for k, v := range m {
		rows = append(rows, KeyValue{[]byte(k), []byte(v)})
	}
	sort.Slice(rows, func(i, j int) bool { return bytes.Compare(rows[i].Key, rows[j].Key) < 0 })
	return rows
}

// The tree is an ordered map, and a version of it never changes once somebody holds it.
func TestTreeIsAnImmutableOrderedMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			root *tree
			rows []KeyValue
		}
		model := make(map[string]string)
		versions := []version{{}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			root := versions[len(versions)-1].root
			if rapid.Bool().Draw(t, "set") {
				k, v := shortKey().Draw(t, "key"), rapid.StringN(0, 3, -1).Draw(t, "value")
				root = root.with(k, []byte(v))
				model[string(k)] = v
			} else {
				r := keyRange().Draw(t, "range")
				root = root.without(r.Begin, r.End)
				for k := range model {
					if r.contains([]byte(k)) {
						delete(model, k)
					}
				}
			}
			versions = append(versions, version{root, sortedRows(model)})
		}
		probe := shortKey().Draw(t, "probe")
		for _, v := range versions {
			require.Equal(t, len(v.rows), v.root.len())
			for i, row := range v.rows {
				got := v.root.at(i)
				require.Equal(t, string(row.Key), string(got.Key))
				require.Equal(t, string(row.Value), string(got.Value))
				require.Equal(t, i, v.root.rank(row.Key))
			}
			at, found := slices.BinarySearchFunc(v.rows, probe, func(r KeyValue, k []byte) int { return bytes.Compare(r.Key, k) })
			require.Equal(t, at, v.root.rank(probe))
			_, ok := v.root.get(probe)
			require.Equal(t, found, ok)
		}
	})
}

// A rangeSet is the set of keys that was added and not subtracted since, as disjoint ranges in order.
func TestRangeSetIsASetOfKeys(t *testing.T) {
	var universe [][]byte
	for _, k := range []string{"a", "b", "aa", "ab", "ba", "bb", "c", "a\x00", "b\x00", "bbb"} {
		universe = append(universe, []byte(k))
	}
	rapid.Check(t, func(t *rapid.T) {
		var s rangeSet
		model := make(map[string]bool)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			r, added := keyRange().Draw(t, "range"), rapid.Bool().Draw(t, "add")
			if added {
				s = s.add(r)
			} else {
				s = s.subtract(r)
			}
			for _, k := range universe {
				if r.contains(k) {
					model[string(k)] = added
				}
			}
		}
		for _, k := range universe {
			require.Equal(t, model[string(k)], s.contains(k), "key %s", k)
		}
		for i, r := range s {
			require.False(t, r.empty())
			require.True(t, i == 0 || bytes.Compare(s[i-1].End, r.Begin) < 0, "ranges %d and %d touch", i-1, i)
		}
		probe := keyRange().Draw(t, "probe")
		meets := slices.ContainsFunc(s, probe.intersects)
		require.Equal(t, meets && !probe.empty(), !probe.empty() && s.intersects(probe))
	})
}
