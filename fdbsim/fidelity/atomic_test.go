//go:build fdb

package fidelity

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
)

type atomicOp func(tr fdb.Transaction, key fdb.KeyConvertible, param []byte)

// table registers a fact about an atomic operation: triples of existing value, parameter and result
// in hex, "-" being a missing key. The own view and the stored result must both be the result.
func table(id, what string, op atomicOp, triples ...[3]string) {
	observed(id, what, func(e *env) {
		for _, c := range triples {
			var existing []byte
			if c[0] != "-" {
				existing = fromHex(e, c[0])
			}
			start := func() fdb.Transaction {
				e.do(clearKey("x"))
				if existing != nil {
					e.do(setTo("x", string(existing)))
				}
				tr := e.tr()
				op(tr, e.k("x"), fromHex(e, c[1]))
				return tr
			}
			var want any
			if c[2] != "-" {
				want = string(fromHex(e, c[2]))
			}
			e.value(want, start().Get(e.k("x")))
			e.ok(start().Commit().Get())
			e.stored(want, "x")
		}
	})
}

func fromHex(e *env, s string) []byte {
	b, err := hex.DecodeString(s)
	e.NoError(err)
	return append([]byte{}, b...)
}

func init() {
	table("A01", "Add: little-endian with carry; a missing key becomes the parameter", fdb.Transaction.Add,
		[3]string{"ff00000000000000", "0100000000000000", "0001000000000000"},
		[3]string{"-", "0100000000000000", "0100000000000000"}, [3]string{"", "0100000000000000", "0100000000000000"})
	table("A03", "Add wraps around", fdb.Transaction.Add,
		[3]string{"ffffffffffffffff", "0200000000000000", "0100000000000000"},
		[3]string{"0500000000000000", "ffffffffffffffff", "0400000000000000"})
	table("A04", "Add has the width of its parameter", fdb.Transaction.Add,
		[3]string{"ffffffff", "0100000000000000", "0000000001000000"},
		[3]string{"ffffffffffffffff", "01000000", "00000000"},
		[3]string{"0102030405060708", "01", "02"}, [3]string{"ffffff", "010000", "000000"},
		[3]string{"ff", "010000000000000000000000", "000100000000000000000000"})
	table("A09", "Add of an empty parameter empties the value", fdb.Transaction.Add,
		[3]string{"0102030405060708", "", ""}, [3]string{"-", "", ""})
	table("A13", "Max: unsigned, little-endian", fdb.Transaction.Max,
		[3]string{"05", "03", "05"}, [3]string{"05", "0003", "0003"}, [3]string{"0005", "03", "03"},
		[3]string{"-", "03", "03"}, [3]string{"", "03", "03"}, [3]string{"05", "", ""})
	table("A20", "Min: a missing key becomes the parameter, an empty value counts as zero", fdb.Transaction.Min,
		[3]string{"05", "03", "03"}, [3]string{"05", "0003", "0500"}, [3]string{"0105", "03", "01"},
		[3]string{"-", "03", "03"}, [3]string{"", "03", "00"}, [3]string{"05", "", ""})
	table("A30", "ByteMax: by bytes", fdb.Transaction.ByteMax,
		[3]string{"0105", "02", "02"}, [3]string{"02", "0105", "02"}, [3]string{"-", "02", "02"},
		[3]string{"02", "0200", "0200"}, [3]string{"", "00", "00"})
	table("A40", "ByteMin: by bytes", fdb.Transaction.ByteMin,
		[3]string{"0105", "02", "0105"}, [3]string{"02", "0105", "0105"}, [3]string{"-", "02", "02"},
		[3]string{"02", "0200", "02"}, [3]string{"", "02", ""})
	table("A50", "And: a missing key becomes the parameter, an empty value counts as zero", fdb.Transaction.BitAnd,
		[3]string{"ff0f", "0ff0", "0f00"}, [3]string{"ff", "0fff", "0f00"}, [3]string{"ffff", "0f", "0f"},
		[3]string{"-", "0f", "0f"}, [3]string{"", "0f", "00"})
	table("A55", "Or", fdb.Transaction.BitOr,
		[3]string{"f00f", "0f00", "ff0f"}, [3]string{"f0", "0f01", "ff01"}, [3]string{"f0ff", "0f", "ff"}, [3]string{"-", "0f", "0f"})
	table("A59", "Xor", fdb.Transaction.BitXor,
		[3]string{"ff0f", "0fff", "f0f0"}, [3]string{"ff", "0f01", "f001"}, [3]string{"ff0f", "0f", "f0"}, [3]string{"-", "0f", "0f"})
	long := hex.EncodeToString(make([]byte, 99_999))
	table("A65", "AppendIfFits appends up to the value limit and is silent beyond", fdb.Transaction.AppendIfFits,
		[3]string{"0102", "03", "010203"}, [3]string{"-", "03", "03"}, [3]string{"-", "", ""},
		[3]string{long, "07", long + "07"}, [3]string{long + "00", "07", long + "00"})
	table("A70", "CompareAndClear clears an equal value", fdb.Transaction.CompareAndClear,
		[3]string{"0102", "0102", "-"}, [3]string{"0102", "01", "0102"}, [3]string{"-", "01", "-"}, [3]string{"", "", "-"})
	observed("A80", "blind adds of many clients never conflict and never get lost", func(e *env) {
		var bodies sync.Map
		var clients sync.WaitGroup
		for g := range 50 {
			clients.Go(func() {
				for i := range 20 {
					_, err := e.db.Transact(func(tr fdb.Transaction) (any, error) {
						runs, _ := bodies.LoadOrStore([2]int{g, i}, new(int))
						*runs.(*int)++
						add("sum", 1)(e, tr)
						return nil, nil
					})
					if err != nil {
						e.t.Error(err)
					}
				}
			})
		}
		clients.Wait()
		e.stored("\xe8\x03\x00\x00\x00\x00\x00\x00", "sum")
		total := 0
		bodies.Range(func(_, runs any) bool { total += *runs.(*int); return true })
		e.Equal(1000, total)
	})
	observed("A81", "a versionstamp is the committed version and the order in its batch", func(e *env) {
		tr := e.tr()
		tr.SetVersionstampedValue(e.k("x"), append([]byte("ab0123456789cd"), 2, 0, 0, 0))
		f := tr.GetVersionstamp()
		e.ok(tr.Commit().Get())
		stamp, err := f.Get()
		e.ok(err)
		e.Len(stamp, 10)
		version, err := tr.GetCommittedVersion()
		e.ok(err)
		e.EqualValues(version, binary.BigEndian.Uint64(stamp[:8]))
		e.stored("ab"+string(stamp)+"cd", "x")
	})
	observed("A82", "a bad stamp offset spoils the transaction", func(e *env) {
		for _, param := range [][]byte{append(make([]byte, 10), 1, 0, 0, 0), make([]byte, 3), append(make([]byte, 10), 0xff, 0xff, 0xff, 0xff)} {
			for _, op := range []func(tr fdb.Transaction){
				func(tr fdb.Transaction) { tr.SetVersionstampedValue(e.k("x"), param) },
				func(tr fdb.Transaction) { tr.SetVersionstampedKey(fdb.Key(param), []byte("x")) },
			} {
				tr := e.tr()
				e.run(tr, set("other"))
				op(tr)
				e.getCode(2000, tr.Get(e.k("k1")))
				e.getCode(2000, tr.Get(e.k("k1")))
				e.code(2000, tr.Commit().Get())
				e.stored(nil, "other")
			}
		}
	})
	observed("A86", "stamped keys are in commit order, committed versions rise", func(e *env) {
		var last int64
		for i := range 20 {
			tr := e.tr()
			e.run(tr, stampedKey("s/", fmt.Sprintf("%02d", i)))
			e.ok(tr.Commit().Get())
			v, err := tr.GetCommittedVersion()
			e.ok(err)
			e.Greater(v, last)
			last = v
		}
		kvs, err := e.tr().GetRange(e.rangeOf("s/", "s0"), fdb.RangeOptions{}).GetSliceWithError()
		e.ok(err)
		e.Len(kvs, 20)
		for i, kv := range kvs {
			e.Equal(fmt.Sprintf("%02d", i), string(kv.Value))
		}
	})
	observed("A87", "a transaction has one stamp", func(e *env) {
		e.do(stampedValue("x"), stampedValue("y"))
		x, err := e.tr().Get(e.k("x")).Get()
		e.ok(err)
		e.stored(string(x), "y")
	})
	observed("A88", "transactions share committed versions, never stamps", func(e *env) {
		var commits []fdb.FutureNil
		var stamps []fdb.FutureKey
		versions := make(map[int64]bool)
		var trs []fdb.Transaction
		for i := range 200 {
			tr := e.started()
			e.run(tr, set(rowName(i)))
			stamps, trs = append(stamps, tr.GetVersionstamp()), append(trs, tr)
		}
		for _, tr := range trs {
			commits = append(commits, tr.Commit())
		}
		distinct := make(map[string]bool)
		for i, tr := range trs {
			e.ok(commits[i].Get())
			v, err := tr.GetCommittedVersion()
			e.ok(err)
			versions[v] = true
			stamp, err := stamps[i].Get()
			e.ok(err)
			distinct[string(stamp)] = true
		}
		e.Len(distinct, 200)
		e.Less(len(versions), 200, "the committed version alone does not order transactions")
	})
	observed("A89", "there is no stamp without a commit of a write", func(e *env) {
		readOnly := e.tr()
		f := readOnly.GetVersionstamp()
		e.ok(readOnly.Commit().Get())
		_, err := f.Get()
		e.code(2021, err)
		_, err = readOnly.GetVersionstamp().Get()
		e.code(2017, err)

		tr := e.started()
		e.run(tr, get("k1"), set("other"))
		f = tr.GetVersionstamp()
		e.do(set("k1"))
		e.code(conflict, tr.Commit().Get())
		_, err = f.Get()
		e.code(2020, err)

		tr = e.tr()
		f = tr.GetVersionstamp()
		tr.Reset()
		_, err = f.Get()
		e.code(1100, err)
	})
}
