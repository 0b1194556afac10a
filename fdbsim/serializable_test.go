package fdbsim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// txnLog is what a client saw and did in a transaction, and how its commit ended.
type txnLog struct {
	id      int
	code    Code
	version int64  // that it read
	stamp   string // of the commit, found in the database; empty when nothing was committed
	reads   []readLog
	writes  []mutation
}

// readLog is one read: it can be asked again of another database.
type readLog struct {
	what   string
	future *Future
	answer func() string
	own    int // how many of the writes came before it
	again  func(t *tree) string
}

func printRows(rows []KeyValue) string {
	var b bytes.Buffer
	for _, r := range rows {
		fmt.Fprintf(&b, "%s=%x ", r.Key, r.Value)
	}
	return b.String()
}

// program is one drawn transaction: what it will read and write. It waits for its reads at the end.
type program []op

type op struct {
	kind          string
	key, end      []byte
	limit, offset int
	reverse       bool
	value         byte
}

func drawProgram(t *rapid.T) program {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op {
		r := keyRange().Draw(t, "range")
		return op{
			kind: rapid.SampledFrom([]string{"get", "get", "get-range", "get-key", "set", "set", "add", "clear", "clear-range", "stamp"}).Draw(t, "kind"),
			key:  r.Begin, end: r.End,
			limit: rapid.IntRange(0, 3).Draw(t, "limit"), offset: rapid.IntRange(-2, 3).Draw(t, "offset"),
			reverse: rapid.Bool().Draw(t, "reverse"), value: rapid.Byte().Draw(t, "value"),
		}
	}), 1, 6).Draw(t, "program")
}

// run executes the program once in a transaction of its own. The transaction also leaves its stamp under
// a key of its own, so that whether and in which place it was committed can be read off the database
// whatever its client was told.
func (p program) run(id int, db *Database) *txnLog {
	tr := db.CreateTransaction()
	defer tr.Destroy()
	tr.SetOption(OptionTimeout, binary.LittleEndian.AppendUint64(nil, 3_600_000))
	l := &txnLog{id: id}
	for _, o := range p {
		o.do(tr, l)
	}
	for _, r := range l.reads {
		if err := r.future.Wait(); err != nil {
			l.code, l.reads = r.future.Code(), nil
			return l
		}
	}
	l.version, _ = tr.ReadVersion().Int64()
	m := mutation{MutationSetVersionstamped, l.marker(), make([]byte, stampSize+stampOffsetSize)}
	tr.Atomic(m.op, m.key, m.param)
	l.writes = append(l.writes, m)
	f := tr.Commit()
	_ = f.Wait()
	l.code = f.Code()
	return l
}

func (l *txnLog) marker() []byte { return fmt.Appendf(nil, "z%03d", l.id) }

// do issues the operation.
func (o op) do(tr *Transaction, l *txnLog) {
	read := func(what string, f *Future, answer func(Result) string, again func(*tree) string) {
		l.reads = append(l.reads, readLog{what, f, func() string { return answer(f.Result()) }, len(l.writes), again})
	}
	write := func(m mutation) { l.writes = append(l.writes, m) }
	switch o.kind {
	case "get":
		read(fmt.Sprintf("get %s", o.key), tr.Get(o.key, false),
			func(r Result) string { return fmt.Sprint(r.Value, r.Present) },
			func(t *tree) string { v, ok := t.get(o.key); return fmt.Sprint(v, ok) })
	case "get-range":
		f := tr.GetRange(FirstGreaterOrEqual(o.key), FirstGreaterOrEqual(o.end),
			RangeOptions{Mode: StreamingWantAll, Limit: o.limit, Reverse: o.reverse}, false)
		read(fmt.Sprintf("range %s %s limit %d reverse %v", o.key, o.end, o.limit, o.reverse), f,
			func(r Result) string { return printRows(r.Rows) },
			func(t *tree) string { return printRows(rangeOf(t, o)) })
	case "get-key":
		read(fmt.Sprintf("key %s%+d", o.key, o.offset), tr.GetKey(KeySelector{Key: o.key, Offset: o.offset}, false),
			func(r Result) string { return string(r.Value) },
			func(t *tree) string { return keyOf(t, o) })
	case "set":
		tr.Set(o.key, []byte{o.value})
		write(mutation{mutationSet, o.key, []byte{o.value}})
	case "add":
		tr.Atomic(MutationAdd, o.key, []byte{o.value})
		write(mutation{MutationAdd, o.key, []byte{o.value}})
	case "clear":
		tr.Clear(o.key)
		write(mutation{mutationClearRange, o.key, keyAfter(o.key)})
	case "clear-range":
		tr.ClearRange(o.key, o.end)
		write(mutation{mutationClearRange, o.key, o.end})
	default: // stamp: a key among those that are read, which becomes known with the commit
		param := append(append([]byte{}, o.key...), make([]byte, stampSize+stampOffsetSize)...)
		param[len(param)-stampOffsetSize] = byte(len(o.key))
		tr.Atomic(MutationSetVersionstampedKey, param, []byte{o.value})
		write(mutation{MutationSetVersionstampedKey, param, []byte{o.value}})
	}
}

// keyOf is the key selector resolved by its definition.
func keyOf(t *tree, o op) string {
	switch i := t.rank(o.key) + o.offset - 1; {
	case i < 0:
		return ""
	case i >= t.len():
		return "\xff"
	default:
		return string(t.at(i).Key)
	}
}

// rangeOf is the range read done by looking at every row.
func rangeOf(t *tree, o op) []KeyValue {
	var rows []KeyValue
	for i := range t.len() {
		if row := t.at(i); (KeyRange{o.key, o.end}).contains(row.Key) {
			rows = append(rows, row)
		}
	}
	if o.reverse {
		for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
			rows[i], rows[j] = rows[j], rows[i]
		}
	}
	if o.limit > 0 && len(rows) > o.limit {
		rows = rows[:o.limit]
	}
	return rows
}

// requireSerial finds out which transactions were committed and replays them one after the other in the
// order of their stamps: each read must answer what it answered when they ran together. It returns
// how many were committed.
func requireSerial(t require.TestingT, c *Cluster, logs []*txnLog) int {
	var done []*txnLog
	for _, l := range logs {
		stamp, committed := c.newest().get(l.marker())
		switch l.code {
		case codeOK:
			require.True(t, committed, "transaction %d was told that it is committed", l.id)
		case CodeCommitUnknownResult, CodeTransactionTimedOut:
		default:
			require.False(t, committed, "transaction %d was told %d", l.id, l.code)
		}
		if committed {
			l.stamp = string(stamp)
			done = append(done, l)
		}
	}
	sort.Slice(done, func(i, j int) bool { return done[i].stamp < done[j].stamp })
	var root *tree
	for n, l := range done {
		root = l.replay(t, root, fmt.Sprintf("transaction %d, the %d. of %d to commit", l.id, n+1, len(done)))
	}
	require.Equal(t, printRows(rowsOf(root)), printRows(rowsOf(c.newest())))
	// Whoever was refused has read one version too.
	for _, l := range logs {
		if l.version > 0 {
			l.replay(t, c.at(l.version), fmt.Sprintf("transaction %d, at its read version", l.id))
		}
	}
	return len(done)
}

func rowsOf(t *tree) []KeyValue {
	var rows []KeyValue
	for i := range t.len() {
		rows = append(rows, t.at(i))
	}
	return rows
}

// replay requires that the transaction, run alone on root, reads what it read; it returns what it makes
// of root.
func (l *txnLog) replay(t require.TestingT, root *tree, where string) *tree {
	made := 0
	catchUp := func(to int) {
		for ; made < to; made++ {
			stamp := l.stamp
			if stamp == "" {
				stamp = string(make([]byte, stampSize)) // what it wrote at a stamp it could not read
			}
			root, _ = applyMutation(root, l.writes[made], []byte(stamp))
		}
	}
	for _, r := range l.reads {
		catchUp(r.own)
		require.Equal(t, r.again(root), r.answer(), "%s: %s", where, r.what)
	}
	catchUp(len(l.writes))
	return root
}

func (s *Stepper) goProgram(id int, p program, db *Database, logs []*txnLog) {
	s.Go(func() { logs[id] = p.run(id, db) })
}

// drawVerdict mostly delivers.
func drawVerdict(t *rapid.T, r *Request) Verdict {
	if r.state == requestDetached {
		return rapid.SampledFrom([]Verdict{Deliver, Drop}).Draw(t, "late")
	}
	verdicts := []Verdict{Deliver, Deliver, Deliver, Deliver, Deliver, Deliver}
	switch r.Kind {
	case KindCommit:
		verdicts = append(verdicts, CommitUnknown(true), CommitUnknown(false), TimeOut(0), Fail(CodeNotCommitted))
	default:
		verdicts = append(verdicts, Fail(CodeProcessBehind))
	}
	return rapid.SampledFrom(verdicts).Draw(t, "verdict")
}

// Transactions whose requests interleave in any order, some of them failing, timing out and landing
// late, are as if they had run one after the other.
func TestRandomInterleavingsAreSerializable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStepper()
		c := newCluster("", Config{Scheduler: s})
		logs := make([]*txnLog, rapid.IntRange(2, 8).Draw(t, "transactions"))
		started := 0
		for {
			pending := s.Quiesce()
			choices := len(pending)
			if started < len(logs) {
				choices++
			}
			if choices == 0 {
				break
			}
			if i := rapid.IntRange(0, choices-1).Draw(t, "next"); i < len(pending) {
				s.Resolve(pending[i], drawVerdict(t, pending[i]))
			} else {
				s.goProgram(started, drawProgram(t), c.OpenDatabase(), logs)
				started++
			}
			if rapid.IntRange(0, 40).Draw(t, "recovery") == 40 {
				c.Recover()
			}
		}
		requireSerial(t, c, logs)
	})
}

// The same with real concurrency and the faults that the cluster injects by itself.
func TestConcurrentTransactionsAreSerializable(t *testing.T) {
	for seed := range uint64(20) {
		c := newCluster("", Config{Seed: seed, Faults: Faults{
			UnknownApplied: 0.05, UnknownNotApplied: 0.05, TimeoutLands: 0.05, TimeoutLost: 0.05, TooOld: 0.02, Recovery: 0.02, Delay: 0.2,
		}})
		const clients, each = 8, 25
		logs := make([]*txnLog, clients*each)
		var running sync.WaitGroup
		for client := range clients {
			programs := rapid.SliceOfN(rapid.Custom(drawProgram), each, each).Example(int(seed)*clients + client)
			running.Go(func() {
				db := c.OpenDatabase()
				for i, p := range programs {
					id := client*each + i
					logs[id] = p.run(id, db)
				}
			})
		}
		running.Wait()
		c.Advance(time.Second) // what is late lands
		require.Positive(t, requireSerial(t, c, logs), "seed %d", seed)
	}
}

// And every interleaving of two small transactions.
func TestEveryInterleavingIsSerializable(t *testing.T) {
	key := func(s string) []byte { return []byte(s) }
	scenarios := map[string][2]program{
		"lost update":  {{{kind: "get", key: key("a")}, {kind: "set", key: key("a"), value: 1}}, {{kind: "get", key: key("a")}, {kind: "set", key: key("a"), value: 2}}},
		"write skew":   {{{kind: "get", key: key("a")}, {kind: "set", key: key("b"), value: 1}}, {{kind: "get", key: key("b")}, {kind: "set", key: key("a"), value: 2}}},
		"phantom":      {{{kind: "get-range", key: key("a"), end: key("c")}, {kind: "set", key: key("c"), value: 1}}, {{kind: "get", key: key("c")}, {kind: "set", key: key("b"), value: 2}}},
		"stamped row":  {{{kind: "get-range", key: key("a"), end: key("b")}, {kind: "set", key: key("c"), value: 1}}, {{kind: "get", key: key("c")}, {kind: "stamp", key: key("aa"), value: 2}}},
		"key selector": {{{kind: "get-key", key: key("a"), offset: 2}, {kind: "set", key: key("c"), value: 1}}, {{kind: "get", key: key("c")}, {kind: "clear-range", key: key("a"), end: key("b")}}},
	}
	for name, pair := range scenarios {
		t.Run(name, func(t *testing.T) {
			committed := make(map[int]int)
			runs, all := Explore(100_000, func(ch *Choices) {
				s := NewStepper()
				c := newCluster("", Config{Scheduler: s})
				logs := make([]*txnLog, len(pair))
				for id, p := range pair {
					s.goProgram(id, p, c.OpenDatabase(), logs)
				}
				for pending := s.Quiesce(); len(pending) > 0; pending = s.Quiesce() {
					s.Resolve(pending[ch.Choose(len(pending))], Deliver)
				}
				committed[requireSerial(t, c, logs)]++
			})
			require.True(t, all)
			// Each transaction is three requests: C(6,3) orders. Both commit only when one has committed
			// before the other has its read version.
			require.Equal(t, 20, runs)
			require.Equal(t, map[int]int{1: 18, 2: 2}, committed)
		})
	}
}
