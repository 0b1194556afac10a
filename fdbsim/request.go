package fdbsim

import (
	"fmt"
	"time"
)

// RequestKind says what a request asks for.
type RequestKind int

// The kinds of requests. Every future that is not answered from the transaction's own memory is
// completed by a request of one of these kinds.
const (
	KindReadVersion RequestKind = iota
	KindGet
	KindGetKey
	KindGetRange
	KindCommit
	KindBackoff // the delay of OnError
	KindWatch   // a watch that fires
	kinds
)

var kindNames = [kinds]string{"read-version", "get", "get-key", "get-range", "commit", "backoff", "watch"}

func (k RequestKind) String() string { return kindNames[k] }

// Request is one message of a transaction on its way through the cluster: nothing has happened on
// the cluster until it is resolved, and the answer arrives when it is resolved.
type Request struct {
	// ID numbers the requests of a cluster in the order in which they were sent, from 1.
	ID   uint64
	Kind RequestKind
	// Txn numbers the transactions of a cluster in the order of their creation, from 1.
	Txn uint64
	// Key is the key read, the begin of the range read, or the first key written by a commit.
	Key []byte

	at *attempt
	// serve lets the cluster process the request and answer it.
	serve func()
	// refuse answers with an error without processing it.
	refuse func(Code)
	delay  time.Duration // of a backoff, or of a request that was told to come later
	sentAt time.Duration
	orphan bool // was on its way when the cluster's process was killed
	stale  bool // was held up by a pause for so long that its outcome is unknown
	state  requestState
}

type requestState int

const (
	requestPending  requestState = iota
	requestDetached              // the client has its 1031 or 1039, the request is still on its way
	requestDone
)

// String describes the request for a schedule or a failure text, as "T3 commit \"k1\"".
func (r *Request) String() string {
	if r.Key == nil {
		return fmt.Sprintf("T%d %s", r.Txn, r.Kind)
	}
	return fmt.Sprintf("T%d %s %q", r.Txn, r.Kind, r.Key)
}

// CommitContent is what a commit asks of the cluster. It belongs to the request: do not change it.
type CommitContent struct {
	Reads  []KeyRange // it is refused when one of them was written since its read version
	Writes []KeyRange // others that read them conflict with it, whether or not they get a value
	Sets   []KeyValue // the keys that are set, in the order of the calls; clears and atomic operations are in Writes only
}

// CommitContent returns what a request of [KindCommit] asks for. Of another kind it is zero.
func (r *Request) CommitContent() CommitContent {
	if r.Kind != KindCommit {
		return CommitContent{}
	}
	c := CommitContent{Reads: r.at.readConflicts, Writes: r.at.writeConflicts}
	for _, m := range r.at.mutations {
		if m.op == mutationSet {
			c.Sets = append(c.Sets, KeyValue{m.key, m.param})
		}
	}
	return c
}

// Verdict is what becomes of a request. The zero value processes it and delivers its answer.
type Verdict struct {
	kind    verdictKind
	code    Code
	applied bool
	after   time.Duration
}

type verdictKind int

const (
	verdictDeliver verdictKind = iota
	verdictFail
	verdictUnknown
	verdictDetach // from its transaction, which has ended with the code
	verdictDrop
	verdictDelay
)

// Deliver processes the request and delivers its answer.
var Deliver = Verdict{}

// Fail answers with code; the cluster does nothing.
func Fail(code Code) Verdict { return Verdict{kind: verdictFail, code: code} }

// CommitUnknown answers a commit with commit_unknown_result. When applied, it is processed like any
// other commit first, so that it may still fail a conflict check; either way it is settled.
func CommitUnknown(applied bool) Verdict { return Verdict{kind: verdictUnknown, applied: applied} }

// TimeOut ends the whole transaction with transaction_timed_out while the request stays on its way:
// it arrives after the given simulated time, or never when that is negative. Under a Scheduler the
// time is ignored: the request stays with the scheduler, which resolves it a second time with Deliver
// (the late landing) or Drop. On a transaction without a timeout it is Deliver, for none could happen.
func TimeOut(after time.Duration) Verdict {
	return Verdict{kind: verdictDetach, code: CodeTransactionTimedOut, after: after}
}

// VersionChanged ends the whole transaction with 1039, which the client library answers when it
// finds that the servers speak another protocol. The request goes on as with TimeOut: a commit may land
// after the given simulated time, or never when that is negative.
func VersionChanged(after time.Duration) Verdict {
	return Verdict{kind: verdictDetach, code: CodeVersionChanged, after: after}
}

// Drop loses a request whose transaction has ended by TimeOut or VersionChanged: it never arrives.
var Drop = Verdict{kind: verdictDrop}

// Delay puts the request off by a simulated time, behind what is sent meanwhile.
func Delay(by time.Duration) Verdict { return Verdict{kind: verdictDelay, after: by} }

// Scheduler owns the order in which requests are resolved. Submit is called for every request as it
// is sent, outside of all locks; the scheduler calls Resolve, at once or later, from any goroutine.
// While a scheduler is set the clock is ClockManual, and faults are the scheduler's business.
type Scheduler interface {
	Submit(*Request)
}

// Observer is a Scheduler that wants to know how many callers are blocked. Blocked is called when a
// caller starts to wait for a future that has not ended, Unblocked when that future ends, before
// the caller runs on.
type Observer interface {
	Blocked()
	Unblocked()
}

// Resolve decides the fate of a request that a Scheduler was given. It panics on a request that has
// its answer already: that would be a bug of the scheduler.
func (r *Request) Resolve(v Verdict) { r.resolve(v) }

// resolve reports whether the request can be resolved once more.
func (r *Request) resolve(v Verdict) (open bool) {
	c := r.at.tr.c
	c.do(func() {
		if c.state != serverRunning && r.Kind != KindBackoff && v.kind == verdictDeliver {
			c.queue = append(c.queue, r)
			return
		}
		c.resolveAlone(r, v)
		open = r.state == requestDetached
	})
	return open
}

// resolve carries out a verdict. Called with the cluster locked.
func (c *Cluster) resolve(r *Request, v Verdict) {
	if r.state == requestDone {
		panic("fdbsim: " + r.String() + " resolved twice")
	}
	r.at.commitLeft = r.at.commitLeft || r.Kind == KindCommit
	switch v.kind {
	case verdictDeliver:
		r.state = requestDone
		r.serve()
	case verdictFail:
		r.state = requestDone
		r.refuse(v.code)
	case verdictUnknown:
		r.state = requestDone
		c.resolveUnknown(r, v.applied)
	case verdictDetach:
		c.detach(r, v.code, v.after)
	case verdictDrop:
		if r.state != requestDetached {
			panic("fdbsim: " + r.String() + " dropped before its transaction ended")
		}
		r.state = requestDone
	case verdictDelay:
		c.after(v.after, r.at.tr, func() { c.queue = append(c.queue, r) })
	}
}

func (c *Cluster) resolveUnknown(r *Request, applied bool) {
	if r.Kind != KindCommit {
		panic("fdbsim: CommitUnknown of " + r.String())
	}
	r.at.unknown = true
	if applied {
		r.serve()
	} else {
		r.refuse(CodeCommitUnknownResult)
	}
}

func (c *Cluster) detach(r *Request, code Code, after time.Duration) {
	if code == CodeTransactionTimedOut && r.at.tr.opts.timeout == 0 || r.state == requestDetached {
		r.state = requestDone
		r.serve()
		return
	}
	r.state = requestDetached
	if r.at.tr.at == r.at {
		r.at.die(code)
	}
	switch {
	case c.cfg.Scheduler != nil:
	case after < 0:
		r.state = requestDone
	default:
		c.after(after, r.at.tr, func() { c.queue = append(c.queue, r) })
	}
}
