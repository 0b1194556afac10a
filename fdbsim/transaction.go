package fdbsim

import (
	"bytes"
	"time"
)

// Transaction is the client's side of one transaction: its options, its own writes, the conflict
// ranges it has gathered. Safe for concurrent use.
type Transaction struct {
	c    *Cluster
	db   *Database
	id   uint64
	opts settings
	at   *attempt

	createdAt        time.Duration // when the timeout starts to run (row O02)
	timeout          *timer
	retries          int64
	backoff          time.Duration
	committedVersion int64
}

// attempt is everything about a transaction that OnError and Reset throw away. Requests on their way
// hold on to the attempt that sent them, so an answer that comes late finds its own attempt and
// not the next one.
type attempt struct {
	tr       *Transaction
	deferred Code // of a call without an answer of its own: every later one fails with it
	dead     Code // the attempt is cancelled, timed out or spoilt: nothing works until Reset
	used     bool // a read or write was made

	version        int64
	versionAsked   bool
	versionKnown   bool
	versionWaiters []func(Code)

	mutations      []mutation
	own            ownWrites
	readConflicts  rangeSet
	writeConflicts rangeSet
	size           int64
	cache          map[string]cached
	view           viewCache

	reading      int    // reads that a commit has to wait for
	readError    Code   // the first of them that failed: the commit fails with it (row R34)
	readsDone    func() // the waiting commit
	commitSent   bool   // Commit was called; further use is an error (row C61)
	commitFuture *Future
	commitLeft   bool // the commit has left the client: nothing takes it back
	takenBack    bool // the commit never leaves the client
	unknown      bool // the answer of the commit is to be commit_unknown_result
	conflicting  []KeyRange

	pending []*Future // to end when the attempt dies
	stamps  []*Future
	watches []*watch // not yet committed
}

type cached struct {
	value   []byte
	present bool
}

// viewCache keeps the last overlay of own writes on a database version.
type viewCache struct {
	base, over *tree
	mutations  int
	valid      bool
}

func (tr *Transaction) restart() {
	tr.opts = tr.db.defaults
	tr.createdAt = tr.c.now
	tr.retries, tr.backoff = 0, initialBackoff
	tr.at = &attempt{tr: tr, deferred: tr.db.deferred}
	tr.armTimeout()
}

// armTimeout sets the timer of the timeout, which runs from the creation of the transaction.
func (tr *Transaction) armTimeout() {
	tr.c.stop(tr.timeout)
	tr.timeout = nil
	if tr.opts.timeout == 0 {
		return
	}
	expire := func() { tr.at.die(CodeTransactionTimedOut) }
	if left := tr.createdAt + tr.opts.timeout - tr.c.now; left > 0 {
		tr.timeout = tr.c.after(left, tr, expire)
	} else {
		expire()
	}
}

// newFuture makes a future that ends when the attempt dies.
func (at *attempt) newFuture() *Future {
	f := &Future{c: at.tr.c, tr: at.tr}
	at.pending = append(at.pending, f)
	return f
}

// failed is a future that has ended with code.
func (at *attempt) failed(code Code) *Future {
	return &Future{c: at.tr.c, tr: at.tr, done: true, code: code}
}

// die ends everything the caller is waiting for. Requests that have been sent are not called back
// (rows L01..L07).
func (at *attempt) die(code Code) {
	if at.dead != codeOK {
		return
	}
	at.dead = code
	at.endPending(code)
}

func (at *attempt) endPending(code Code) {
	for _, f := range at.pending {
		f.complete(code)
	}
	at.pending = nil
	at.endWatches(code)
}

func (at *attempt) endWatches(code Code) {
	for _, w := range at.watches {
		w.future.complete(code)
	}
	at.watches = nil
}

// fail notes the error of a call that cannot return one.
func (at *attempt) fail(code Code) {
	if at.deferred == codeOK {
		at.deferred = code
	}
}

// usedDuringCommit is the answer to using a transaction after Commit was called. Unless the
// protection is off it also spoils the attempt, and with it a commit in flight (rows O15, O17, O18).
func (at *attempt) usedDuringCommit() Code {
	if !at.commitSent {
		return codeOK
	}
	if !at.tr.opts.commitProtectionOff {
		at.die(codeUsedDuringCommit)
	}
	return codeUsedDuringCommit
}

// refuses is the error with which an asynchronous call is answered at once, if any.
func (at *attempt) refuses() Code {
	if at.deferred != codeOK {
		return at.deferred
	}
	if code := at.usedDuringCommit(); code != codeOK {
		return code
	}
	return at.dead
}

func (at *attempt) maxReadKey() []byte {
	if at.tr.opts.systemRead {
		return specialBegin
	}
	return systemBegin
}

func (at *attempt) maxWriteKey() []byte {
	if at.tr.opts.systemWrite {
		return specialBegin
	}
	return systemBegin
}

func keyLimit(key []byte) int {
	if bytes.HasPrefix(key, systemBegin) {
		return systemKeySizeLimit
	}
	return keySizeLimit
}

// Cancel ends the transaction: everything fails until Reset. A commit that has left the client goes on;
// one that has not may never leave.
func (tr *Transaction) Cancel() {
	tr.c.do(func() {
		tr.at.takeBack()
		tr.at.die(CodeTransactionCancelled)
	})
}

// Reset makes the transaction as new, with the options of its database. What was pending is cancelled,
// the commit as in Cancel.
func (tr *Transaction) Reset() {
	tr.c.do(func() {
		tr.at.takeBack()
		tr.at.endStamps(CodeBrokenPromise)
		tr.at.die(CodeTransactionCancelled)
		tr.at.endPending(CodeTransactionCancelled)
		tr.restart()
	})
}

// Destroy gives the transaction up. Requests on their way are processed, nobody is told; the commit as
// in Cancel.
func (tr *Transaction) Destroy() {
	tr.c.do(func() {
		tr.at.takeBack()
		tr.c.drain()
		tr.c.stop(tr.timeout)
		tr.at.endStamps(CodeBrokenPromise)
		tr.at.die(CodeTransactionCancelled)
	})
}

// Read versions.

// SetReadVersion makes the transaction read at version.
func (tr *Transaction) SetReadVersion(version int64) {
	tr.c.do(func() {
		at := tr.at
		switch {
		case at.versionAsked:
			at.fail(codeReadVersionAlreadySet)
		case version <= 0:
			at.fail(codeVersionInvalid)
		default:
			at.version, at.versionAsked, at.versionKnown = version, true, true
		}
	})
}

// ReadVersion asks for the transaction's read version.
func (tr *Transaction) ReadVersion() *Future {
	var f *Future
	tr.c.do(func() {
		at := tr.at
		if code := at.deferred; code != codeOK {
			f = at.failed(code)
		} else if at.dead != codeOK {
			f = at.failed(at.dead)
		} else {
			f = at.newFuture()
			at.withVersion(func(code Code) {
				f.result.Int64 = at.version
				f.complete(code)
			})
		}
	})
	return f
}

// withVersion calls then once the read version is known or cannot be had.
func (at *attempt) withVersion(then func(Code)) {
	if at.versionKnown {
		then(codeOK)
		return
	}
	at.versionWaiters = append(at.versionWaiters, then)
	if at.versionAsked {
		return
	}
	at.versionAsked = true
	c := at.tr.c
	c.send(&Request{Kind: KindReadVersion, at: at,
		serve: func() {
			switch {
			case c.refusal != codeOK:
				at.gotVersion(0, c.refusal)
			case c.locked && !at.tr.opts.readLockAware:
				at.gotVersion(0, CodeDatabaseLocked)
			default:
				at.gotVersion(c.readVersion(), codeOK)
			}
		},
		refuse: func(code Code) { at.gotVersion(0, code) },
	})
}

func (at *attempt) gotVersion(version int64, code Code) {
	if code == codeOK {
		at.version, at.versionKnown = version, true
	} else {
		at.versionAsked = false // the next operation asks again
	}
	waiters := at.versionWaiters
	at.versionWaiters = nil
	for _, w := range waiters {
		w(code)
	}
}

// CommittedVersion is the version at which the transaction last committed a write, -1 if it did not.
func (tr *Transaction) CommittedVersion() int64 {
	tr.c.mu.Lock()
	defer tr.c.mu.Unlock()
	return tr.committedVersion
}

// ApproximateSize asks for the size of the transaction as it counts against the size limit.
func (tr *Transaction) ApproximateSize() *Future {
	var f *Future
	tr.c.do(func() {
		if code := tr.at.refuses(); code != codeOK {
			f = tr.at.failed(code)
			return
		}
		f = &Future{c: tr.c, tr: tr, done: true, result: Result{Int64: tr.at.size}}
	})
	return f
}

// Versionstamp asks for the stamp that the transaction's commit gets.
func (tr *Transaction) Versionstamp() *Future {
	var f *Future
	tr.c.do(func() {
		if code := tr.at.refuses(); code != codeOK {
			f = tr.at.failed(code)
			return
		}
		f = tr.at.newFuture()
		tr.at.stamps = append(tr.at.stamps, f)
	})
	return f
}

func (at *attempt) endStamps(code Code) {
	for _, f := range at.stamps {
		f.complete(code)
	}
	at.stamps = nil
}

// Unsupported answers a call that the simulator does not model with an explicit error.
func (tr *Transaction) Unsupported(what string) *Future {
	var f *Future
	tr.c.do(func() { f = tr.at.failed(tr.c.unsupported(what)) })
	return f
}

// Unsupported answers a database call that the simulator does not model with an explicit error.
func (d *Database) Unsupported(what string) *Future {
	var f *Future
	d.c.do(func() { f = &Future{c: d.c, done: true, code: d.c.unsupported(what)} })
	return f
}

// Retrying.

const (
	initialBackoff     = 10 * time.Millisecond
	futureVersionDelay = 10 * time.Millisecond
)

// OnError asks whether the transaction should be run again after an error: the future succeeds,
// after a delay, with the transaction ready for the next run, or fails with the error.
func (tr *Transaction) OnError(code Code) *Future {
	var f *Future
	tr.c.do(func() { f = tr.onError(code) })
	return f
}

func (tr *Transaction) onError(code Code) *Future {
	at := tr.at
	if at.dead != codeOK {
		return at.failed(at.dead)
	}
	exhausted := tr.opts.retryLimit >= 0 && tr.retries >= tr.opts.retryLimit
	tr.retries++
	if exhausted || !code.Retryable() || codeInfos[code].onErrorRefuses {
		at.die(CodeTransactionCancelled) // until Reset (rows C64, O06)
		return at.failed(code.onError())
	}
	f := at.newFuture()
	again := func() {
		f.complete(codeOK)
		if tr.at == at && at.dead == codeOK {
			tr.nextAttempt()
		}
	}
	tr.c.send(&Request{Kind: KindBackoff, at: at, delay: tr.nextDelay(code),
		serve:  func() { again() },
		refuse: f.complete,
	})
	return f
}

// nextDelay draws a delay below the current backoff and doubles that (row C65).
func (tr *Transaction) nextDelay(code Code) time.Duration {
	if code == CodeFutureVersion || code == CodeProcessBehind {
		return min(futureVersionDelay, tr.opts.maxRetryDelay)
	}
	most := min(tr.backoff, tr.opts.maxRetryDelay)
	tr.backoff = min(2*most, tr.opts.maxRetryDelay)
	if most <= 0 {
		return 0
	}
	return time.Duration(tr.c.rng.Int64N(int64(most)))
}

// nextAttempt forgets the attempt's reads and writes. Its watches stay as they are, pending for ever, or,
// seldom, are cancelled (row W10); with a Scheduler they stay. The timeout runs on (row O04).
func (tr *Transaction) nextAttempt() {
	old := tr.at
	tr.opts = tr.opts.afterOnError(tr.db.defaults)
	tr.at = &attempt{tr: tr, deferred: tr.db.deferred}
	if len(old.watches) > 0 && (tr.c.cfg.Scheduler != nil || tr.c.rng.IntN(20) > 0) {
		old.watches = nil
	}
	old.endStamps(CodeBrokenPromise)
	old.endPending(CodeTransactionCancelled)
}
