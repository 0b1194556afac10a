package fdbsim

import (
	"container/heap"
	"log"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"time"
)

// The numbers of a 7.3 cluster that a client can see.
const (
	versionsPerSecond = 1_000_000
	// writeWindow is how many versions after its read version a commit is still accepted.
	writeWindow = 5 * versionsPerSecond
	// readWindow is how long a version stays readable; storage keeps a little more than it promises
	// (row V13: reads at 5.2 s succeed, at 5.5 s they do not).
	readWindow = 5_300_000
	// idleBatch is how often a cluster without commits moves its read version (row V05).
	idleBatch = 2 * versionsPerSecond
	// maxVersionJump bounds how far a pause of the cluster moves the version clock (row L10).
	maxVersionJump = 5 * versionsPerSecond
	// futureVersionWait is how long storage waits for a version that has not come yet (row V09).
	futureVersionWait = time.Second
	// A client gives a connection up on which nothing has answered for a time that is between these
	// (row L10). The commits that were sent on it are unknown then.
	connectionLasts = 2 * time.Second
	connectionLost  = 4 * time.Second
	// landsWithin bounds how long after a pause the commits in flight land.
	landsWithin = 200 * time.Millisecond
	// restartTime is how long a restarted process takes to serve a read version (row V18).
	restartTime = 1900 * time.Millisecond

	keySizeLimit       = 10_000
	systemKeySizeLimit = 30_000
	valueSizeLimit     = 100_000
	maxSizeLimit       = 10_000_000
	minSizeLimit       = 32

	firstVersion = 10_000_000
)

// Config is how a simulated cluster behaves. The zero value is a healthy cluster with seed 0.
type Config struct {
	// Seed of everything that is left to chance: backoff jitter, version jumps, faults.
	Seed uint64
	// Clock says who moves simulated time; ClockManual when a Scheduler is set.
	Clock ClockMode
	// Scheduler, when set, is given every request and owns the order of their completion.
	Scheduler Scheduler
	// Intercept, when set and no Scheduler is, decides about each request before Faults do. It is
	// called with the cluster locked: it must not call back.
	Intercept func(*Request) Verdict
	// Faults are drawn for each request that nobody else decided about.
	Faults Faults
	// Proxies is how many commit proxies the cluster has, default 1. With one, the commits that a pause
	// held up land in the order in which they were sent, before any later one. With more, those at other
	// proxies than the first land each at a time of its own, also behind later commits.
	Proxies int
	// CommitCost is the simulated time of one batch of commits, default 100 µs. It makes versions
	// move with the load as they do on a real cluster; a larger one ages transactions faster.
	CommitCost time.Duration
	// Logf reports calls that are not modelled, default log.Printf.
	Logf func(format string, args ...any)
}

type serverState int

const (
	serverRunning serverState = iota
	serverPaused
	serverDown
)

// snapshot is the database as of a version.
type snapshot struct {
	version int64
	root    *tree
}

// committed is what conflict detection remembers of one transaction.
type committed struct {
	version int64
	writes  rangeSet
}

// epoch maps the version clock to versions from some reading of the clock on.
type epoch struct{ from, base int64 }

// batch is a place among the commits that share a committed version.
type batch struct {
	version int64
	order   uint16
}

// Cluster is one simulated FoundationDB cluster: storage of every version in the window, the
// resolver's memory of recent writes, the version clock, the queue of requests that have been sent
// and not processed. Safe for concurrent use.
//
// Nothing happens in the background. Requests are processed, first in first out, when somebody
// waits for a future, asks whether it is ready, or moves the clock; so a caller that commits and does
// something else before waiting meets the same races as with a real cluster, reproducibly.
type Cluster struct {
	mu   sync.Mutex
	cfg  Config
	name string
	rng  *rand.Rand

	now          time.Duration
	versionClock int64 // microseconds the cluster has been running
	epochs       []epoch
	lastVersion  int64 // of the newest batch; what a read version is
	lastBatchAt  int64 // on the version clock
	open         batch // that the next commit joins

	state      serverState
	stoppedFor time.Duration
	locked     bool
	refusal    Code // every request of an unusable cluster file ends with this

	snapshots []snapshot
	recent    []committed
	watches   map[string][]*watch

	queue        []*Request
	late         []*Request // commits that a pause held up, in order
	timers       timerHeap
	seq          uint64
	lastTxn      uint64
	lastRequest  uint64
	submitted    []*Request // to hand to the scheduler after unlocking
	wake         []func()   // to call after unlocking
	watchWaiters int
	stats        Stats
}

func newCluster(name string, cfg Config) *Cluster {
	if cfg.CommitCost <= 0 {
		cfg.CommitCost = 100 * time.Microsecond
	}
	if cfg.Logf == nil {
		cfg.Logf = log.Printf
	}
	if cfg.Scheduler != nil {
		cfg.Clock = ClockManual
	}
	return &Cluster{
		cfg: cfg, name: name,
		rng:         rand.New(rand.NewPCG(cfg.Seed, 0x66646273696d)),
		epochs:      []epoch{{0, firstVersion}},
		lastVersion: firstVersion,
		snapshots:   []snapshot{{firstVersion, nil}},
		watches:     make(map[string][]*watch),
		stats:       Stats{Faults: make(map[FaultKind]uint64), Options: make(map[int]uint64)},
	}
}

// do runs f with the cluster locked, then, unlocked, wakes the waiters of the futures that f ended and
// hands the requests that f sent to the scheduler.
func (c *Cluster) do(f func()) {
	c.mu.Lock()
	f()
	wake, submitted := c.wake, c.submitted
	c.wake, c.submitted = nil, nil
	c.mu.Unlock()
	for _, w := range wake {
		w()
	}
	for _, r := range submitted {
		c.cfg.Scheduler.Submit(r)
	}
}

// send puts a request on its way.
func (c *Cluster) send(r *Request) {
	c.lastRequest++
	r.ID, r.Txn, r.sentAt = c.lastRequest, r.at.tr.id, c.now
	c.stats.Requests[r.Kind]++
	switch {
	case c.cfg.Scheduler != nil:
		c.submitted = append(c.submitted, r)
	case r.Kind == KindBackoff:
		c.after(r.delay, r.at.tr, func() { c.resolveAlone(r, Deliver) })
	default:
		c.queue = append(c.queue, r)
	}
	// A goroutine may be asleep on a watch that this very commit would fire, and the committer may
	// never wait for its own future: then nobody else would work the queue off.
	if r.at.commitSent && c.watchWaiters > 0 && c.cfg.Scheduler == nil {
		go c.do(c.drain)
	}
}

// drain processes what has been sent until nothing is left or the cluster is not running. Called with
// the cluster locked. Whoever drains, drains everything: a waiter that found the queue empty and went
// to sleep can rely on the next one to process what its own request leads to.
func (c *Cluster) drain() {
	for {
		for c.state == serverRunning && len(c.queue) > 0 {
			c.processHead()
		}
		for _, r := range c.queue { // of a cluster that does not run: sent, and not processed
			r.at.commitLeft = true
		}
		if len(c.timers) == 0 || c.timers[0].when > c.now {
			return
		}
		heap.Pop(&c.timers).(*timer).fire()
	}
}

// processHead processes the request at the head of the queue, or the commits there as one batch.
func (c *Cluster) processHead() {
	n := c.commitsAhead()
	if n > 0 {
		c.landLate() // commits land in the order in which they were sent
	}
	head := c.queue[:max(n, 1)]
	c.queue = c.queue[len(head):]
	c.open = batch{}
	for _, r := range head {
		c.resolve(r, c.verdictFor(r))
	}
}

// resolveAlone resolves a request that shares its batch with no other.
func (c *Cluster) resolveAlone(r *Request, v Verdict) {
	c.open = batch{}
	c.resolve(r, v)
}

// join takes the next place in the open batch, which gets its version with the first.
func (c *Cluster) join() batch {
	if c.open.version == 0 {
		c.open.version = c.nextVersion()
	}
	place := c.open
	c.open.order++
	return place
}

// commitsAhead counts the commits at the head of the queue: they make one batch and share a version
// (row A88).
func (c *Cluster) commitsAhead() int {
	n := 0
	for n < len(c.queue) && c.queue[n].Kind == KindCommit && n < 1<<16-1 {
		n++
	}
	return n
}

// drive is what waiting for f does: process requests, and with ClockAuto let the time pass that f is
// waiting for. It returns when f has ended or when only somebody else can end it.
func (c *Cluster) drive(f *Future) {
	for more := true; more; {
		c.do(func() {
			c.drain()
			more = false
			if f.done || f.isWatch && f.tr == nil || c.cfg.Clock != ClockAuto {
				return
			}
			if t := c.nextTimerOf(f.tr); t != nil {
				c.advanceTo(t.when)
				more = !f.done
			}
		})
	}
}

// Versions.

func (c *Cluster) versionNow() int64 { return c.versionAt(c.versionClock) }

// versionAt is the version that belongs to a reading of the version clock.
func (c *Cluster) versionAt(clock int64) int64 {
	for i := len(c.epochs) - 1; i > 0; i-- {
		if clock >= c.epochs[i].from {
			return c.epochs[i].base + clock
		}
	}
	return c.epochs[0].base + clock
}

// readVersion is what a transaction that asks now gets: the version of the newest batch. An idle
// cluster makes an empty batch every two seconds.
func (c *Cluster) readVersion() int64 {
	if idle := c.versionClock - c.lastBatchAt; idle >= idleBatch {
		c.lastBatchAt += idle / idleBatch * idleBatch
		c.lastVersion = max(c.lastVersion, c.versionAt(c.lastBatchAt))
	}
	return c.lastVersion
}

// nextVersion is the version of the next batch of commits.
func (c *Cluster) nextVersion() int64 {
	c.setNow(c.now + c.cfg.CommitCost)
	v := max(c.versionNow(), c.readVersion()+1)
	c.lastVersion, c.lastBatchAt = v, c.versionClock
	return v
}

func (c *Cluster) oldestReadable() int64 { return c.versionAt(c.versionClock - readWindow) }

// at is the database as of a version that is readable.
func (c *Cluster) at(version int64) *tree {
	i := sort.Search(len(c.snapshots), func(i int) bool { return c.snapshots[i].version > version })
	if i == 0 {
		return nil
	}
	return c.snapshots[i-1].root
}

func (c *Cluster) newest() *tree { return c.snapshots[len(c.snapshots)-1].root }

// forget drops versions that nobody can read any more and writes that nobody can conflict with. It
// halves the memory when it does something, so that its cost is constant per commit.
func (c *Cluster) forget() {
	oldest := min(c.oldestReadable(), c.lastVersion-writeWindow)
	if n := len(c.snapshots); n > 64 {
		keep := sort.Search(n, func(i int) bool { return c.snapshots[i].version > oldest }) - 1
		if keep > n/2 {
			c.snapshots = append([]snapshot(nil), c.snapshots[keep:]...)
		}
	}
	if n := len(c.recent); n > 64 {
		keep := sort.Search(n, func(i int) bool { return c.recent[i].version > oldest })
		if keep > n/2 {
			c.recent = append([]committed(nil), c.recent[keep:]...)
		}
	}
}

// conflicts returns the read ranges that somebody wrote after the read version.
func (c *Cluster) conflicts(reads rangeSet, readVersion int64) []KeyRange {
	var hit []KeyRange
	for _, r := range reads {
		for i := len(c.recent) - 1; i >= 0 && c.recent[i].version > readVersion; i-- {
			if c.recent[i].writes.intersects(r) {
				hit = append(hit, r)
				break
			}
		}
	}
	return hit
}

// install makes a committed transaction's writes the newest version and fires the watches they change.
func (c *Cluster) install(b batch, root *tree, writes rangeSet, written []KeyRange) {
	last := &c.snapshots[len(c.snapshots)-1]
	if last.version == b.version {
		last.root = root
	} else {
		c.snapshots = append(c.snapshots, snapshot{b.version, root})
	}
	c.recent = append(c.recent, committed{b.version, writes})
	c.forget()
	if len(c.watches) > 0 {
		c.fireWatches(root, written)
	}
}

// What happens to the cluster as a whole.

// Pause stops the cluster as a debugger would stop its process: nothing is processed, connections stay.
func (c *Cluster) Pause() {
	c.do(func() {
		c.drain()
		c.state, c.stoppedFor = serverPaused, 0
	})
}

// Resume lets a paused cluster go on. What was asked meanwhile is answered first, as of the version
// from before the pause; the commits in flight land behind that, a moment later or when the next
// commit comes, in the order in which they were sent (rows L04, L06, L12; see also Config.Proxies). Those
// whose connection was given up meanwhile end as unknown, three of four of them applied, and of those
// whose client has its 1031 one of four never lands (rows L08, L10). The version clock moves by five
// seconds at most.
func (c *Cluster) Resume() {
	c.do(func() {
		if c.state != serverPaused {
			return
		}
		c.state = serverRunning
		isCommit := func(r *Request) bool { return r.Kind == KindCommit }
		c.late = slices.DeleteFunc(slices.Clone(c.queue), func(r *Request) bool { return !isCommit(r) })
		c.queue = slices.DeleteFunc(c.queue, isCommit)
		stale := false
		for _, r := range c.late {
			r.stale = c.now-r.sentAt > c.connectionLasted()
			stale = stale || r.stale
		}
		c.strayLate()
		c.drain()
		if stale || c.rng.Float64() < 0.25 {
			c.landLate()
		}
		for _, r := range c.late {
			c.after(time.Duration(c.rng.Int64N(int64(landsWithin))), r.at.tr, c.landLate)
		}
		c.versionClock += min(c.stoppedFor.Microseconds(), maxVersionJump)
		c.drain()
	})
}

// connectionLasted is how long a pause the connection has outlasted that a commit was sent on.
func (c *Cluster) connectionLasted() time.Duration {
	return connectionLasts + time.Duration(c.rng.Int64N(int64(connectionLost-connectionLasts)))
}

// strayLate sends the commits at other proxies than the first their own ways.
func (c *Cluster) strayLate() {
	if c.cfg.Proxies <= 1 {
		return
	}
	c.late = slices.DeleteFunc(c.late, func(r *Request) bool {
		stray := !r.stale && c.rng.IntN(c.cfg.Proxies) > 0
		if stray {
			c.after(time.Duration(c.rng.Int64N(int64(landsWithin))), r.at.tr, func() { c.resolveAlone(r, Deliver) })
		}
		return stray
	})
}

// landLate processes the commits that a pause held up.
func (c *Cluster) landLate() {
	late := c.late
	c.late = nil
	for _, r := range late {
		v := Deliver
		if r.stale {
			v = CommitUnknown(c.rng.Float64() < 0.75)
		}
		c.resolveAlone(r, v)
	}
}

// settle answers the commits of the queue that pick selects as unknown, each applied or not.
func (c *Cluster) settle(pick func(*Request) bool) {
	rest := c.queue[:0:0]
	for _, r := range c.queue {
		if r.Kind == KindCommit && pick(r) {
			c.resolveAlone(r, CommitUnknown(c.rng.Float64() < 0.5))
		} else {
			rest = append(rest, r)
		}
	}
	c.queue = rest
}

// Kill ends the cluster's process at once. Of the commits in flight some have reached the disk;
// their clients learn after Restart that they cannot know (row L20).
func (c *Cluster) Kill() {
	c.do(func() {
		c.queue = append(c.late, c.queue...)
		c.late = nil
		for _, r := range c.queue {
			r.orphan = true
		}
		c.state, c.stoppedFor = serverDown, 0
	})
}

// Restart starts a killed cluster again: data intact, versions about 100 million ahead, every
// transaction that read before too old to commit (row V18). Of the requests sent meanwhile by
// transactions that have timed out each is lost, or its client goes on with it (row V19).
func (c *Cluster) Restart() {
	c.do(func() {
		if c.state != serverDown {
			return
		}
		c.setNow(c.now + restartTime)
		c.state = serverRunning
		c.settle(func(r *Request) bool { return r.orphan })
		c.recover()
		live := c.queue[:0:0]
		for _, r := range c.queue {
			if r.at.dead == codeOK || c.rng.Float64() < 0.5 {
				live = append(live, r)
			}
		}
		c.queue = live
		c.drain()
	})
}

// Recover makes the cluster's transaction system fail over while its processes live on: versions jump,
// commits in flight are unknown, transactions that read before are too old to commit.
func (c *Cluster) Recover() {
	c.do(func() {
		c.settle(func(*Request) bool { return true })
		c.recover()
		c.drain()
	})
}

// recover moves the versions on by more than the write window: that is what ends older transactions.
func (c *Cluster) recover() {
	jump := 100*versionsPerSecond + 100_000 + c.rng.Int64N(20_000)
	c.epochs = append(c.epochs, epoch{c.versionClock, c.versionNow() - c.versionClock + jump})
	c.lastVersion, c.lastBatchAt, c.open = c.versionNow(), c.versionClock, batch{}
}

// SetLocked locks the database for all transactions that are not lock-aware, or unlocks it.
func (c *Cluster) SetLocked(locked bool) { c.do(func() { c.locked = locked }) }

// SetFaults replaces the faults from now on.
func (c *Cluster) SetFaults(f Faults) { c.do(func() { c.cfg.Faults = f }) }

// SetIntercept replaces Config.Intercept from now on.
func (c *Cluster) SetIntercept(f func(*Request) Verdict) { c.do(func() { c.cfg.Intercept = f }) }

// unsupported reports a call that is not modelled and is the code it ends with.
func (c *Cluster) unsupported(what string) Code {
	c.cfg.Logf("fdbsim: %s is not modelled; answering %d (%s)", what, codeUnsupported, codeUnsupported.Text())
	return codeUnsupported
}
