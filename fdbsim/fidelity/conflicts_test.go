//go:build fdb

package fidelity

import (
	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

// step is one thing that a transaction does.
type step func(e *env, tr fdb.Transaction)

func get(name string) step {
	return func(e *env, tr fdb.Transaction) { _, err := tr.Get(e.k(name)).Get(); e.ok(err) }
}

func snapshotGet(name string) step {
	return func(e *env, tr fdb.Transaction) { _, err := tr.Snapshot().Get(e.k(name)).Get(); e.ok(err) }
}

func set(name string) step { return setTo(name, "new "+name) }

func setTo(name, value string) step {
	return func(e *env, tr fdb.Transaction) { tr.Set(e.k(name), []byte(value)) }
}

func clearKey(name string) step {
	return func(e *env, tr fdb.Transaction) { tr.Clear(e.k(name)) }
}

func clearRange(begin, end string) step {
	return func(e *env, tr fdb.Transaction) { tr.ClearRange(e.rangeOf(begin, end)) }
}

func add(name string, n byte) step {
	return func(e *env, tr fdb.Transaction) { tr.Add(e.k(name), []byte{n, 0, 0, 0, 0, 0, 0, 0}) }
}

func readConflict(begin, end string) step {
	return func(e *env, tr fdb.Transaction) { e.ok(tr.AddReadConflictRange(e.rangeOf(begin, end))) }
}

func readConflictKey(name string) step {
	return func(e *env, tr fdb.Transaction) { e.ok(tr.AddReadConflictKey(e.k(name))) }
}

func writeConflict(begin, end string) step {
	return func(e *env, tr fdb.Transaction) { e.ok(tr.AddWriteConflictRange(e.rangeOf(begin, end))) }
}

func writeConflictKey(name string) step {
	return func(e *env, tr fdb.Transaction) { e.ok(tr.AddWriteConflictKey(e.k(name))) }
}

// readRange reads a range completely with the given options.
func readRange(begin, end string, o fdb.RangeOptions) step {
	return func(e *env, tr fdb.Transaction) {
		_, err := tr.GetRange(e.rangeOf(begin, end), o).GetSliceWithError()
		e.ok(err)
	}
}

// first reads rows one by one and stops after the first.
func first(begin, end string, mode fdb.StreamingMode) step {
	return func(e *env, tr fdb.Transaction) {
		it := tr.GetRange(e.rangeOf(begin, end), fdb.RangeOptions{Mode: mode}).Iterator()
		e.True(it.Advance())
		_, err := it.Get()
		e.ok(err)
	}
}

func getKey(sel func(e *env) fdb.KeySelector, want string) step {
	return func(e *env, tr fdb.Transaction) {
		k, err := tr.GetKey(sel(e)).Get()
		e.ok(err)
		e.Equal(string(e.k(want)), string(k))
	}
}

func atOrAfter(name string) func(e *env) fdb.KeySelector {
	return func(e *env) fdb.KeySelector { return fdb.FirstGreaterOrEqual(e.k(name)) }
}

func after(name string) func(e *env) fdb.KeySelector {
	return func(e *env) fdb.KeySelector { return fdb.FirstGreaterThan(e.k(name)) }
}

func before(name string) func(e *env) fdb.KeySelector {
	return func(e *env) fdb.KeySelector { return fdb.LastLessThan(e.k(name)) }
}

func atOrBefore(name string) func(e *env) fdb.KeySelector {
	return func(e *env) fdb.KeySelector { return fdb.LastLessOrEqual(e.k(name)) }
}

func further(sel func(e *env) fdb.KeySelector, rows int) func(e *env) fdb.KeySelector {
	return func(e *env) fdb.KeySelector {
		s := sel(e)
		s.Offset += rows
		return s
	}
}

func noRYW(e *env, tr fdb.Transaction) { e.ok(tr.Options().SetReadYourWritesDisable()) }

func steps(s ...step) []step { return s }

const conflict = 1020

// outcome is what A's commit answers when B has done its step.
type outcome struct {
	b    step
	want int
}

func with(want int, bs ...step) []outcome {
	var out []outcome
	for _, b := range bs {
		out = append(out, outcome{b, want})
	}
	return out
}

// race registers a fact about two transactions: A takes its read version and runs its steps, B runs one
// step and commits, A sets an unrelated key and commits.
func race(id, what string, a []step, outcomes ...[]outcome) {
	observed(id, what, func(e *env) {
		for _, group := range outcomes {
			for _, o := range group {
				e.fill()
				tr := e.started()
				e.run(tr, a...)
				e.do(o.b)
				tr.Set(e.k("zz unrelated"), nil)
				e.code(o.want, tr.Commit().Get())
			}
		}
	})
}

func setAll(names ...string) []step {
	var out []step
	for _, n := range names {
		out = append(out, set(n))
	}
	return out
}

func init() {
	race("C01", "get k1 conflicts with a set of k1, not of k2", steps(get("k1")), with(conflict, set("k1")), with(0, set("k2")))
	observed("C03", "blind writes do not conflict; the last commit wins", func(e *env) {
		tr := e.started()
		e.run(tr, setTo("k1", "A"))
		e.do(setTo("k1", "B"))
		e.ok(tr.Commit().Get())
		e.stored("A", "k1")
	})
	race("C04", "a snapshot get does not conflict", steps(snapshotGet("k1")), with(0, set("k1")))
	race("C05", "an ordinary get after a snapshot get conflicts", steps(snapshotGet("k1"), get("k1")), with(conflict, set("k1")))
	race("C06", "AddReadConflictKey conflicts without a read", steps(readConflictKey("k1")), with(conflict, set("k1")))
	race("C07", "AddReadConflictRange excludes its end", steps(readConflict("k1", "k3")), with(conflict, set("k2")), with(0, set("k3")))
	race("C09", "AddWriteConflictKey without a mutation conflicts readers", steps(get("k1")), with(conflict, writeConflictKey("k1")))
	race("C10", "AddWriteConflictRange conflicts readers inside", steps(get("k2")), with(conflict, writeConflict("k1", "k3")))
	race("C10", "AddWriteConflictRange spares readers of its end", steps(get("k3")), with(0, writeConflict("k1", "k3")))
	race("C12", "NextWriteNoWriteConflictRange spares readers", steps(get("k1")), with(0, func(e *env, tr fdb.Transaction) {
		e.ok(tr.Options().SetNextWriteNoWriteConflictRange())
		tr.Set(e.k("k1"), []byte("unseen"))
	}))
	race("C13", "two readers do not conflict", steps(get("k1")), with(0, func(e *env, tr fdb.Transaction) { get("k1")(e, tr); set("other")(e, tr) }))
	observed("C14", "reads are of the version that was asked for, and conflict from there", func(e *env) {
		tr := e.started()
		e.do(set("k1"))
		e.value("v1", tr.Get(e.k("k1")))
		e.run(tr, set("other"))
		e.code(conflict, tr.Commit().Get())
	})
	observed("C15", "a transaction without a read version sees what was committed meanwhile", func(e *env) {
		tr := e.tr()
		e.do(setTo("k1", "B"))
		e.value("B", tr.Get(e.k("k1")))
		e.run(tr, set("other"))
		e.ok(tr.Commit().Get())
	})
	race("C16", "a limited range conflicts up to its last row", steps(readRange("k0", "k4", fdb.RangeOptions{Limit: 1})),
		with(conflict, setAll("k1", "k0")...), with(0, setAll("k2", "k3", "k1a")...))
	race("C17", "a limited reverse range conflicts from its last row", steps(readRange("k0", "k4", fdb.RangeOptions{Limit: 1, Reverse: true})),
		with(conflict, setAll("k3", "k3a")...), with(0, setAll("k1", "k2a", "k4")...))
	race("C18", "an unlimited range conflicts up to its end", steps(readRange("k1", "k3", fdb.RangeOptions{})),
		with(conflict, setAll("k1a", "k2zz")...), with(0, set("k3")))
	race("C18d", "a limit equal to the rows ends the range at the last one", steps(readRange("k1", "k9", fdb.RangeOptions{Limit: 5})), with(0, set("k5a")))
	race("C18d", "a limit above the rows does not", steps(readRange("k1", "k9", fdb.RangeOptions{Limit: 6})), with(conflict, set("k5a")))
	race("C19", "an empty range conflicts with phantoms", steps(readRange("m", "n", fdb.RangeOptions{})), with(conflict, set("m5")), with(0, set("n")))
	race("C20", "reads whose futures are never awaited conflict", steps(func(e *env, tr fdb.Transaction) { tr.Get(e.k("k1")) }), with(conflict, set("k1")))
	race("C20", "so do ranges", steps(func(e *env, tr fdb.Transaction) { tr.GetRange(e.rangeOf("k1", "k3"), fdb.RangeOptions{}) }), with(conflict, set("k2")))
	race("C20c", "a read whose future is cancelled conflicts", steps(func(e *env, tr fdb.Transaction) { tr.Get(e.k("k1")).Cancel() }), with(conflict, set("k1")))
	race("C21a", "a range from FirstGreaterThan excludes the key", steps(rangeFrom(after("k1"))), with(0, set("k1")))
	race("C21b", "a begin selector with an offset conflicts over what it counts", steps(rangeFrom(further(atOrAfter("k1"), 1))), with(conflict, set("k1a")))
	race("C22", "GetKey >=k2 depends on k2 only", steps(getKey(atOrAfter("k2"), "k2")), with(conflict, set("k2")), with(0, setAll("k1", "k1a", "k2a", "k3")...))
	race("C23", "GetKey >=k2a depends on all up to k3", steps(getKey(atOrAfter("k2a"), "k3")),
		with(conflict, setAll("k2a", "k2b", "k3")...), with(0, setAll("k2", "k3a")...))
	race("C24", "GetKey >k2", steps(getKey(after("k2"), "k3")), with(conflict, setAll("k2a", "k3")...), with(0, setAll("k2", "k3a")...))
	race("C25", "GetKey <k3", steps(getKey(before("k3"), "k2")), with(conflict, setAll("k2", "k2a")...), with(0, setAll("k1", "k3")...))
	race("C26", "GetKey <=k3", steps(getKey(atOrBefore("k3"), "k3")), with(conflict, set("k3")), with(0, setAll("k2", "k2a", "k3a")...))
	race("C27", "GetKey >=k1 and two further", steps(getKey(further(atOrAfter("k1"), 2), "k3")),
		with(conflict, setAll("k1", "k1a", "k2", "k3")...), with(0, setAll("k0", "k3a")...))
	race("C28", "a snapshot GetKey does not conflict", steps(func(e *env, tr fdb.Transaction) {
		_, err := tr.Snapshot().GetKey(fdb.FirstGreaterOrEqual(e.k("k2"))).Get()
		e.ok(err)
	}), with(0, clearKey("k2")))
	race("C30", "reading one's own set does not conflict", steps(set("k1"), get("k1")), with(0, set("k1")))
	race("C31", "a set after the read does not take the conflict back", steps(get("k1"), set("k1")), with(conflict, set("k1")))
	race("C32", "reading one's own clear does not conflict", steps(clearKey("k1"), get("k1")), with(0, set("k1")))
	race("C33", "reading one's own cleared range does not conflict", steps(clearRange("k1", "k5"), readRange("k1", "k5", fdb.RangeOptions{})), with(0, set("k3")))
	race("C34", "a range read conflicts around one's own set", steps(set("k2"), readRange("k1", "k5", fdb.RangeOptions{})),
		with(0, set("k2")), with(conflict, set("k3")))
	for _, op := range []func(tr fdb.Transaction, k fdb.Key){
		func(tr fdb.Transaction, k fdb.Key) { tr.Add(k, []byte{1}) },
		func(tr fdb.Transaction, k fdb.Key) { tr.CompareAndClear(k, []byte{1}) },
		func(tr fdb.Transaction, k fdb.Key) { tr.AppendIfFits(k, []byte{1}) },
		func(tr fdb.Transaction, k fdb.Key) { tr.Max(k, []byte{1}) },
		func(tr fdb.Transaction, k fdb.Key) { tr.ByteMax(k, []byte{1}) },
		func(tr fdb.Transaction, k fdb.Key) { tr.BitOr(k, []byte{1}) },
	} {
		race("C35", "blind atomic operations do not conflict", steps(func(e *env, tr fdb.Transaction) { op(tr, e.k("k1")) }), with(0, set("k1")))
	}
	race("C36", "reading one's own atomic operation conflicts", steps(add("k1", 1), get("k1")), with(conflict, set("k1")))
	race("C36", "unless it is on one's own set", steps(set("k1"), add("k1", 1), get("k1")), with(0, set("k1")))
	race("C39", "mutations that change nothing still conflict readers", steps(get("k1")), with(conflict, add("k1", 0),
		func(e *env, tr fdb.Transaction) { tr.CompareAndClear(e.k("k1"), []byte("no match")) },
		func(e *env, tr fdb.Transaction) { tr.SetVersionstampedValue(e.k("k1"), make([]byte, 14)) }))
	race("C39d", "a versionstamped key is a phantom", steps(readRange("s/", "s0", fdb.RangeOptions{})), with(conflict, stampedKey("s/", "x")))
	race("C40", "a blind clear does not conflict", steps(clearKey("k1")), with(0, set("k1")))
	race("C41", "a clear conflicts readers", steps(get("k1")), with(conflict, clearKey("k1")))
	race("C42", "reading a missing key conflicts, also with a clear that changes nothing", steps(get("m")), with(conflict, clearKey("m"), set("m")))
	race("C44", "a cleared range conflicts readers inside", steps(get("k2")), with(conflict, clearRange("k1", "k3")))
	race("C44", "and spares readers of its end", steps(get("k3")), with(0, clearRange("k1", "k3")))
	observed("C46", "a value that changes and changes back conflicts", func(e *env) {
		tr := e.started()
		e.run(tr, get("k1"))
		e.do(setTo("k1", "B"))
		e.do(setTo("k1", "v1"))
		e.run(tr, set("other"))
		e.code(conflict, tr.Commit().Get())
	})
	race("C47", "setting the value a key has conflicts readers", steps(get("k1")), with(conflict, setTo("k1", "v1")))
	race("C67", "reads conflict with read-your-writes disabled", steps(noRYW, get("k1")), with(conflict, set("k1")))
	race("C68", "so does reading past one's own set", steps(noRYW, set("k1"), func(e *env, tr fdb.Transaction) { e.value("v1", tr.Get(e.k("k1"))) }), with(conflict, set("k1")))
	observed("C69", "iterating conflicts with the batch that was fetched, not with what was consumed", func(e *env) {
		e.thousandRows(fdb.StreamingModeIterator, map[int]int{0: conflict, 1: conflict, 100: 0, 500: 0, 999: 0})
	})
	observed("C70", "want_all fetches and conflicts with everything", func(e *env) {
		e.thousandRows(fdb.StreamingModeWantAll, map[int]int{0: conflict, 1: conflict, 100: conflict, 500: conflict, 999: conflict})
	})
	observed("C48", "a read-only transaction commits without a check", func(e *env) {
		tr := e.started()
		e.run(tr, get("k1"))
		e.do(set("k1"))
		e.ok(tr.Commit().Get())
		v, err := tr.GetCommittedVersion()
		e.ok(err)
		e.EqualValues(-1, v)
	})
	observed("C49", "an added read conflict does not make it a writer", func(e *env) {
		tr := e.started()
		e.run(tr, get("k1"), readConflictKey("k1"))
		e.do(set("k1"))
		e.ok(tr.Commit().Get())
	})
	observed("C50", "an added write conflict does", func(e *env) {
		tr := e.started()
		e.run(tr, get("k1"), writeConflictKey("z"))
		e.do(set("k1"))
		e.code(conflict, tr.Commit().Get())
	})
	observed("C51", "a write conflict alone gets a committed version", func(e *env) {
		tr := e.tr()
		e.run(tr, writeConflictKey("z"))
		e.ok(tr.Commit().Get())
		v, err := tr.GetCommittedVersion()
		e.ok(err)
		e.Positive(v)
	})
	observed("C52", "SetReadVersion reads the past, and conflicts from there unless by snapshot", func(e *env) {
		past := e.started().GetReadVersion().MustGet()
		e.do(set("k1"))
		for _, c := range []struct {
			snapshot bool
			want     int
		}{{false, conflict}, {true, 0}} {
			tr := e.tr()
			tr.SetReadVersion(past)
			if c.snapshot {
				e.value("v1", tr.Snapshot().Get(e.k("k1")))
			} else {
				e.value("v1", tr.Get(e.k("k1")))
			}
			e.run(tr, set("other"))
			e.code(c.want, tr.Commit().Get())
		}
	})
	observed("C54", "write skew is refused for reads and possible for snapshot reads", func(e *env) {
		for _, c := range []struct {
			read func(string) step
			want int
		}{{get, conflict}, {snapshotGet, 0}} {
			a, b := e.started(), e.started()
			e.run(a, c.read("k1"), c.read("k2"), set("k1"))
			e.run(b, c.read("k1"), c.read("k2"), set("k2"))
			e.ok(a.Commit().Get())
			e.code(c.want, b.Commit().Get())
		}
	})
	observed("C56", "of two that read and write one key and commit together exactly one succeeds", func(e *env) {
		for range 100 {
			a, b := e.started(), e.started()
			e.run(a, get("k1"), set("k1"))
			e.run(b, get("k1"), set("k1"))
			fa, fb := a.Commit(), b.Commit()
			codes := []int{codeOf(fa.Get()), codeOf(fb.Get())}
			e.ElementsMatch([]int{0, conflict}, codes)
		}
	})
	observed("C60", "OnError after a conflict makes the transaction new", func(e *env) {
		tr, old := e.conflicted()
		e.ok(tr.OnError(fdb.Error{Code: conflict}).Get())
		v, err := tr.GetReadVersion().Get()
		e.ok(err)
		e.Greater(v, old)
		e.value("B", tr.Get(e.k("k1")))
		e.value(nil, tr.Get(e.k("other")))
		e.run(tr, set("other"))
		e.ok(tr.Commit().Get())
	})
	observed("C61", "after a failed commit nothing works", func(e *env) {
		tr, _ := e.conflicted()
		v, err := tr.GetCommittedVersion()
		e.ok(err)
		e.EqualValues(-1, v)
		e.getCode(2017, tr.Get(e.k("k1")))
		e.code(2017, tr.Commit().Get())
	})
	observed("C62", "until Reset", func(e *env) {
		tr, _ := e.conflicted()
		tr.Reset()
		e.value("B", tr.Get(e.k("k1")))
		e.value(nil, tr.Get(e.k("other")))
		e.ok(tr.Commit().Get())
	})
	observed("C63", "OnError on a healthy transaction drops its writes", func(e *env) {
		tr := e.started()
		e.run(tr, set("other"))
		e.ok(tr.OnError(fdb.Error{Code: conflict}).Get())
		e.ok(tr.Commit().Get())
		e.stored(nil, "other")
	})
	observed("C64", "OnError that refuses leaves the transaction cancelled", func(e *env) {
		tr := e.started()
		e.run(tr, set("other"))
		e.code(2000, tr.OnError(fdb.Error{Code: 2000}).Get())
		e.getCode(1025, tr.Get(e.k("k1")))
		e.code(1025, tr.Commit().Get())
		tr.Reset()
		e.value("v1", tr.Get(e.k("k1")))
	})
	observed("C65", "OnError waits a random time below a bound that doubles up to a second", func(e *env) { e.backoffs(1000) })
	observed("C66", "conflicting keys can be read after the conflict", func(e *env) {
		tr := e.started()
		e.ok(tr.Options().SetReportConflictingKeys())
		e.run(tr, get("k1"), get("k3"), set("other"))
		e.do(set("k3"))
		e.code(conflict, tr.Commit().Get())
		const module = "\xff\xff/transaction/conflicting_keys/"
		kvs, err := tr.GetRange(fdb.KeyRange{Begin: fdb.Key(module), End: fdb.Key(module + "\xff")}, fdb.RangeOptions{}).GetSliceWithError()
		e.ok(err)
		e.Equal([]fdb.KeyValue{
			{Key: append(fdb.Key(module), e.k("k3")...), Value: []byte("1")},
			{Key: append(fdb.Key(module), e.k("k3\x00")...), Value: []byte("0")},
		}, kvs)
	})
}

func rangeFrom(begin func(e *env) fdb.KeySelector) step {
	return func(e *env, tr fdb.Transaction) {
		_, err := tr.GetRange(fdb.SelectorRange{Begin: begin(e), End: fdb.FirstGreaterOrEqual(e.k("k4"))}, fdb.RangeOptions{}).GetSliceWithError()
		e.ok(err)
	}
}

// stampedKey sets prefix + stamp to value.
func stampedKey(prefix, value string) step {
	return func(e *env, tr fdb.Transaction) {
		p := e.k(prefix)
		param := append(append(fdb.Key{}, p...), make([]byte, 10)...)
		tr.SetVersionstampedKey(append(param, byte(len(p)), byte(len(p)>>8), 0, 0), []byte(value))
	}
}

// conflicted is a transaction whose commit was refused because another set k1 to B, and its version.
func (e *env) conflicted() (fdb.Transaction, int64) {
	tr := e.started()
	e.run(tr, get("k1"), set("other"))
	e.do(setTo("k1", "B"))
	e.code(conflict, tr.Commit().Get())
	return tr, tr.GetReadVersion().MustGet()
}

func (e *env) thousandRows(mode fdb.StreamingMode, outcomes map[int]int) {
	for row, want := range outcomes {
		e.fill()
		e.rows(1000)
		tr := e.started()
		e.run(tr, first("0", "a", mode))
		e.do(set(rowName(row)))
		e.run(tr, set("other"))
		e.code(want, tr.Commit().Get())
	}
}
