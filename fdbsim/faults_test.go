package fdbsim

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func number(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

// setting is a transaction with a timeout that sets key.
func setting(c *Cluster, key string) *Transaction {
	tr := c.OpenDatabase().CreateTransaction()
	tr.SetOption(OptionTimeout, number(1000))
	tr.Set([]byte(key), []byte("x"))
	return tr
}

func has(t *testing.T, c *Cluster, key string) bool {
	_, ok, err := c.OpenDatabase().CreateTransaction().Get([]byte(key), false).Value()
	require.NoError(t, err)
	return ok
}

// Each fault answers with its code, has its effect on the data and is counted.
func TestFaults(t *testing.T) {
	for _, f := range []struct {
		kind   FaultKind
		faults Faults
		want   Code // of a commit that read and wrote
		landed bool // when it is answered
		later  bool // a second later
	}{
		{FaultConflict, Faults{Conflict: 1}, CodeNotCommitted, false, false},
		{FaultUnknownApplied, Faults{UnknownApplied: 1}, CodeCommitUnknownResult, true, true},
		{FaultUnknownNotApplied, Faults{UnknownNotApplied: 1}, CodeCommitUnknownResult, false, false},
		{FaultTimeoutLands, Faults{TimeoutLands: 1, MaxDelay: time.Second}, CodeTransactionTimedOut, false, true},
		{FaultTimeoutLost, Faults{TimeoutLost: 1}, CodeTransactionTimedOut, false, false},
		{FaultVersionLands, Faults{VersionLands: 1, MaxDelay: time.Second}, CodeVersionChanged, false, true},
		{FaultVersionLost, Faults{VersionLost: 1}, CodeVersionChanged, false, false},
		{FaultTooOld, Faults{TooOld: 1}, CodeTransactionTooOld, false, false},
		{FaultFutureVersion, Faults{FutureVersion: 1}, CodeFutureVersion, false, false},
		{FaultProcessBehind, Faults{ProcessBehind: 1}, CodeProcessBehind, false, false},
		{FaultLocked, Faults{Locked: 1}, CodeDatabaseLocked, false, false},
		{FaultThrottled, Faults{Throttled: 1}, CodeBatchThrottled, false, false},
		{FaultRecovery, Faults{Recovery: 1}, CodeTransactionTooOld, false, false},
		{FaultDelay, Faults{Delay: 1}, codeOK, true, true},
	} {
		t.Run(string(f.kind), func(t *testing.T) {
			c := newCluster("", Config{Seed: 1, Faults: f.faults})
			tr := setting(c, "k")
			tr.Get([]byte("other"), false)
			require.Equal(t, f.want.err(), tr.Commit().Wait())
			require.Positive(t, c.Stats().Faults[f.kind])
			c.SetFaults(Faults{})
			require.Equal(t, f.landed, has(t, c, "k"))
			c.Advance(time.Second)
			require.Equal(t, f.later, has(t, c, "k"))
		})
	}
}

// A timeout cannot hit a transaction that has none: no client of a real cluster would see it.
func TestNoTimeoutWithoutAnOption(t *testing.T) {
	c := newCluster("", Config{Faults: Faults{TimeoutLands: 0.5, TimeoutLost: 0.5}})
	tr := c.OpenDatabase().CreateTransaction()
	tr.Set([]byte("k"), nil)
	require.NoError(t, tr.Commit().Wait())
	require.Empty(t, c.Stats().Faults)
}

// Delayed requests are overtaken: ten commits of one batch land in another order than they were sent.
func TestDelaysReorder(t *testing.T) {
	c := newCluster("", Config{Seed: 3, Faults: Faults{Delay: 0.5}})
	var commits []*Future
	var trs []*Transaction
	for i := range 10 {
		tr := c.OpenDatabase().CreateTransaction()
		tr.Set(fmt.Append(nil, i), nil)
		trs, commits = append(trs, tr), append(commits, tr.Commit())
	}
	for _, f := range commits {
		require.NoError(t, f.Wait())
	}
	ordered := true
	for i := 1; i < len(trs); i++ {
		ordered = ordered && trs[i-1].CommittedVersion() <= trs[i].CommittedVersion()
	}
	require.False(t, ordered)
}

// The same seed gives the same run, another seed another one.
func TestSeedDecidesEverything(t *testing.T) {
	run := func(seed uint64) string {
		c := newCluster("", Config{Seed: seed, Faults: Faults{Conflict: 0.2, UnknownApplied: 0.1, UnknownNotApplied: 0.1, Delay: 0.3, Recovery: 0.05}})
		out := ""
		for i := range 100 {
			tr := setting(c, fmt.Sprint(i))
			err := tr.Commit().Wait()
			out += fmt.Sprintln(err, tr.CommittedVersion(), c.Now())
		}
		return out
	}
	require.Equal(t, run(1), run(1))
	require.NotEqual(t, run(1), run(2))
}

// A locked database refuses whoever is not lock-aware, before and after it has a read version.
func TestLockedDatabase(t *testing.T) {
	c := newCluster("", Config{})
	before := setting(c, "before")
	require.NoError(t, before.ReadVersion().Wait())
	c.SetLocked(true)
	require.Equal(t, CodeDatabaseLocked, before.Commit().waitCode())
	tr := setting(c, "k")
	require.Equal(t, CodeDatabaseLocked, tr.Commit().waitCode())
	aware := setting(c, "aware")
	aware.SetOption(OptionLockAware, nil)
	require.NoError(t, aware.Commit().Wait())
	reader := c.OpenDatabase().CreateTransaction()
	reader.SetOption(OptionReadLockAware, nil)
	require.NoError(t, reader.Get([]byte("aware"), false).Wait())
	c.SetLocked(false)
	require.False(t, has(t, c, "k"))
	require.NoError(t, tr.OnError(CodeDatabaseLocked).Wait())
	tr.Set([]byte("k"), nil)
	require.NoError(t, tr.Commit().Wait())
}

func (f *Future) waitCode() Code {
	_ = f.Wait()
	return f.Code()
}

// Intercept decides about single requests.
func TestIntercept(t *testing.T) {
	c := newCluster("", Config{})
	var seen []string
	c.SetIntercept(func(r *Request) Verdict {
		seen = append(seen, r.String())
		if r.Kind == KindCommit {
			return CommitUnknown(true)
		}
		return Deliver
	})
	tr := setting(c, "k")
	tr.GetRange(FirstGreaterOrEqual([]byte("a")), FirstGreaterOrEqual([]byte("b")), RangeOptions{Mode: StreamingWantAll}, false)
	require.Equal(t, CodeCommitUnknownResult, tr.Commit().waitCode())
	require.Equal(t, []string{"T1 read-version", `T1 get-range "a"`, `T1 commit "k"`}, seen)
	require.EqualValues(t, 1, c.Stats().Intercepted)
	c.SetIntercept(nil)
	require.True(t, has(t, c, "k"))
}

// Under a Stepper the landing of a timed out commit is a step of its own, and so is its loss.
func TestStepperOwnsLateLandings(t *testing.T) {
	for _, late := range []Verdict{Deliver, Drop} {
		s := NewStepper()
		c := newCluster("", Config{Scheduler: s})
		var code Code
		s.Go(func() { code = setting(c, "k").Commit().waitCode() })
		pending := s.Quiesce()
		require.Len(t, pending, 1)
		require.Equal(t, KindReadVersion, pending[0].Kind)
		s.Resolve(pending[0], Deliver)
		pending = s.Quiesce()
		require.Len(t, pending, 1)
		s.Resolve(pending[0], TimeOut(0))
		require.Equal(t, pending, s.Quiesce(), "it is still on its way")
		require.Equal(t, CodeTransactionTimedOut, code)
		require.Zero(t, c.newest().len())
		s.Resolve(pending[0], late)
		require.Empty(t, s.Quiesce())
		require.Equal(t, late == Deliver, c.newest().len() == 1)
		require.Panics(t, func() { s.Resolve(pending[0], Deliver) }, "it has had its answer")
	}
}

// Explore visits every path once; Replay repeats one of them.
func TestExploreVisitsEveryPathOnce(t *testing.T) {
	seen := make(map[string]int)
	body := func(ch *Choices) {
		for range ch.Choose(3) {
			ch.Choose(2)
		}
		seen[fmt.Sprint(ch.Path())]++
	}
	runs, all := Explore(100, body)
	require.True(t, all)
	require.Equal(t, 1+2+4, runs)
	require.Len(t, seen, runs)
	Replay([]int{2, 1, 0}, body)
	require.Equal(t, 2, seen["[2 1 0]"])
	runs, all = Explore(3, body)
	require.False(t, all)
	require.Equal(t, 3, runs)
}

// What is not modelled answers with an error and says so.
func TestUnmodelledIsNeverSilent(t *testing.T) {
	var said []string
	c := newCluster("", Config{Logf: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }})
	db := c.OpenDatabase()
	require.Equal(t, codeUnsupported, db.CreateTransaction().Unsupported("fdb_something").Code())
	require.Equal(t, codeUnsupported, db.Unsupported("fdb_something else").Code())
	require.Equal(t, codeUnsupported, db.CreateTransaction().SetOption(optionSpecialKeySpaceEnableWrites, nil))
	require.Equal(t, codeInvalidOption, db.CreateTransaction().SetOption(12345, nil))
	require.Equal(t, codeInvalidOption, db.SetOption(12345, nil))
	require.Equal(t, codeSpecialKeysNoModule, db.CreateTransaction().Get([]byte("\xff\xff/status/json"), false).Code())
	system := db.CreateTransaction()
	system.SetOption(OptionAccessSystemKeys, nil)
	require.Equal(t, codeUnsupported, system.Get([]byte("\xff/keyServers/a"), false).Code())
	system.Set([]byte("\xff/conf/x"), nil)
	require.Equal(t, codeUnsupported, system.Commit().Code())
	require.Len(t, said, 6)
	for _, s := range said {
		require.Contains(t, s, "not modelled")
	}
}

// A watch fires though nobody waits for the commit that changes its key.
func TestWatchFiresForAnUnattendedCommit(t *testing.T) {
	c := newCluster("", Config{})
	watcher := c.OpenDatabase().CreateTransaction()
	w := watcher.Watch([]byte("k"))
	require.NoError(t, watcher.Commit().Wait())
	fired := make(chan struct{})
	w.OnReady(func() { close(fired) })
	setting(c, "k").Commit()
	<-fired
	require.NoError(t, w.Err())
	require.Empty(t, c.watches)
}

func BenchmarkTransactions(b *testing.B) {
	c := newCluster("", Config{})
	db := c.OpenDatabase()
	i := 0
	for b.Loop() {
		key := fmt.Appendf(nil, "%08d", i%10_000)
		i++
		tr := db.CreateTransaction()
		if _, _, err := tr.Get(key, false).Value(); err != nil {
			b.Fatal(err)
		}
		tr.Set(key, key)
		if err := tr.Commit().Wait(); err != nil {
			b.Fatal(err)
		}
		tr.Destroy()
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "txn/s")
}
