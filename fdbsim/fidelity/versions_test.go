//go:build fdb

package fidelity

import (
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

// agedOut is an age at which nothing works any more.
const agedOut = 6500 * time.Millisecond

func committedVersion(e *env, tr fdb.Transaction) int64 {
	v, err := tr.GetCommittedVersion()
	e.ok(err)
	return v
}

func init() {
	observed("V01", "read versions stay while nothing is committed, and never fall", func(e *env) {
		var last int64
		distinct := make(map[int64]bool)
		for range 200 {
			v := e.tr().GetReadVersion().MustGet()
			e.GreaterOrEqual(v, last)
			last = v
			distinct[v] = true
		}
		e.LessOrEqual(len(distinct), 2, "one, or two when an idle batch falls in between")
	})
	observed("V02", "the read version after a commit is the committed version", func(e *env) {
		for i := range 200 {
			tr := e.tr()
			e.run(tr, setTo("x", rowName(i)))
			e.ok(tr.Commit().Get())
			next := e.tr()
			e.Equal(committedVersion(e, tr), next.GetReadVersion().MustGet())
			e.value(rowName(i), next.Get(e.k("x")))
		}
	})
	observed("V03", "a commit is later than every read version handed out before", func(e *env) {
		for range 200 {
			v := e.tr().GetReadVersion().MustGet()
			b := e.tr()
			e.run(b, set("x"))
			e.ok(b.Commit().Get())
			e.Greater(committedVersion(e, b), v)
		}
	})
	observed("V04", "the committed version is -1 without a write and survives Reset", func(e *env) {
		tr := e.tr()
		e.run(tr, set("x"))
		e.EqualValues(-1, committedVersion(e, tr))
		e.ok(tr.Commit().Get())
		e.Positive(committedVersion(e, tr))
		tr.Reset()
		e.Positive(committedVersion(e, tr))

		readOnly := e.tr()
		e.run(readOnly, get("k1"))
		e.ok(readOnly.Commit().Get())
		e.EqualValues(-1, committedVersion(e, readOnly))
		empty := e.tr()
		e.ok(empty.Commit().Get())
		e.EqualValues(-1, committedVersion(e, empty))
	})
	controlled("V05", "versions move by a million a second; idle read versions stay for up to two", func(e *env) {
		commit := func() int64 {
			tr := e.tr()
			e.run(tr, set("x"))
			e.ok(tr.Commit().Get())
			return committedVersion(e, tr)
		}
		v := commit()
		e.cluster.Advance(10 * time.Second)
		e.InDelta(10_000_000, commit()-v, float64(e.rounds(1000, 200_000)))
		distinct := make(map[int64]bool)
		for range 200 {
			e.cluster.Advance(20 * time.Millisecond)
			distinct[e.tr().GetReadVersion().MustGet()] = true
		}
		e.InDelta(3, len(distinct), float64(e.rounds(0, 1)))
	})
	observed("V07", "a read version can be set only while there is none", func(e *env) {
		tr := e.started()
		tr.SetReadVersion(tr.GetReadVersion().MustGet())
		e.getCode(2010, tr.Get(e.k("k1")))
		e.code(2010, tr.Commit().Get())
	})
	observed("V08", "impossible read versions", func(e *env) {
		for v, want := range map[int64]int{0: 2011, -1: 2011, 1: 1007} {
			tr := e.tr()
			tr.SetReadVersion(v)
			e.getCode(want, tr.Get(e.k("k1")))
		}
	})
	observed("V09", "a read version far in the future is waited for, for a second", func(e *env) {
		future := e.tr().GetReadVersion().MustGet() + 100_000_000
		tr := e.tr()
		tr.SetReadVersion(future)
		before := e.cluster.Now()
		e.getCode(1009, tr.Get(e.k("k1")))
		e.InDelta(time.Second, e.cluster.Now()-before, float64(300*time.Millisecond))

		tr = e.tr()
		e.ok(tr.Options().SetTimeout(300))
		tr.SetReadVersion(future)
		e.getCode(1031, tr.Get(e.k("k1")))
	})
	observed("V11", "a commit does not notice a read version from the future", func(e *env) {
		for _, s := range [][]step{{set("x")}, {set("x"), readConflictKey("k1")}} {
			tr := e.tr()
			tr.SetReadVersion(e.tr().GetReadVersion().MustGet() + 100_000_000)
			e.run(tr, s...)
			e.do(set("k1"))
			e.ok(tr.Commit().Get())
		}
	})
	controlled("V12", "what works with a read version that is 6.5 s old", func(e *env) {
		aged := func(s ...step) fdb.Transaction {
			e.do(set("fresh"))
			tr := e.started()
			e.run(tr, s...)
			e.cluster.Advance(agedOut)
			return tr
		}
		tr := aged(get("k1"))
		e.value("v1", tr.Get(e.k("k1")))
		_, err := tr.Get(e.k("k2")).Get()
		e.agedRead(codeOf(err))
		_, err = aged().Snapshot().Get(e.k("k2")).Get()
		e.agedRead(codeOf(err))
		e.agedRead(rangeCode(aged().GetRange(e.rangeOf("k1", "k3"), fdb.RangeOptions{})))
		_, err = aged().GetKey(fdb.FirstGreaterThan(e.k("k1"))).Get()
		e.agedRead(codeOf(err))

		e.ok(aged(get("k1")).Commit().Get())
		e.code(1007, aged(get("k1"), set("x")).Commit().Get())
		e.code(1007, aged(set("x")).Commit().Get())
		e.code(1007, aged(writeConflictKey("x")).Commit().Get())

		tr = aged()
		_, err = tr.Get(e.k("k1")).Get()
		e.agedRead(codeOf(err))
		e.code(codeOf(err), tr.Commit().Get())

		tr = e.tr()
		e.cluster.Advance(agedOut)
		e.value("v1", tr.Get(e.k("k1")))
	})
	controlled("V13", "commits work below five seconds, reads a little longer", func(e *env) {
		ages := map[time.Duration][2]int{
			4000: {0, 0}, 4500: {0, 0}, 4800: {0, 0}, 5000: {0, 1007}, 5200: {0, 1007}, 5500: {1007, 1007}, 6000: {1007, 1007}, 7000: {1007, 1007},
		}
		if !e.cluster.Simulated() { // where ages are not exact
			ages = map[time.Duration][2]int{4000: {0, 0}, 6500: {1007, 1007}}
		}
		for age, want := range ages {
			e.do(set("fresh"))
			reader, writer := e.started(), e.started()
			e.run(writer, set("x"))
			e.cluster.Advance(age * time.Millisecond)
			if _, err := reader.Get(e.k("k1")).Get(); want[0] == 0 {
				e.ok(err)
			} else {
				e.agedRead(codeOf(err))
			}
			e.code(want[1], writer.Commit().Get())
		}
	})
	controlled("V15", "Transact runs an aged body again", func(e *env) {
		runs := 0
		_, err := e.db.Transact(func(tr fdb.Transaction) (any, error) {
			runs++
			tr.GetReadVersion().MustGet()
			if runs == 1 {
				e.cluster.Advance(agedOut)
			}
			return tr.Get(e.k("k1")).Get()
		})
		e.ok(err)
		e.Equal(2, runs)
	})
	observed("V16", "read versions asked for together are one version", func(e *env) {
		var futures []fdb.FutureInt64
		for range 50 {
			futures = append(futures, e.tr().GetReadVersion())
		}
		distinct := make(map[int64]bool)
		for _, f := range futures {
			distinct[f.MustGet()] = true
		}
		e.LessOrEqual(len(distinct), 2)
	})
	controlled("V18", "a restart moves versions 100 million ahead and ends older transactions", func(e *env) {
		for range 3 {
			e.fill()
			old := e.started()
			e.run(old, get("k1"), set("x"))
			tr := e.tr()
			w := tr.Watch(e.k("k5"))
			e.ok(tr.Commit().Get())
			v := old.GetReadVersion().MustGet()

			e.cluster.Kill()
			e.cluster.Restart()
			jump := e.tr().GetReadVersion().MustGet() - v
			e.InDelta(100_110_000, jump, float64(e.rounds(20_000, 10_000_000)))
			e.value("v2", old.Get(e.k("k2")))
			e.code(1007, old.Commit().Get())
			e.stored(nil, "x")
			e.pending(w)
			e.do(set("k5"))
			e.ready(w)
		}
	})
	controlled("V19", "while the server is down reads wait; a commit that has timed out lands after the restart, or never does", func(e *env) {
		e.cluster.Kill()
		tr := e.tr()
		e.ok(tr.Options().SetTimeout(500))
		e.getCode(1031, tr.Get(e.k("k1")))
		patient := e.tr()
		f := patient.Get(e.k("k1"))
		e.pending(f)
		writer := e.tr()
		e.ok(writer.Options().SetTimeout(200))
		e.run(writer, set("x"))
		e.code(1031, writer.Commit().Get())
		e.cluster.Restart()
		e.value("v1", f)
		e.cluster.Advance(5 * time.Second)
		landed := e.present("x")
		e.cluster.Advance(time.Second)
		e.Equal(landed, e.present("x"))
	})
}

// agedRead checks the outcome of a read at a version that is out of the window. A busy server that is
// behind answers such reads for a while.
func (e *env) agedRead(code int) {
	e.t.Helper()
	if e.cluster.Simulated() || code != 0 {
		e.Equal(1007, code)
	}
}
