//go:build fdb

package fidelity

import (
	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

// stampedValue sets name to a versionstamp.
func stampedValue(name string) step {
	return func(e *env, tr fdb.Transaction) { tr.SetVersionstampedValue(e.k(name), make([]byte, 14)) }
}

func rangeCode(r fdb.RangeResult) int {
	_, err := r.GetSliceWithError()
	return codeOf(err)
}

func init() {
	observed("R01", "reads see the own sets and clears", func(e *env) {
		tr := e.tr()
		e.run(tr, setTo("k1", "own"))
		e.value("own", tr.Get(e.k("k1")))
		e.run(tr, clearKey("k1"))
		e.value(nil, tr.Get(e.k("k1")))
		e.run(tr, clearRange("k1", "k3"))
		e.value(nil, tr.Get(e.k("k2")))
		e.value("v3", tr.Get(e.k("k3")))
	})
	observed("R04", "and the own atomic operations", func(e *env) {
		tr := e.tr()
		e.run(tr, add("n", 1))
		e.value("\x01\x00\x00\x00\x00\x00\x00\x00", tr.Get(e.k("n")))
		e.run(tr, add("n", 1))
		e.value("\x02\x00\x00\x00\x00\x00\x00\x00", tr.Get(e.k("n")))
	})
	observed("R05", "ranges are merged with the own writes", func(e *env) {
		tr := e.tr()
		e.run(tr, set("k1a"), clearKey("k2"), add("k3", 1))
		kvs, err := tr.GetRange(e.rangeOf("k1", "k9"), fdb.RangeOptions{}).GetSliceWithError()
		e.ok(err)
		e.Equal("k1 k1a k3 k4 k5", e.names(kvs))
		e.Equal("w3\x00\x00\x00\x00\x00\x00", string(kvs[2].Value))
	})
	observed("R06", "limits count merged rows", func(e *env) {
		tr := e.tr()
		e.run(tr, clearKey("k1"), set("k1a"), set("k2a"))
		e.keys("k1a k2 k2a", tr.GetRange(e.rangeOf("k1", "k9"), fdb.RangeOptions{Limit: 3}))
		e.keys("k5 k4 k3", tr.GetRange(e.rangeOf("k1", "k9"), fdb.RangeOptions{Limit: 3, Reverse: true}))
	})
	observed("R07", "limits reach past a cleared range", func(e *env) {
		tr := e.tr()
		e.run(tr, clearRange("k2", "k5"))
		e.keys("k1 k5", tr.GetRange(e.rangeOf("k1", "k9"), fdb.RangeOptions{Limit: 2}))
	})
	observed("R08", "snapshot reads see the own writes", func(e *env) {
		tr := e.tr()
		e.run(tr, setTo("k1", "own"))
		e.value("own", tr.Snapshot().Get(e.k("k1")))
		kvs, err := tr.Snapshot().GetRange(e.rangeOf("k1", "k2"), fdb.RangeOptions{}).GetSliceWithError()
		e.ok(err)
		e.Equal("own", string(kvs[0].Value))
	})
	observed("R09", "unless that is disabled, for snapshot reads only", func(e *env) {
		tr := e.tr()
		e.ok(tr.Options().SetSnapshotRywDisable())
		e.run(tr, setTo("k1", "own"))
		e.value("v1", tr.Snapshot().Get(e.k("k1")))
		kvs, err := tr.Snapshot().GetRange(e.rangeOf("k1", "k2"), fdb.RangeOptions{}).GetSliceWithError()
		e.ok(err)
		e.Equal("v1", string(kvs[0].Value))
		e.value("own", tr.Get(e.k("k1")))
	})
	observed("R10", "it can be disabled and enabled after the write", func(e *env) {
		tr := e.tr()
		e.run(tr, setTo("k1", "own"))
		e.ok(tr.Options().SetSnapshotRywDisable())
		e.value("v1", tr.Snapshot().Get(e.k("k1")))
		e.ok(tr.Options().SetSnapshotRywEnable())
		e.value("own", tr.Snapshot().Get(e.k("k1")))
	})
	observed("R11", "with read-your-writes disabled reads see the database", func(e *env) {
		tr := e.tr()
		e.run(tr, noRYW, setTo("k1", "own"))
		e.value("v1", tr.Get(e.k("k1")))
		kvs, err := tr.GetRange(e.rangeOf("k1", "k2"), fdb.RangeOptions{}).GetSliceWithError()
		e.ok(err)
		e.Equal("v1", string(kvs[0].Value))
		e.ok(tr.Commit().Get())
		e.stored("own", "k1")
	})
	observed("R12", "it cannot be disabled after a read or a write; the next call says so", func(e *env) {
		for _, s := range []step{get("k1"), set("k1")} {
			tr := e.tr()
			e.run(tr, s, noRYW)
			e.getCode(2000, tr.Get(e.k("k2")))
			e.code(2000, tr.Commit().Get())
		}
	})
	observed("R13", "a versionstamped value cannot be read", func(e *env) {
		reads := []func(tr fdb.Transaction) int{
			func(tr fdb.Transaction) int { _, err := tr.Get(e.k("k2")).Get(); return codeOf(err) },
			func(tr fdb.Transaction) int { _, err := tr.Snapshot().Get(e.k("k2")).Get(); return codeOf(err) },
			func(tr fdb.Transaction) int { return rangeCode(tr.GetRange(e.rangeOf("k1", "k3"), fdb.RangeOptions{})) },
		}
		for _, read := range reads {
			tr := e.tr()
			e.run(tr, stampedValue("k2"))
			e.Equal(1036, read(tr))
		}
		tr := e.tr()
		e.run(tr, stampedValue("k2"))
		e.keys("k3 k4", tr.GetRange(e.rangeOf("k3", "k5"), fdb.RangeOptions{}))
	})
	observed("R14", "reads that stop short of it work, reads that cross it do not", func(e *env) {
		tr := e.tr()
		e.run(tr, stampedValue("k2"))
		e.keys("k1", tr.GetRange(e.rangeOf("k1", "k9"), fdb.RangeOptions{Limit: 1}))
		e.run(tr, getKey(atOrAfter("k1"), "k1"), getKey(atOrAfter("k3"), "k3"))
		_, err := tr.GetKey(fdb.FirstGreaterThan(e.k("k1"))).Get()
		e.code(1036, err)
	})
	observed("R15", "BypassUnreadable shows the unfinished parameter", func(e *env) {
		tr := e.tr()
		e.ok(tr.Options().SetBypassUnreadable())
		e.run(tr, stampedValue("k2"))
		e.value(string(make([]byte, 14)), tr.Get(e.k("k2")))
	})
	observed("R16", "a set does not make the key readable, but it is what is stored", func(e *env) {
		tr := e.tr()
		e.run(tr, stampedValue("k2"), setTo("k2", "set"))
		e.getCode(1036, tr.Get(e.k("k2")))
		e.do(stampedValue("k2"), setTo("k2", "set"))
		e.stored("set", "k2")
	})
	observed("R17", "a clear makes it readable", func(e *env) {
		tr := e.tr()
		e.run(tr, stampedValue("k2"), clearKey("k2"))
		e.value(nil, tr.Get(e.k("k2")))
		e.run(tr, setTo("k2", "own"))
		e.value("own", tr.Get(e.k("k2")))
		e.do(stampedValue("k2"), clearKey("k2"))
		e.stored(nil, "k2")
	})
	observed("R18", "a versionstamped key makes all that it could become unreadable", func(e *env) {
		start := func() fdb.Transaction { tr := e.tr(); e.run(tr, stampedKey("s/", "x")); return tr }
		e.getCode(1036, start().Get(e.k("s/x")))
		e.Equal(1036, rangeCode(start().GetRange(e.rangeOf("s/", "s0"), fdb.RangeOptions{})))
		e.keys("k1 k2", start().GetRange(e.rangeOf("k1", "k3"), fdb.RangeOptions{}))
	})
	observed("R19", "nothing is unreadable with read-your-writes disabled", func(e *env) {
		tr := e.tr()
		e.run(tr, noRYW, stampedValue("k2"))
		e.value("v2", tr.Get(e.k("k2")))
	})
	observed("R21", "an empty value is not a missing one", func(e *env) {
		for _, v := range [][]byte{nil, {}} {
			tr := e.tr()
			tr.Set(e.k("empty"), v)
			e.value("", tr.Get(e.k("empty")))
			e.ok(tr.Commit().Get())
			e.stored("", "empty")
		}
		e.stored(nil, "missing")
	})
	observed("R22", "Set copies its arguments", func(e *env) {
		tr := e.tr()
		v := []byte("before")
		tr.Set(e.k("k1"), v)
		copy(v, "after!")
		e.ok(tr.Commit().Get())
		e.stored("before", "k1")
	})
	observed("R23", "a read sees the writes issued before it, not those issued before its answer", func(e *env) {
		for range 100 {
			tr := e.tr()
			f := tr.Get(e.k("k1"))
			r := tr.GetRange(e.rangeOf("k1", "k2"), fdb.RangeOptions{})
			e.run(tr, set("k1"))
			e.value("v1", f)
			kvs, err := r.GetSliceWithError()
			e.ok(err)
			e.Equal("v1", string(kvs[0].Value))
		}
	})
	observed("R26", "all reads are of one version", func(e *env) {
		tr := e.tr()
		e.value("v1", tr.Get(e.k("k1")))
		e.do(set("k1"), set("k2"))
		e.value("v1", tr.Get(e.k("k1")))
		e.value("v2", tr.Get(e.k("k2")))
	})
	observed("R28", "selectors are resolved over the own writes", func(e *env) {
		tr := e.tr()
		e.run(tr, set("k1a"), getKey(after("k1"), "k1a"))
		tr = e.tr()
		e.run(tr, clearKey("k2"), getKey(atOrAfter("k2"), "k3"))
	})
	observed("R34", "a read that failed fails the commit, even when its error was ignored", func(e *env) {
		tr := e.tr()
		e.run(tr, stampedValue("k2"), set("other"))
		e.getCode(1036, tr.Get(e.k("k2")))
		e.code(1036, tr.Commit().Get())
		e.stored(nil, "other")
		e.stored("v2", "k2")
	})
	controlled("R34", "also when it failed by age", func(e *env) {
		tr := e.started()
		e.cluster.Advance(agedOut)
		e.run(tr, set("other"))
		_, err := tr.Get(e.k("k2")).Get()
		e.agedRead(codeOf(err))
		e.code(1007, tr.Commit().Get())
		e.stored(nil, "other")
	})
	observed("O33", "a read that was refused locally does not", func(e *env) {
		tr := e.tr()
		e.getCode(2004, tr.Get(fdb.Key("\xff/x")))
		e.run(tr, set("other"))
		e.ok(tr.Commit().Get())
		e.stored("new other", "other")
	})
}
