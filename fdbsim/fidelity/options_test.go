//go:build fdb

package fidelity

import (
	"fmt"
	"slices"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

// backoffs checks ten delays of OnError: each below a bound that doubles from 10 ms to at most most ms.
func (e *env) backoffs(most int) {
	slack := 100 * time.Millisecond // for a real cluster on a busy machine
	if e.cluster.Simulated() {
		slack = 0
	}
	tr := e.tr()
	var total time.Duration
	for bound := 10; bound < 10<<10; bound *= 2 {
		before := e.cluster.Now()
		e.ok(tr.OnError(fdb.Error{Code: conflict}).Get())
		waited := e.cluster.Now() - before
		e.LessOrEqual(waited, time.Duration(min(bound, most))*time.Millisecond+slack)
		total += waited
	}
	e.Positive(total)
}

func (e *env) onError(tr fdb.Transaction, code int) int {
	return codeOf(tr.OnError(fdb.Error{Code: code}).Get())
}

// conflictForever runs a body that always conflicts; it counts the runs.
func (e *env) conflictForever(db fdb.Database, before func(tr fdb.Transaction)) (runs, code int) {
	_, err := db.Transact(func(tr fdb.Transaction) (any, error) {
		runs++
		if runs > 1000 {
			return nil, fmt.Errorf("too many runs")
		}
		before(tr)
		if _, err := tr.Get(e.k("k1")).Get(); err != nil {
			return nil, err
		}
		e.do(set("k1"))
		e.run(tr, set("other"))
		return nil, nil
	})
	return runs, codeOf(err)
}

func longKey(e *env, n int) fdb.Key { return append(e.k(""), make([]byte, n-len(e.prefix))...) }

func init() {
	observed("O01", "a timeout ends the transaction until Reset, which also forgets it", func(e *env) {
		tr := e.tr()
		e.ok(tr.Options().SetTimeout(50))
		e.cluster.Advance(100 * time.Millisecond)
		e.getCode(1031, tr.Get(e.k("k1")))
		e.code(1031, tr.Commit().Get())
		e.Equal(1031, e.onError(tr, 1031))
		tr.Reset()
		e.cluster.Advance(100 * time.Millisecond)
		e.value("v1", tr.Get(e.k("k1")))
	})
	observed("O02", "it runs from the creation of the transaction", func(e *env) {
		tr := e.tr()
		e.cluster.Advance(300 * time.Millisecond)
		e.ok(tr.Options().SetTimeout(200))
		e.getCode(1031, tr.Get(e.k("k1")))
	})
	observed("O04", "across OnError", func(e *env) {
		tr := e.tr()
		e.ok(tr.Options().SetTimeout(300))
		e.Equal(0, e.onError(tr, conflict))
		e.cluster.Advance(310 * time.Millisecond)
		e.getCode(1031, tr.Get(e.k("k1")))
	})
	observed("O05", "it ends a retry loop", func(e *env) {
		runs, code := e.conflictForever(e.db, func(tr fdb.Transaction) { e.ok(tr.Options().SetTimeout(300)) })
		e.Equal(1031, code)
		e.Greater(runs, 2)
	})
	observed("O06", "a retry limit ends it with the last error, after one run more", func(e *env) {
		runs, code := e.conflictForever(e.db, func(tr fdb.Transaction) { e.ok(tr.Options().SetRetryLimit(3)) })
		e.Equal(conflict, code)
		e.Equal(4, runs)
		tr := e.tr()
		e.ok(tr.Options().SetRetryLimit(0))
		e.Equal(conflict, e.onError(tr, conflict))
		e.getCode(1025, tr.Get(e.k("k1")))
		tr = e.tr()
		e.ok(tr.Options().SetRetryLimit(-1))
		e.ok(tr.Options().SetMaxRetryDelay(1))
		for range 20 {
			e.Equal(0, e.onError(tr, conflict))
		}
	})
	observed("O08", "the retry delay can be bounded", func(e *env) {
		slack := 100 * time.Millisecond
		if e.cluster.Simulated() {
			slack = 0
		}
		tr := e.tr()
		e.ok(tr.Options().SetMaxRetryDelay(20))
		for range 12 {
			before := e.cluster.Now()
			e.Equal(0, e.onError(tr, conflict))
			e.LessOrEqual(e.cluster.Now()-before, 20*time.Millisecond+slack)
		}
	})
	observed("O09", "Cancel ends everything until Reset", func(e *env) {
		tr := e.tr()
		f := tr.Get(e.k("k1"))
		tr.Cancel()
		e.getCode(1025, f)
		e.getCode(1025, tr.Get(e.k("k1")))
		e.code(1025, tr.Commit().Get())
		_, err := tr.GetReadVersion().Get()
		e.code(1025, err)
		e.Equal(1025, e.onError(tr, conflict))
		tr.Reset()
		e.value("v1", tr.Get(e.k("k1")))
	})
	observed("O10", "Cancel and Reset hardly ever take a commit back that was issued, and then all of it", func(e *env) {
		landed := 0
		for i, c := range slices.Repeat([]struct {
			end  func(tr fdb.Transaction, f fdb.FutureNil)
			want int
		}{
			{func(tr fdb.Transaction, _ fdb.FutureNil) { tr.Cancel() }, 1025},
			{func(_ fdb.Transaction, f fdb.FutureNil) { f.Cancel() }, 1101},
			{func(tr fdb.Transaction, _ fdb.FutureNil) { tr.Reset() }, 1025},
		}, 20) {
			tr := e.started()
			e.run(tr, set(rowName(i)), set("also "+rowName(i)))
			f := tr.Commit()
			c.end(tr, f)
			e.Contains([]int{0, c.want}, codeOf(f.Get()))
			e.cluster.Advance(20 * time.Millisecond)
			if e.wholly(rowName(i)) {
				landed++
			}
		}
		e.Greater(landed, 10)
	})
	observed("O13", "a committed transaction cannot be used again without Reset", func(e *env) {
		for _, s := range []step{set("x"), get("k1")} {
			tr := e.tr()
			e.run(tr, s)
			e.ok(tr.Commit().Get())
			v := committedVersion(e, tr)
			e.getCode(2017, tr.Get(e.k("k1")))
			e.code(2017, tr.Commit().Get())
			e.Equal(v, committedVersion(e, tr))
		}
	})
	observed("O15", "two commits at once fail both, and land", func(e *env) {
		tr := e.started()
		e.run(tr, set("x"))
		f, g := tr.Commit(), tr.Commit()
		e.code(2017, f.Get())
		e.code(2017, g.Get())
		e.cluster.Advance(100 * time.Millisecond)
		e.stored("new x", "x")
	})
	observed("O16", "a set during a commit can fail the commit, which lands without it", func(e *env) {
		tr := e.started()
		e.run(tr, set("x"))
		f := tr.Commit()
		e.run(tr, set("y"))
		e.Contains([]int{0, 2017}, codeOf(f.Get()))
		e.cluster.Advance(100 * time.Millisecond)
		e.stored("new x", "x")
		e.stored(nil, "y")
	})
	observed("O17", "a get during a commit fails both", func(e *env) {
		tr := e.started()
		e.run(tr, set("x"))
		f := tr.Commit()
		e.getCode(2017, tr.Get(e.k("k1")))
		e.code(2017, f.Get())
	})
	observed("O18", "without the protection it fails alone", func(e *env) {
		tr := e.started()
		e.ok(tr.Options().SetUsedDuringCommitProtectionDisable())
		e.run(tr, set("x"))
		f := tr.Commit()
		e.getCode(2017, tr.Get(e.k("k1")))
		e.ok(f.Get())
	})
	observed("O20", "keys have 10000 bytes at most; larger ones are missing", func(e *env) {
		tr := e.tr()
		tr.Set(longKey(e, 10_000), nil)
		e.ok(tr.Commit().Get())
		tr = e.tr()
		tr.Set(longKey(e, 10_001), nil)
		e.code(2102, tr.Commit().Get())
		e.value(nil, e.tr().Get(longKey(e, 10_001)))
		tr = e.tr()
		tr.Clear(longKey(e, 10_001))
		e.ok(tr.Commit().Get())
	})
	observed("O21", "an oversized set shows in the next call", func(e *env) {
		tr := e.tr()
		tr.Set(longKey(e, 10_001), nil)
		e.getCode(2102, tr.Get(e.k("k1")))
		e.code(2102, tr.Commit().Get())
	})
	observed("O22", "values have 100000 bytes at most", func(e *env) {
		e.do(setTo("x", string(make([]byte, 100_000))))
		tr := e.tr()
		tr.Set(e.k("x"), make([]byte, 100_001))
		e.code(2103, tr.Commit().Get())
		tr = e.tr()
		tr.Add(e.k("x"), make([]byte, 100_001))
		e.code(2103, tr.Commit().Get())
	})
	observed("O23", "a transaction has ten million bytes at most", func(e *env) {
		for n, want := range map[int]int{111: 0, 112: 2101} {
			tr := e.tr()
			for i := range n {
				tr.Set(e.k(fmt.Sprintf("%03d", i)), make([]byte, 90_000))
			}
			e.code(want, tr.Commit().Get())
		}
	})
	observed("O24", "or what SizeLimit says, between 32 and ten million", func(e *env) {
		for size, want := range map[int]int{500: 0, 2000: 2101} {
			tr := e.tr()
			e.ok(tr.Options().SetSizeLimit(1000))
			tr.Set(e.k("x"), make([]byte, size))
			e.code(want, tr.Commit().Get())
		}
		for _, limit := range []int64{31, 10_000_001} {
			tr := e.tr()
			e.ok(tr.Options().SetSizeLimit(limit))
			e.code(2006, tr.Commit().Get())
		}
	})
	observed("O25", "the approximate size counts conflict ranges", func(e *env) {
		tr := e.tr()
		size := func(want int64) {
			n, err := tr.GetApproximateSize().Get()
			e.ok(err)
			e.Equal(want, n)
		}
		size(0)
		tr.Set(e.k(""), []byte("0123456789"))
		size(91)
		_, err := tr.Get(fdb.Key("~abc")).Get()
		e.ok(err)
		size(124)
		tr.Clear(fdb.Key("~abd"))
		size(190)
	})
	// Not on a cluster that others use: the empty key may be theirs.
	controlled("O26", "the empty key is an ordinary key", func(e *env) {
		tr := e.tr()
		tr.Set(fdb.Key{}, []byte("x"))
		e.value("x", tr.Get(fdb.Key{}))
		tr.Clear(fdb.Key{})
		e.value(nil, tr.Get(fdb.Key{}))
		e.ok(tr.Commit().Get())
	})
	observed("O27", "keys from \\xff on are out of reach", func(e *env) {
		tr := e.tr()
		tr.Set(fdb.Key("\xff"), nil)
		e.code(2004, tr.Commit().Get())
		e.getCode(2004, e.tr().Get(fdb.Key("\xff")))
		for end, want := range map[string]int{"\xff": 0, "\xff\xff": 2004} {
			tr := e.tr()
			tr.ClearRange(fdb.KeyRange{Begin: fdb.Key("\xff"), End: fdb.Key(end)}) // nobody's keys
			e.code(want, tr.Commit().Get())
		}
		for end, want := range map[string]int{"\xff": 0, "\xff\x00": 2004} {
			e.Equal(want, rangeCode(e.tr().GetRange(fdb.KeyRange{Begin: fdb.Key("\xfe\xff\xff"), End: fdb.Key(end)}, fdb.RangeOptions{})))
		}
	})
	observed("O28", "ReadSystemKeys lets them be read, not written", func(e *env) {
		tr := e.tr()
		e.ok(tr.Options().SetReadSystemKeys())
		e.value(nil, tr.Get(fdb.Key("\xff/x")))
		tr.Set(fdb.Key("\xff/x"), nil)
		e.code(2004, tr.Commit().Get())
	})
	observed("O29", "inverted ranges are errors of writes and empty for reads; equal bounds are fine", func(e *env) {
		tr := e.tr()
		tr.ClearRange(e.rangeOf("k3", "k1"))
		e.code(2005, tr.Commit().Get())
		tr = e.tr()
		e.keys("", tr.GetRange(e.rangeOf("k3", "k1"), fdb.RangeOptions{}))
		e.code(2005, tr.AddReadConflictRange(e.rangeOf("k3", "k1")))
		e.code(2005, tr.AddWriteConflictRange(e.rangeOf("k3", "k1")))
		same := e.rangeOf("k1", "k1")
		tr.ClearRange(same)
		e.keys("", tr.GetRange(same, fdb.RangeOptions{}))
		e.ok(tr.AddReadConflictRange(same))
		e.ok(tr.AddWriteConflictRange(same))
		e.ok(tr.Commit().Get())
		e.stored("v1", "k1")
	})
	observed("O30", "selectors beyond the ends stop there", func(e *env) {
		for _, offset := range []int{0, -1, -1000} {
			k, err := e.tr().GetKey(fdb.KeySelector{Key: fdb.Key(""), Offset: offset}).Get()
			e.ok(err)
			e.Equal("", string(k))
		}
		for _, offset := range []int{1, 2, 1000} {
			k, err := e.tr().GetKey(fdb.KeySelector{Key: fdb.Key("\xff"), Offset: offset}).Get()
			e.ok(err)
			e.Equal("\xff", string(k))
		}
		_, err := e.tr().GetKey(fdb.FirstGreaterOrEqual(fdb.Key("\xff\x01"))).Get()
		e.code(2004, err)
	})
	observed("O31", "limit -1 is no limit", func(e *env) {
		it := e.tr().GetRange(e.rangeOf("k1", "k9"), fdb.RangeOptions{Limit: -1, Mode: fdb.StreamingModeWantAll}).Iterator()
		n := 0
		for it.Advance() {
			_, err := it.Get()
			e.ok(err)
			n++
		}
		e.Equal(5, n)
	})
	observed("O32", "mode exact needs a limit", func(e *env) {
		it := e.tr().GetRange(e.rangeOf("k1", "k9"), fdb.RangeOptions{Mode: fdb.StreamingModeExact}).Iterator()
		e.True(it.Advance())
		_, err := it.Get()
		e.code(2210, err)
	})
	observed("O34", "bad option values are not reported by the option", func(e *env) {
		tr := e.tr()
		e.ok(tr.Options().SetTimeout(-1))
		e.ok(tr.Options().SetRetryLimit(-2))
		e.ok(tr.Options().SetMaxRetryDelay(-1))
	})
	observed("O35", "database options are the defaults of each transaction, also after Reset", func(e *env) {
		other := e.cluster.Open()
		e.ok(other.Options().SetTransactionTimeout(100))
		e.ok(other.Options().SetTransactionRetryLimit(1))
		// Back to what a new handle has: the binding gives everybody the same one.
		defer func() {
			e.ok(other.Options().SetTransactionTimeout(0))
			e.ok(other.Options().SetTransactionRetryLimit(-1))
		}()
		tr := e.trOf(other)
		for range 2 {
			e.cluster.Advance(150 * time.Millisecond)
			e.getCode(1031, tr.Get(e.k("k1")))
			tr.Reset()
		}
		runs := 0
		_, err := other.Transact(func(fdb.Transaction) (any, error) { runs++; return nil, fdb.Error{Code: conflict} })
		e.code(conflict, err)
		e.Equal(2, runs)
	})
	controlled("O36", "a commit that times out may land or be lost", func(e *env) {
		landed := e.timedOutCommits(100)
		e.Positive(landed)
		if e.cluster.Simulated() {
			e.Less(landed, 100)
		}
	})
	for _, p := range predicates {
		observed("P01", fmt.Sprintf("predicates and text of %d", p.code), func(e *env) {
			e.Equal(p.text, e.errorText(p.code))
			want := p.code
			switch {
			case p.retried:
				want = 0
			case p.code == 1100:
				want = 1025
			}
			e.Equal(want, e.onError(e.tr(), p.code))
		})
	}
	observed("P03", "OnError after an unknown result drops the writes", func(e *env) {
		tr := e.tr()
		e.run(tr, set("other"))
		e.Equal(0, e.onError(tr, 1021))
		e.ok(tr.Commit().Get())
		e.stored(nil, "other")
	})
}

func (e *env) errorText(code int) string {
	text := fdb.Error{Code: code}.Error()
	e.Contains(text, fmt.Sprint(code))
	return text[len(fmt.Sprintf("FoundationDB error code %d (", code)) : len(text)-1]
}

var predicates = []struct {
	code    int
	retried bool
	text    string
}{
	{1007, true, "Transaction is too old to perform reads or be committed"},
	{1009, true, "Request for future version"},
	{1020, true, "Transaction not committed due to conflict with another transaction"},
	{1021, true, "Transaction may or may not have committed"},
	{1025, false, "Operation aborted because the transaction was cancelled"},
	{1031, false, "Operation aborted because the transaction timed out"},
	{1037, true, "Storage process does not have recent mutations"},
	{1038, true, "Database is locked"},
	{1039, false, "The protocol version of the cluster has changed"},
	{1040, false, "External client has already been loaded"},
	{1042, true, "CommitProxy commit memory limit exceeded"},
	{1051, true, "Batch GRV request rate limit exceeded"},
	{1062, false, "Change feed was cancelled"},
	{1078, true, "GetReadVersion proxy memory limit exceeded"},
	{1213, true, "Transaction tag is being throttled"},
	{1032, false, "Too many watches currently set"},
	{1034, false, "Watches cannot be set if read your writes is disabled"},
	{1036, false, "Read or wrote an unreadable key"},
	{1100, false, "Broken promise"},
	{1101, false, "Asynchronous operation cancelled"},
	{1004, false, "Operation timed out"},
	{1006, false, "All alternatives failed"},
	{2000, false, "Invalid API call"},
	{2004, false, "Key outside legal range"},
	{2005, false, "Range begin key larger than end key"},
	{2006, false, "Option set with an invalid value"},
	{2017, false, "Operation issued while a commit was outstanding"},
	{2020, false, "Transaction does not have a valid commit version"},
	{2021, false, "Transaction is read-only and therefore does not have a commit version"},
	{2101, false, "Transaction exceeds byte limit"},
	{2102, false, "Key length exceeds limit"},
	{2103, false, "Value length exceeds limit"},
}
