package fdbsim

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Where a real client may do one thing or the other, both happen here.

// A transaction that ends while its commit has not left the client: the commit lands or never does
// (rows N03, O10).
func TestACommitThatNobodyAwaitsMayNeverLeave(t *testing.T) {
	for name, end := range map[string]func(*Transaction, *Future){
		"destroy":           func(tr *Transaction, _ *Future) { tr.Destroy() },
		"cancel":            func(tr *Transaction, _ *Future) { tr.Cancel() },
		"reset":             func(tr *Transaction, _ *Future) { tr.Reset() },
		"cancel the future": func(_ *Transaction, f *Future) { f.Cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster("", Config{Seed: 1})
			landed := 0
			for i := range 100 {
				tr := ready(t, c, fmt.Sprint(i))
				end(tr, tr.Commit())
				if has(t, c, fmt.Sprint(i)) {
					landed++
				}
			}
			require.Greater(t, landed, 20)
			require.Less(t, landed, 80)
		})
	}
}

// Once somebody has waited, it has left: nothing takes it back (rows L01 to L07).
func TestACommitThatLeftIsNotTakenBack(t *testing.T) {
	c := newCluster("", Config{Seed: 1})
	for i := range 50 {
		c.Pause()
		tr := setting(c, fmt.Sprint(i))
		require.Equal(t, CodeTransactionTimedOut.err(), tr.Commit().Wait())
		tr.Cancel()
		tr.Destroy()
		c.Resume()
		c.Advance(landsWithin)
		require.True(t, has(t, c, fmt.Sprint(i)))
	}
}

// A connection that a pause has outlasted is given up, sooner or later: its commits are unknown, or,
// if they have timed out, land or never do (rows L08, L10). Before that all land.
func TestAPauseMayCostTheConnection(t *testing.T) {
	for pause, want := range map[time.Duration]struct{ all, some bool }{
		connectionLasts:                        {all: true},
		(connectionLasts + connectionLost) / 2: {all: true, some: true},
		connectionLost:                         {some: true},
	} {
		all, some := false, false
		for seed := range uint64(40) {
			c := newCluster("", Config{Seed: seed})
			patient, hasty := ready(t, c, "patient"), ready(t, c, "hasty")
			require.Zero(t, patient.SetOption(OptionTimeout, number(0)))
			c.Pause()
			since := c.Now()
			known, timedOut := patient.Commit(), hasty.Commit()
			require.Equal(t, CodeTransactionTimedOut.err(), timedOut.Wait())
			c.Advance(pause - (c.Now() - since))
			c.Resume()
			c.Advance(time.Minute)
			lost := known.Wait() != nil
			some = some || lost
			all = all || !lost && has(t, c, "hasty")
			require.False(t, !lost && !has(t, c, "patient"))
		}
		require.Equal(t, want.all, all, pause)
		require.Equal(t, want.some, some, pause)
	}
}

// A client whose transaction has timed out while the cluster was down goes on with its commit after
// the restart, or does not (row V19).
func TestACommitOfADeadClusterMayLand(t *testing.T) {
	landed := 0
	for seed := range uint64(40) {
		c := newCluster("", Config{Seed: seed})
		c.Kill()
		require.Equal(t, CodeTransactionTimedOut.err(), setting(c, "k").Commit().Wait())
		c.Restart()
		c.Advance(time.Second)
		if has(t, c, "k") {
			landed++
		}
	}
	require.Greater(t, landed, 8)
	require.Less(t, landed, 32)
}

// With several commit proxies a commit that a pause held up lands also behind one that was sent later.
func TestLateCommitsOfSeveralProxiesAreOvertaken(t *testing.T) {
	for proxies, possible := range map[int]bool{1: false, 3: true} {
		overtaken := 0
		for seed := range uint64(40) {
			c := newCluster("", Config{Seed: seed, Proxies: proxies})
			late := ready(t, c, "k")
			c.Pause()
			require.Equal(t, CodeTransactionTimedOut.err(), late.Commit().Wait())
			c.Resume()
			next := c.OpenDatabase().CreateTransaction()
			next.Set([]byte("k"), []byte("later"))
			require.NoError(t, next.Commit().Wait())
			c.Advance(landsWithin)
			v, _, err := c.OpenDatabase().CreateTransaction().Get([]byte("k"), false).Value()
			require.NoError(t, err)
			if string(v) == "x" {
				overtaken++
			}
		}
		require.Equal(t, possible, overtaken > 0, "%d proxies: %d of 40", proxies, overtaken)
	}
}

// A watch tells of a change that lasts. One that has gone when the news would be sent is told or not.
func TestAWatchMayMissAChangeThatIsUndone(t *testing.T) {
	c := newCluster("", Config{Seed: 1})
	missed := 0
	for range 100 {
		watcher := c.OpenDatabase().CreateTransaction()
		w := watcher.Watch([]byte("k"))
		require.NoError(t, watcher.Commit().Wait())
		c.SetIntercept(func(r *Request) Verdict {
			if r.Kind == KindWatch {
				return Delay(time.Millisecond)
			}
			return Deliver
		})
		require.NoError(t, setting(c, "k").Commit().Wait())
		require.NoError(t, clearing(c, "k").Commit().Wait())
		c.Advance(time.Second)
		c.SetIntercept(nil)
		if !w.Ready() {
			missed++
			require.NoError(t, setting(c, "k").Commit().Wait())
		}
		require.True(t, w.Ready(), "a change that lasts is told")
		require.NoError(t, clearing(c, "k").Commit().Wait())
	}
	require.Greater(t, missed, 20)
	require.Less(t, missed, 80)
}

// ready is a transaction that sets key and has its read version.
func ready(t *testing.T, c *Cluster, key string) *Transaction {
	tr := setting(c, key)
	require.NoError(t, tr.ReadVersion().Wait())
	return tr
}

// clearing is a transaction that clears key.
func clearing(c *Cluster, key string) *Transaction {
	tr := c.OpenDatabase().CreateTransaction()
	tr.Clear([]byte(key))
	return tr
}

// A transaction that goes on after an error leaves its watches waiting for ever or, seldom,
// cancels them (row W10).
func TestAnErrorMayCancelWatches(t *testing.T) {
	c := newCluster("", Config{Seed: 1})
	cancelled, pending := 0, 0
	for range 200 {
		tr := c.OpenDatabase().CreateTransaction()
		w := tr.Watch([]byte("k"))
		require.Nil(t, tr.OnError(CodeNotCommitted).Wait())
		if !w.Ready() {
			pending++
			continue
		}
		require.Equal(t, CodeTransactionCancelled.err(), w.Wait())
		cancelled++
	}
	require.Positive(t, cancelled)
	require.Greater(t, pending, cancelled)
}
