//go:build fdb

package fidelity

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

// commitsInFlight pauses the server and issues n commits, of one key each, that were ready to be sent.
func (e *env) commitsInFlight(n int, timeout int64) ([]fdb.Transaction, []fdb.FutureNil) {
	var trs []fdb.Transaction
	for i := range n {
		tr := e.started()
		if timeout > 0 {
			e.ok(tr.Options().SetTimeout(e.ms(timeout)))
		}
		e.run(tr, set(rowName(i)))
		trs = append(trs, tr)
	}
	e.cluster.Pause()
	var commits []fdb.FutureNil
	for _, tr := range trs {
		commits = append(commits, tr.Commit())
	}
	return trs, commits
}

func (e *env) landed(n int) int {
	kvs, err := e.tr().GetRange(fdb.KeyRange{Begin: e.k("0"), End: e.k(rowName(n))}, fdb.RangeOptions{}).GetSliceWithError()
	e.ok(err)
	return len(kvs)
}

// timedOutCommits issues n commits that outlive their timeouts and returns how many landed.
func (e *env) timedOutCommits(n int) int {
	e.cluster.TimeOutCommits(true)
	for i := range n {
		tr := e.tr()
		e.ok(tr.Options().SetTimeout(1))
		e.run(tr, set(rowName(i)))
		e.Contains([]int{0, 1031}, codeOf(tr.Commit().Get()))
	}
	e.cluster.TimeOutCommits(false)
	e.cluster.Advance(time.Second)
	return e.landed(n)
}

func counter(e *env) uint64 {
	v, err := e.tr().Get(e.k("sum")).Get()
	e.ok(err)
	if v == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(v)
}

func init() {
	controlled("L01", "commits that timed out during a pause land after it", func(e *env) {
		for range 5 {
			e.fill()
			_, commits := e.commitsInFlight(20, 200)
			for _, f := range commits {
				e.code(1031, f.Get())
			}
			e.cluster.Advance(200 * time.Millisecond)
			e.cluster.Resume()
			e.comes(200*time.Millisecond, func() bool { return e.landed(20) == 20 })
		}
	})
	controlled("L02", "so do commits that the pause met half way", func(e *env) {
		trs, commits := e.commitsInFlight(16, 200)
		e.cluster.Resume() // some get through
		e.cluster.Pause()
		for i, f := range commits {
			if code := codeOf(f.Get()); code != 0 {
				e.Equal(1031, code, "commit %d of %d", i, len(trs))
			}
		}
		e.cluster.Resume()
		e.comes(200*time.Millisecond, func() bool { return e.landed(16) == 16 })
	})
	controlled("L03", "Reset and Cancel do not take a sent commit back", func(e *env) {
		for _, end := range []func(tr fdb.Transaction){fdb.Transaction.Reset, fdb.Transaction.Cancel} {
			e.fill()
			trs, commits := e.commitsInFlight(20, 200)
			for i, f := range commits {
				e.code(1031, f.Get())
				end(trs[i])
			}
			e.cluster.Resume()
			e.comes(200*time.Millisecond, func() bool { return e.landed(20) == 20 })
		}
	})
	controlled("L07", "a commit that had not even a read version when it timed out lands", func(e *env) {
		e.cluster.Pause()
		for i := range 20 {
			tr := e.tr()
			e.ok(tr.Options().SetTimeout(200))
			e.run(tr, set(rowName(i)))
			e.code(1031, tr.Commit().Get())
		}
		e.cluster.Resume()
		e.comes(200*time.Millisecond, func() bool { return e.landed(20) == 20 })
	})
	controlled("L08", "after a long pause each of them lands, or never does", func(e *env) {
		for _, long := range []bool{false, true} {
			e.fill()
			_, commits := e.commitsInFlight(20, 200)
			for _, f := range commits {
				e.code(1031, f.Get())
			}
			if !long {
				e.cluster.Resume()
				e.comes(500*time.Millisecond, func() bool { return e.landed(20) == 20 })
				continue
			}
			e.cluster.Advance(4 * time.Second)
			e.cluster.Resume()
			e.cluster.Advance(time.Second)
			at := e.landed(20)
			e.Positive(at)
			if e.cluster.Simulated() {
				e.Less(at, 20)
			}
			e.cluster.Advance(4 * time.Second)
			e.Equal(at, e.landed(20))
		}
	})
	controlled("L06", "a reader that asked for its version during the pause does not see them", func(e *env) {
		for range e.rounds(40, 5) {
			e.fill()
			_, commits := e.commitsInFlight(1, 200)
			e.code(1031, commits[0].Get())
			reader := e.tr()
			version := reader.GetReadVersion()
			e.cluster.Resume()
			_, err := version.Get()
			e.ok(err)
			e.value(nil, reader.Get(e.k(rowName(0))))
			e.comes(200*time.Millisecond, func() bool { return e.present(rowName(0)) })
		}
	})
	controlled("L06b", "a reader that asks right after the pause sometimes sees them and sometimes does not", func(e *env) {
		absent := 0
		for range e.rounds(40, 5) {
			e.fill()
			_, commits := e.commitsInFlight(1, 200)
			e.code(1031, commits[0].Get())
			e.cluster.Resume()
			v, err := e.tr().Get(e.k(rowName(0))).Get()
			e.ok(err)
			if v == nil {
				absent++
			}
			e.comes(200*time.Millisecond, func() bool { return e.present(rowName(0)) })
		}
		if e.cluster.Simulated() {
			e.InDelta(31, absent, 8)
		}
	})
	controlled("L04", "a transaction that read before them and writes after them conflicts", func(e *env) {
		for _, blind := range []bool{false, true} {
			for range e.rounds(40, 5) {
				e.fill()
				a := e.started()
				e.ok(a.Options().SetTimeout(e.ms(200)))
				if !blind {
					e.run(a, get("k1"))
				}
				e.run(a, setTo("k1", "A"))
				e.cluster.Pause()
				f := a.Commit()
				e.code(1031, f.Get())
				b := e.tr()
				read := b.Get(e.k("k1"))
				e.cluster.Resume()
				e.value("v1", read)
				e.run(b, setTo("k1", "B"))
				e.code(conflict, b.Commit().Get())
				e.stored("A", "k1")
			}
		}
	})
	controlled("L12", "nothing lands behind a later commit to the same row", func(e *env) {
		sawNothing := 0
		rounds := e.rounds(40, 4)
		for i := range rounds {
			e.fill()
			a := e.started()
			e.ok(a.Options().SetTimeout(e.ms(200)))
			if i%2 == 0 {
				e.run(a, get("k1"))
			}
			e.run(a, setTo("k1", "A"))
			e.cluster.Pause()
			e.code(1031, a.Commit().Get())
			e.cluster.Advance(5 * time.Second)
			e.cluster.Resume()
			saw, err := e.db.Transact(func(tr fdb.Transaction) (any, error) {
				v, err := tr.Get(e.k("k1")).Get()
				tr.Set(e.k("k1"), []byte("B"))
				return string(v), err
			})
			e.ok(err)
			if saw == "v1" {
				sawNothing++
			}
			e.cluster.Advance(4 * time.Second)
			e.stored("B", "k1")
		}
		if e.cluster.Simulated() {
			e.Positive(sawNothing)
			e.Less(sawNothing, rounds)
		}
	})
	controlled("L10", "commits without a timeout survive a short pause and are unknown after a long one", func(e *env) {
		_, commits := e.commitsInFlight(20, 0)
		e.cluster.Advance(1500 * time.Millisecond)
		e.cluster.Resume()
		for _, f := range commits {
			e.ok(f.Get())
		}
		e.Equal(20, e.landed(20))
		for _, pause := range []time.Duration{4500 * time.Millisecond, 8 * time.Second, 15 * time.Second} {
			e.fill()
			before := e.tr().GetReadVersion().MustGet()
			_, commits := e.commitsInFlight(20, 0)
			e.cluster.Advance(pause)
			e.cluster.Resume()
			for _, f := range commits {
				e.code(1021, f.Get())
			}
			e.do(set("other"))
			moved := min(pause, 5*time.Second).Microseconds()
			e.InDelta(moved, e.tr().GetReadVersion().MustGet()-before, float64(e.ms(100_000)))
			n := e.landed(20)
			e.Positive(n)
			if e.cluster.Simulated() {
				e.Less(n, 20)
			}
		}
	})
	controlled("L11", "an unknown result is settled when it arrives", func(e *env) {
		_, commits := e.commitsInFlight(40, 0)
		e.cluster.Advance(5500 * time.Millisecond)
		e.cluster.Resume()
		for _, f := range commits {
			e.code(1021, f.Get())
		}
		at := e.landed(40)
		e.cluster.Advance(4 * time.Second)
		e.Equal(at, e.landed(40))
	})
	controlled("L20", "a killed server loses nothing that it acknowledged; the rest is unknown", func(e *env) {
		ok, unknown := e.killUnderLoad(false)
		e.Positive(ok)
		if e.cluster.Simulated() {
			e.Positive(unknown)
		}
	})
	controlled("L21", "with automatic idempotency the unknown are too old instead, and absent", func(e *env) {
		_, unknown := e.killUnderLoad(true)
		e.Zero(unknown)
	})
	controlled("L22", "Transact repeats an unknown commit silently: increments can double", func(e *env) {
		doubled := uint64(0)
		for range 5 {
			doubled += e.incrementsAcrossKill(false)
		}
		if e.cluster.Simulated() {
			e.Positive(doubled)
		}
	})
	controlled("L23", "not with automatic idempotency", func(e *env) {
		for range 5 {
			e.Zero(e.incrementsAcrossKill(true))
		}
	})
}

// killUnderLoad kills the server with some commits done and some in flight, and checks what is there.
func (e *env) killUnderLoad(idempotent bool) (ok, unknown int) {
	for i := range 20 {
		e.do(set(rowName(i)))
	}
	var trs []fdb.Transaction
	for i := 20; i < 60; i++ {
		tr := e.started()
		if idempotent {
			e.ok(tr.Options().SetAutomaticIdempotency())
		}
		e.run(tr, set(rowName(i)))
		trs = append(trs, tr)
	}
	if !e.cluster.Simulated() {
		e.cluster.Pause() // or all are answered before the kill
	}
	var commits []fdb.FutureNil
	for _, tr := range trs {
		commits = append(commits, tr.Commit())
	}
	e.cluster.Kill()
	e.cluster.Restart()
	for i, f := range commits {
		present := e.present(rowName(20 + i))
		switch code := codeOf(f.Get()); code {
		case 0:
			e.True(present)
			ok++
		case 1021:
			e.False(idempotent)
			unknown++
		default:
			e.Equal(1007, code)
			e.True(idempotent)
			e.False(present)
		}
	}
	for i := range 20 {
		e.True(e.present(rowName(i)))
	}
	return ok + 20, unknown
}

func (e *env) present(name string) bool {
	v, err := e.tr().Get(e.k(name)).Get()
	e.ok(err)
	return v != nil
}

// incrementsAcrossKill kills the server while the commits of 16 clients are in flight, each adding one
// through Transact, and returns how much more than their successes was added.
func (e *env) incrementsAcrossKill(idempotent bool) uint64 {
	const n = 16
	e.fill()
	var clients sync.WaitGroup
	ready, paused := make(chan struct{}, n), make(chan struct{})
	sent := e.cluster.CommitsSent()
	for range n {
		clients.Go(func() {
			first := true
			_, err := e.db.Transact(func(tr fdb.Transaction) (any, error) {
				if idempotent {
					if err := tr.Options().SetAutomaticIdempotency(); err != nil {
						return nil, err
					}
				}
				add("sum", 1)(e, tr)
				if _, err := tr.GetReadVersion().Get(); err != nil || !first {
					return nil, err
				}
				first = false
				ready <- struct{}{}
				<-paused
				return nil, nil
			})
			if err != nil {
				e.t.Error(err)
			}
		})
	}
	for range n {
		<-ready
	}
	e.cluster.Pause()
	close(paused)
	e.cluster.AwaitCommits(sent + n)
	e.cluster.Kill()
	e.cluster.Restart()
	clients.Wait()
	return counter(e) - n
}
