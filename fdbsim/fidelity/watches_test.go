//go:build fdb

package fidelity

import (
	"runtime"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

// watched is a committed watch, set after the given steps of its transaction.
func (e *env) watched(name string, before ...step) (fdb.Transaction, fdb.FutureNil) {
	tr := e.tr()
	e.run(tr, before...)
	w := tr.Watch(e.k(name))
	e.ok(tr.Commit().Get())
	return tr, w
}

func (e *env) fires(f fdb.FutureNil) {
	e.t.Helper()
	e.ready(f)
	e.ok(f.Get())
}

func init() {
	observed("W01", "a watch fires when the value changes, goes or comes", func(e *env) {
		_, w := e.watched("k1")
		e.pending(w)
		e.do(set("k1"))
		e.fires(w)
		_, w = e.watched("k2")
		e.do(clearKey("k2"))
		e.fires(w)
		_, w = e.watched("m")
		e.do(set("m"))
		e.fires(w)
	})
	observed("W02", "not when it is set to what it is", func(e *env) {
		e.do(setTo("n", "\x01\x00\x00\x00\x00\x00\x00\x00"))
		_, w := e.watched("n")
		e.do(setTo("n", "\x01\x00\x00\x00\x00\x00\x00\x00"))
		e.do(add("n", 0))
		e.pending(w)
	})
	observed("W03", "a value that changes and changes back fires, or does at the next change that lasts", func(e *env) {
		for range 20 {
			_, w := e.watched("k1")
			e.do(setTo("k1", "B"))
			e.do(setTo("k1", "v1"))
			if !w.IsReady() {
				e.do(setTo("k1", "C"))
			}
			e.fires(w)
			e.do(setTo("k1", "v1"))
		}
	})
	observed("W04", "it compares with what the transaction wrote", func(e *env) {
		for value, want := range map[string]bool{"B": true, "v1": true, "A": false} {
			e.fill()
			_, w := e.watched("k1", setTo("k1", "A"))
			e.pending(w)
			e.do(setTo("k1", value))
			if want {
				e.fires(w)
			} else {
				e.pending(w)
			}
		}
	})
	observed("W05", "a later write of the same transaction fires it at once", func(e *env) {
		tr := e.tr()
		w := tr.Watch(e.k("k1"))
		e.pending(w)
		e.run(tr, setTo("k1", "A"))
		e.fires(w)
	})
	observed("W06", "before the commit it is not watched, after it every change has counted", func(e *env) {
		tr := e.tr()
		w := tr.Watch(e.k("k1"))
		e.pending(w)
		e.do(set("k1"))
		e.pending(w)
		e.ok(tr.Commit().Get())
		e.fires(w)
	})
	observed("W17", "it compares with the version read, also of a read-only transaction", func(e *env) {
		tr := e.tr()
		e.run(tr, get("k1"))
		e.do(set("k1"))
		w := tr.Watch(e.k("k1"))
		e.ok(tr.Commit().Get())
		e.fires(w)
	})
	observed("W09", "it can be cancelled", func(e *env) {
		_, w := e.watched("k1")
		w.Cancel()
		e.code(1101, w.Get())
	})
	observed("W10", "it ends with a transaction that is not committed; by OnError seldom, else it waits for ever", func(e *env) {
		for want, end := range map[int]func(tr fdb.Transaction){
			1025: fdb.Transaction.Reset,
			1020: func(tr fdb.Transaction) {
				e.run(tr, get("k2"), set("other"))
				e.do(set("k2"))
				e.code(conflict, tr.Commit().Get())
			},
		} {
			tr := e.tr()
			w := tr.Watch(e.k("k1"))
			end(tr)
			e.code(want, w.Get())
		}
		tr := e.tr()
		w := tr.Watch(e.k("k1"))
		tr.Cancel()
		e.code(1025, w.Get())
		tr = e.tr()
		w = tr.Watch(e.k("k1"))
		e.Equal(0, e.onError(tr, conflict))
		e.cluster.Advance(300 * time.Millisecond)
		if w.IsReady() {
			e.code(1025, w.Get())
		}
	})
	observed("W11", "a committed watch survives its transaction", func(e *env) {
		for _, end := range []func(tr fdb.Transaction){fdb.Transaction.Reset, fdb.Transaction.Cancel} {
			e.fill()
			tr, w := e.watched("k1")
			end(tr)
			e.pending(w)
			e.do(set("k1"))
			e.fires(w)
		}
	})
	controlled("W12", "a watch above the limit fails, its transaction does not", func(e *env) {
		db := e.cluster.Open()
		e.ok(db.Options().SetMaxWatches(2))
		e.releaseWatches()
		_, first := e.watched("k1")
		_, second := e.watched("k1")
		_, third := e.watched("k1")
		e.code(1032, third.Get())
		first.Cancel()
		second.Cancel()
		e.ok(db.Options().SetMaxWatches(1_000_001)) // and nothing works any more
		e.getCode(2006, e.tr().Get(e.k("k1")))
		e.ok(db.Options().SetMaxWatches(10_000))
		e.getCode(2006, e.tr().Get(e.k("k1")))
		db.Close()
		e.db = e.cluster.Open()
		e.stored("v1", "k1")
	})
	observed("W13", "there are no watches without read-your-writes", func(e *env) {
		tr := e.tr()
		e.run(tr, noRYW)
		e.code(1034, tr.Watch(e.k("k1")).Get())
	})
	observed("W14", "a watch adds a read conflict", func(e *env) {
		tr := e.started()
		w := tr.Watch(e.k("k1"))
		e.run(tr, set("other"))
		e.do(set("k1"))
		e.code(conflict, tr.Commit().Get())
		e.code(conflict, w.Get())
	})
	observed("W15", "a committed watch has no timeout", func(e *env) {
		tr := e.tr()
		e.ok(tr.Options().SetTimeout(300))
		w := tr.Watch(e.k("k1"))
		e.ok(tr.Commit().Get())
		e.cluster.Advance(800 * time.Millisecond)
		e.pending(w)
	})
	observed("W16", "it works when its transaction is out of reach", func(e *env) {
		w, err := e.db.Transact(func(tr fdb.Transaction) (any, error) { return tr.Watch(e.k("k1")), nil })
		e.ok(err)
		for range 3 {
			runtime.GC()
		}
		e.do(set("k1"))
		e.fires(w.(fdb.FutureNil))
	})
	observed("W19", "all of many watches on a key fire", func(e *env) {
		var watches []fdb.FutureNil
		for range 100 {
			_, w := e.watched("k1")
			watches = append(watches, w)
		}
		e.do(set("k1"))
		for _, w := range watches {
			e.fires(w)
		}
	})
}

// releaseWatches lets the collector take the watches that earlier facts left pending.
func (e *env) releaseWatches() {
	for range 3 {
		runtime.GC()
	}
	// Finalizers run one after the other: when this one has, those queued before have.
	done := make(chan struct{})
	last := new([1 << 10]byte)
	runtime.SetFinalizer(last, func(*[1 << 10]byte) { close(done) })
	last = nil
	for {
		runtime.GC()
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}
