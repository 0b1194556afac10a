//go:build fdb

package fidelity

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

func collect() {
	for range 3 {
		runtime.GC()
	}
}

// wholly reports whether a transaction landed that set name and "also "+name: both or neither.
func (e *env) wholly(name string) bool {
	kvs, err := e.tr().GetRange(e.rangeOf("0", "b"), fdb.RangeOptions{}).GetSliceWithError()
	e.ok(err)
	has := func(key string) bool {
		return slices.ContainsFunc(kvs, func(kv fdb.KeyValue) bool { return string(kv.Key) == string(e.k(key)) })
	}
	e.Equal(has(name), has("also "+name), "half of the transaction on %s", name)
	return has(name)
}

func init() {
	observed("N02", "a future outlives the reference to its transaction", func(e *env) {
		for range 50 {
			f := e.tr().Get(e.k("k1"))
			collect()
			e.value("v1", f)
		}
	})
	observed("N03", "a commit lands when its future is kept; when nothing of it is kept it lands or is lost, as a whole", func(e *env) {
		for i := range 50 {
			tr := e.tr()
			e.run(tr, set(rowName(i)))
			f := tr.Commit()
			collect()
			e.ok(f.Get())
			e.stored("new "+rowName(i), rowName(i))
		}
		for i := 50; i < 100; i++ {
			func() {
				tr := e.tr()
				e.run(tr, set(rowName(i)), set("also "+rowName(i)))
				tr.Commit()
			}()
			collect()
			e.cluster.Advance(20 * time.Millisecond)
			e.wholly(rowName(i))
		}
	})
	observed("N05", "a cancelled get says so", func(e *env) {
		f := e.tr().Get(e.k("k1"))
		f.Cancel()
		e.getCode(1101, f)
	})
	observed("N07", "opening never fails; a garbage file fails the operations (for unreachable servers see V19)", func(e *env) {
		e.Equal(e.cluster.Open(), e.cluster.Open())
		dir := e.t.TempDir()
		garbage := filepath.Join(dir, "garbage")
		e.NoError(os.WriteFile(garbage, []byte("this is not a cluster file"), 0o600))
		db, err := fdb.OpenDatabase(garbage)
		e.ok(err)
		e.getCode(2104, e.trOf(db).Get(e.k("k1")))
		db.Close()
		db, err = fdb.OpenDatabase(filepath.Join(dir, "missing"))
		e.ok(err)
		db.Close()
		db, err = fdb.OpenWithConnectionString("garbage")
		e.ok(err)
		db.Close()
	})
	observed("N10", "what was started before Close finishes; the database can be opened again (to start after Close crashes there, panics here)", func(e *env) {
		db := e.cluster.Open()
		tr, reader := e.trOf(db), e.trOf(db)
		e.run(tr, set("x"))
		read, commit := reader.Get(e.k("k1")), tr.Commit()
		watcher := e.trOf(db)
		w := watcher.Watch(e.k("k5"))
		e.ok(watcher.Commit().Get())
		db.Close()
		e.value("v1", read)
		e.ok(commit.Get())
		e.value("v2", reader.Get(e.k("k2")))
		e.pending(w)
		e.db = e.cluster.Open()
		e.value("v1", e.tr().Get(e.k("k1")))
		e.ok(fdb.APIVersion(730))
		e.code(2201, fdb.APIVersion(720))
	})
}
