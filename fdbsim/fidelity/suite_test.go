//go:build fdb

package fidelity

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"
	"github.com/stretchr/testify/require"

	"github.com/kelpie-registry/registry/internal/serverctl"
)

var update = flag.Bool("update", false, "write FIDELITY.md from this run")

// How long to wait, in real time, for what must happen without a reason to wait, and how often to look.
const (
	patience = 10 * time.Second
	tick     = time.Millisecond
)

// fact is one observation of a real server.
type fact struct {
	id      string
	what    string
	control bool // needs a server of the test's own, to stop it, to let its versions age, or to leave traces
	check   func(e *env)
}

var facts []fact

// observed registers a fact; controlled registers one that a cluster which others use cannot show.
func observed(id, what string, check func(e *env)) {
	facts = append(facts, fact{id: id, what: what, check: check})
}

func controlled(id, what string, check func(e *env)) {
	facts = append(facts, fact{id: id, what: what, control: true, check: check})
}

// env is what a fact is checked in: a database whose keys k1..k5 hold v1..v5 under a prefix.
type env struct {
	*require.Assertions
	t       *testing.T
	db      fdb.Database
	prefix  string
	cluster cluster
}

// cluster is the control of the cluster under test. A real one needs a control program for all but Now
// and Advance, which waits.
type cluster interface {
	Now() time.Duration
	Advance(time.Duration)
	Pause()
	Resume()
	Kill()
	Restart()
	TimeOutCommits(on bool) // every commit outlives its timeout, and four of five of them land
	AwaitCommits(n uint64)  // until so many have been sent since the cluster exists
	CommitsSent() uint64
	Open() fdb.Database // the binding keeps one handle per cluster
	Simulated() bool    // time costs nothing, chance is seeded, nothing else uses the machine
	Controlled() bool   // Pause and the like work
}

func (e *env) k(name string) fdb.Key { return fdb.Key(e.prefix + name) }

func (e *env) fill() {
	_, err := e.db.Transact(func(tr fdb.Transaction) (any, error) {
		all, err := fdb.PrefixRange([]byte(e.prefix))
		if err != nil {
			return nil, err
		}
		tr.ClearRange(all)
		for i := 1; i <= 5; i++ {
			tr.Set(e.k(fmt.Sprintf("k%d", i)), fmt.Appendf(nil, "v%d", i))
		}
		return nil, nil
	})
	e.NoError(err)
}

func (e *env) tr() fdb.Transaction { return e.trOf(e.db) }

func (e *env) trOf(db fdb.Database) fdb.Transaction {
	tr, err := db.CreateTransaction()
	e.NoError(err)
	return tr
}

// started is a transaction that has its read version.
func (e *env) started() fdb.Transaction {
	tr := e.tr()
	_, err := tr.GetReadVersion().Get()
	e.NoError(err)
	return tr
}

// do runs steps in a transaction of their own and commits it.
func (e *env) do(steps ...step) {
	e.t.Helper()
	tr := e.tr()
	e.run(tr, steps...)
	e.ok(tr.Commit().Get())
}

func (e *env) run(tr fdb.Transaction, steps ...step) {
	for _, s := range steps {
		s(e, tr)
	}
}

func (e *env) ok(err error) { e.t.Helper(); e.code(0, err) }

// code checks the error code of an outcome, 0 being success.
func (e *env) code(want int, err error) {
	e.t.Helper()
	e.Equal(want, codeOf(err), "error code: %v", err)
}

func codeOf(err error) int {
	var fe fdb.Error
	if errors.As(err, &fe) {
		return fe.Code
	}
	if err != nil {
		return -1
	}
	return 0
}

// value checks what a get answers; nil is a missing key.
func (e *env) value(want any, f fdb.FutureByteSlice) {
	e.t.Helper()
	v, err := f.Get()
	e.ok(err)
	if want == nil {
		e.Nil(v)
		return
	}
	e.NotNil(v)
	e.Equal(want, string(v))
}

func (e *env) getCode(want int, f fdb.FutureByteSlice) {
	e.t.Helper()
	_, err := f.Get()
	e.code(want, err)
}

// stored checks what the database holds for a key now.
func (e *env) stored(want any, name string) { e.t.Helper(); e.value(want, e.tr().Get(e.k(name))) }

// keys checks the keys of a range read, without their prefix.
func (e *env) keys(want string, r fdb.RangeResult) {
	e.t.Helper()
	kvs, err := r.GetSliceWithError()
	e.ok(err)
	e.Equal(want, e.names(kvs))
}

func (e *env) names(kvs []fdb.KeyValue) string {
	var names []string
	for _, kv := range kvs {
		names = append(names, strings.TrimPrefix(string(kv.Key), e.prefix))
	}
	return strings.Join(names, " ")
}

// rowName names row i of rows: five bytes, so that the key has nine.
func rowName(i int) string { return fmt.Sprintf("%05d", i) }

// rows makes rows 0 to n-1, with values of size bytes, default ten.
func (e *env) rows(n int, size ...int) {
	value := []byte("0123456789")
	if len(size) > 0 {
		value = make([]byte, size[0])
	}
	for from := 0; from < n; from += 5000 {
		_, err := e.db.Transact(func(tr fdb.Transaction) (any, error) {
			for i := from; i < min(n, from+5000); i++ {
				tr.Set(e.k(rowName(i)), value)
			}
			return nil, nil
		})
		e.ok(err)
	}
}

func (e *env) rangeOf(begin, end string) fdb.KeyRange {
	return fdb.KeyRange{Begin: e.k(begin), End: e.k(end)}
}

// ready waits for f, which must end without time having to pass.
func (e *env) ready(f fdb.Future) {
	e.t.Helper()
	e.Eventually(f.IsReady, patience, tick, "the future should be ready")
}

// pending checks that nothing has completed f, giving a real cluster some time to.
func (e *env) pending(f fdb.Future) {
	e.t.Helper()
	e.cluster.Advance(300 * time.Millisecond)
	e.False(f.IsReady(), "the future should be pending")
}

// rounds is how often to try what one round does not decide; where time passes really, less often.
func (e *env) rounds(simulated, real int) int {
	if e.cluster.Simulated() {
		return simulated
	}
	return real
}

// ms is a time limit that is met on a machine that does nothing else, and five times that on a real one.
func (e *env) ms(n int64) int64 { return n * int64(e.rounds(1, 5)) }

// comes waits for what happens within d of simulated time, and soon on a real cluster.
func (e *env) comes(d time.Duration, is func() bool) {
	e.t.Helper()
	if !e.cluster.Simulated() {
		d = patience
	}
	for ; d > 0 && !is(); d -= 20 * tick {
		e.cluster.Advance(20 * tick)
	}
	e.True(is())
}

func TestFidelity(t *testing.T) {
	fdb.MustAPIVersion(730)
	c := newCluster(t)
	var table []row
	for _, f := range facts {
		f.test(t, c)
		table = append(table, row{id: f.id, what: f.what, control: f.control})
	}
	if c.Simulated() && !t.Failed() {
		compareTable(t, table)
	}
}

func (f fact) test(t *testing.T, c cluster) {
	t.Run(f.id+"/"+f.what, func(t *testing.T) {
		if f.control && !c.Controlled() {
			t.Skip(serverctl.Missing)
		}
		e := &env{Assertions: require.New(t), t: t, db: c.Open(), prefix: ownPrefix, cluster: c}
		e.fill()
		t.Cleanup(func() { e.fill() })
		f.check(e)
	})
}

// ownPrefix keeps this run apart from other users of a real cluster. It is four bytes long, on which
// the sizes that some facts are about depend.
var ownPrefix = fmt.Sprintf("~%02x/", os.Getpid()%256)

type row struct {
	id, what string
	control  bool
}

// compareTable keeps FIDELITY.md equal to what was run: every observation is listed, as agreeing or
// as not modelled.
func compareTable(t *testing.T, rows []row) {
	var b strings.Builder
	b.WriteString("# What the simulator shares with FoundationDB 7.3.79\n\n")
	b.WriteString("One line per observation of the real server; each *agrees* is a test of package fidelity. *With control*: the test\nstops the server or waits for its versions to age; on a real one it needs FDB_SERVER_CTL.\nWritten by `go test -tags 'fdb fdbsim' ./fdbsim/fidelity -update`.\n\n")
	b.WriteString("| id | observation | simulator |\n| --- | --- | --- |\n")
	seen := make(map[string]bool)
	for _, r := range rows {
		seen[r.id] = true
		verdict := "agrees"
		if r.control {
			verdict = "agrees (with control)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.id, r.what, verdict)
	}
	for _, n := range notModelled {
		require.False(t, seen[n.id], "%s is both checked and not modelled", n.id)
		seen[n.id] = true
		fmt.Fprintf(&b, "| %s | %s | not modelled: %s |\n", n.id, n.what, n.answer)
	}
	for _, id := range strings.Fields(observations) {
		require.True(t, seen[id], "observation %s is neither checked nor listed as not modelled", id)
	}
	if *update {
		require.NoError(t, os.WriteFile("FIDELITY.md", []byte(b.String()), 0o644))
		return
	}
	committed, err := os.ReadFile("FIDELITY.md")
	require.NoError(t, err)
	require.Equal(t, string(committed), b.String(), "run with -update and review the difference")
}

// observations are the ids of everything that was observed.
const observations = `
C01 C03 C04 C05 C06 C07 C09 C10 C12 C13 C14 C15 C16 C17 C18 C18d C19 C20 C20c C21a C21b C22 C23 C24 C25 C26 C27 C28
C30 C31 C32 C33 C34 C35 C36 C39 C39d C40 C41 C42 C44 C46 C47 C48 C49 C50 C51 C52 C54 C56 C60 C61 C62 C63 C64 C65 C66
C67 C68 C69 C70
R01 R04 R05 R06 R07 R08 R09 R10 R11 R12 R13 R14 R15 R16 R17 R18 R19 R21 R22 R23 R26 R28 R34
A01 A03 A04 A09 A13 A20 A30 A40 A50 A55 A59 A65 A70 A80 A81 A82 A86 A87 A88 A89
V01 V02 V03 V04 V05 V07 V08 V09 V11 V12 V13 V15 V16 V18 V19
O01 O02 O04 O05 O06 O08 O09 O10 O13 O15 O16 O17 O18 O20 O21 O22 O23 O24 O25 O26 O27 O28 O29 O30 O31 O32 O33 O34 O35
O36 P01 P03
G01 G02 G04 G05 G07 G08 G09
W01 W02 W03 W04 W05 W06 W09 W10 W11 W12 W13 W14 W15 W16 W17 W19
L01 L02 L03 L04 L06 L06b L07 L08 L10 L11 L12 L20 L21 L22 L23
N01 N02 N03 N05 N07 N10`

// notModelled are the observations that the simulator does not reproduce, and what it does instead.
var notModelled = []struct{ id, what, answer string }{
	{"N01", "latencies over loopback", "simulated time does not pass for reads; a batch of commits takes Config.CommitCost"},
}
