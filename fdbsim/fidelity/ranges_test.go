//go:build fdb

package fidelity

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

// batches are the sizes of the batches that an iteration fetches, "+" after those that announce more.
// The binding hides them; they are read from the iterator's fields.
func (e *env) batches(r fdb.RangeResult) string {
	e.t.Helper()
	it := r.Iterator()
	state := reflect.ValueOf(it).Elem()
	var sizes []string
	for it.Advance() {
		if state.FieldByName("index").Int() == 0 {
			size := fmt.Sprint(state.FieldByName("kvs").Len())
			if state.FieldByName("more").Bool() {
				size += "+"
			}
			sizes = append(sizes, size)
		}
		_, err := it.Get()
		e.ok(err)
	}
	return strings.Join(sizes, " ")
}

func (e *env) batchesOf(o fdb.RangeOptions) string {
	e.t.Helper()
	return e.batches(e.tr().GetRange(e.rangeOf("0", "a"), o))
}

func init() {
	observed("G01", "a thousand rows come in batches of the mode's size", func(e *env) {
		e.rows(1000)
		e.Equal("96+ 143+ 215+ 322+ 224", e.batchesOf(fdb.RangeOptions{}))
		e.Equal("1000", e.batchesOf(fdb.RangeOptions{Mode: fdb.StreamingModeWantAll}))
		e.Equal("1000", e.batchesOf(fdb.RangeOptions{Mode: fdb.StreamingModeSerial}))
		for mode, want := range map[fdb.StreamingMode]string{
			fdb.StreamingModeSmall: "6+ 6+ 6+ ", fdb.StreamingModeMedium: "24+ 24+ 24+ ", fdb.StreamingModeLarge: "96+ 96+ 96+ ",
		} {
			e.True(strings.HasPrefix(e.batchesOf(fdb.RangeOptions{Mode: mode}), want))
		}
	})
	observed("G02", "limits cut batches, in reverse too", func(e *env) {
		e.rows(1000)
		for _, reverse := range []bool{false, true} {
			e.Equal("1000+", e.batchesOf(fdb.RangeOptions{Mode: fdb.StreamingModeExact, Limit: 1000, Reverse: reverse}))
			e.Equal("300+", e.batchesOf(fdb.RangeOptions{Mode: fdb.StreamingModeExact, Limit: 300, Reverse: reverse}))
			e.Equal("300+", e.batchesOf(fdb.RangeOptions{Mode: fdb.StreamingModeWantAll, Limit: 300, Reverse: reverse}))
			e.Equal("96+ 143+ 61+", e.batchesOf(fdb.RangeOptions{Limit: 300, Reverse: reverse}))
		}
		e.Equal("96+ 143+ 215+ 322+ 224", e.batchesOf(fdb.RangeOptions{Reverse: true}))
	})
	observed("G04", "reaching the limit always announces more", func(e *env) {
		for limit, want := range map[int]string{5: "5+", 4: "4+", 6: "5", 0: "5"} {
			e.Equal(want, e.batches(e.tr().GetRange(e.rangeOf("k", "l"), fdb.RangeOptions{Limit: limit})))
		}
		e.False(e.tr().GetRange(e.rangeOf("m", "n"), fdb.RangeOptions{}).Iterator().Advance())
	})
	observed("G05", "empty and inverted ranges are empty", func(e *env) {
		for _, reverse := range []bool{false, true} {
			o := fdb.RangeOptions{Reverse: reverse}
			for _, r := range []fdb.Range{
				e.rangeOf("m", "n"), e.rangeOf("k1", "k1"), e.rangeOf("k3", "k1"),
				fdb.SelectorRange{Begin: fdb.FirstGreaterThan(e.k("k3")), End: fdb.LastLessThan(e.k("k2"))},
			} {
				kvs, err := e.tr().GetRange(r, o).GetSliceWithError()
				e.ok(err)
				e.Nil(kvs)
			}
		}
	})
	observed("G07", "batches of large rows", func(e *env) {
		e.rows(10, 50_000)
		for mode, want := range map[fdb.StreamingMode]string{
			fdb.StreamingModeWantAll: "2+ 2+ 2+ 2+ 2", fdb.StreamingModeSerial: "2+ 2+ 2+ 2+ 2",
			fdb.StreamingModeSmall: "1+ 1+ 1+ 1+ 1+ 1+ 1+ 1+ 1+ 1", fdb.StreamingModeMedium: "1+ 1+ 1+ 1+ 1+ 1+ 1+ 1+ 1+ 1",
			fdb.StreamingModeLarge: "1+ 1+ 1+ 1+ 1+ 1+ 1+ 1+ 1+ 1", fdb.StreamingModeIterator: "1+ 1+ 1+ 1+ 1+ 1+ 1+ 2+ 1",
		} {
			e.Equal(want, strings.TrimSuffix(e.batchesOf(fdb.RangeOptions{Mode: mode}), "+"))
		}
	})
	observed("G08", "an iteration is of one version", func(e *env) {
		e.rows(20_000)
		tr := e.tr()
		it := tr.GetRange(e.rangeOf("0", "a"), fdb.RangeOptions{Mode: fdb.StreamingModeWantAll}).Iterator()
		e.True(it.Advance())
		e.Equal(1861, reflect.ValueOf(it).Elem().FieldByName("kvs").Len())
		e.rows(20_000, 5)
		n := 0
		for ; it.Advance(); n++ {
			kv, err := it.Get()
			e.ok(err)
			e.Len(kv.Value, 10)
		}
		e.Equal(20_000, n)
	})
	observed("G09", "an own row comes on top of the batch it falls into", func(e *env) {
		e.rows(1000)
		for mode, want := range map[fdb.StreamingMode]string{
			fdb.StreamingModeIterator: "96+ 143+ 215+ 323+ 224", fdb.StreamingModeWantAll: "1001",
		} {
			tr := e.tr()
			e.run(tr, set(rowName(500)+"a"))
			e.Equal(want, e.batches(tr.GetRange(e.rangeOf("0", "a"), fdb.RangeOptions{Mode: mode})))
		}
	})
}
