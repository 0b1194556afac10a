//go:build fdb

package fdbimpl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apple/foundationdb/bindings/go/src/fdb"

	"github.com/kelpie-registry/registry"
)

// attempt is one transaction of one operation.
//
// No attempt is committed before one of its reads was answered, so it has its
// read version by then, and everything it decides by is in its read set.
type attempt struct {
	r      *Registry
	op     string // the operation, for the observer
	tr     fdb.Transaction
	mark   mark
	writes []written
	above  fdb.Key // the floor that the attempt has read; see written

	// deadline is set when the transaction's time limit is the context's deadline.
	deadline bool
}

// written is the evidence that an attempt leaves of a write: a key in its read
// set whose value tells who wrote it.
type written struct {
	key   fdb.Key
	base  uint64  // the revision that the attempt read there
	floor fdb.Key // of a claim where there was no record: base is its version; nil for all others
	stamp func([]byte) (stamp, error)
}

// write sets a stamped value. The caller has read key in this transaction and found
// revision base, and stamped the value with base+1 and the attempt's mark.
func (a *attempt) write(key *fdb.Key, base uint64, stampOf func([]byte) (stamp, error), value []byte) {
	a.tr.Set(key, value)
	a.writes = append(a.writes, written{key: *key, base: base, stamp: stampOf})
}

// retry wraps an error after which nothing was written and another attempt may
// succeed.
type retry struct{ error }

func (e retry) Unwrap() error { return e.error }

// transact runs body in transactions until one has an outcome. body reads, decides
// and writes through the attempt; it may run many times and must leave nothing
// behind but the attempt's writes. Its answer is returned when what it wrote is
// committed, or at once when it wrote nothing.
//
// Errors: body's own, when nothing was written; the context's, likewise;
// ErrUnavailable, likewise; ErrAmbiguous.
func transact[T any](ctx context.Context, r *Registry, op string, body func(*attempt) (T, error)) (answer T, err error) {
	if r.opts.Observer != nil {
		var end func(error)
		ctx, end = r.opts.Observer.Begin(ctx, op)
		defer func() { end(err) }()
	}
	for n := 1; ; n++ {
		answer, err = once(ctx, r, op, body)
		var failed retry
		switch {
		case err == nil:
			return answer, nil
		case !errors.As(err, &failed):
			return *new(T), err
		case n == r.opts.Attempts:
			return *new(T), fmt.Errorf("%w: gave up after %d attempts: %w", registry.ErrUnavailable, n, failed.error)
		}
		if err := r.pause(ctx, n); err != nil {
			return *new(T), err
		}
	}
}

func once[T any](ctx context.Context, r *Registry, op string, body func(*attempt) (T, error)) (answer T, err error) {
	if r.opts.Observer != nil {
		defer func(began time.Time) {
			r.opts.Observer.Attempted(ctx, op, time.Since(began), errorCode(err))
		}(time.Now())
	}
	a, err := r.begin(ctx, op, r.opts.TransactionTimeout)
	if err != nil {
		return answer, err
	}
	// What a cancellation does to a read is nothing; what it does to a commit
	// under way is told apart below.
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, a.tr.Cancel)
		defer stop()
	}
	if answer, err = body(a); err != nil {
		return answer, a.readError(ctx, err)
	}
	if len(a.writes) == 0 {
		return answer, nil
	}
	if err := ctx.Err(); err != nil {
		return answer, err // the last moment at which nothing has happened
	}
	return answer, a.commit(ctx)
}

// begin starts a transaction that ends with the context's deadline or after limit.
func (r *Registry) begin(ctx context.Context, op string, limit time.Duration) (*attempt, error) {
	tr, err := r.db.CreateTransaction()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	a := &attempt{r: r, op: op, tr: tr, mark: r.marks.next()}
	if d, ok := ctx.Deadline(); ok {
		// A context's deadline is in the process's time, which decides only how
		// long to wait.
		if left := time.Until(d); left < limit {
			limit, a.deadline = left, true
		}
	}
	if err := r.setOptions(tr.Options(), limit); err != nil {
		return nil, fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	return a, nil
}

func (r *Registry) setOptions(o fdb.TransactionOptions, limit time.Duration) error {
	if err := o.SetTimeout(timeoutOption(limit)); err != nil {
		return err
	}
	if r.opts.Tag != "" {
		if err := o.SetAutoThrottleTag(r.opts.Tag); err != nil {
			return err
		}
	}
	switch r.opts.Priority {
	case PriorityBatch:
		return o.SetPriorityBatch()
	case PriorityImmediate:
		return o.SetPrioritySystemImmediate()
	}
	return nil
}

// timeoutOption is a limit in whole milliseconds, rounded up, and never 0, which
// would mean no limit.
func timeoutOption(limit time.Duration) int64 {
	return max(1, (limit + time.Millisecond - 1).Milliseconds())
}

// readError says what an error of body means: nothing was written.
func (a *attempt) readError(ctx context.Context, err error) error {
	code := errorCode(err)
	if code == 0 {
		return err
	}
	if done := a.contextError(ctx, code); done != nil {
		return done
	}
	if readFate(code) == again {
		return retry{err}
	}
	return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
}

// errorCode is FoundationDB's code in err, 0 for none.
func errorCode(err error) int {
	var e fdb.Error
	errors.As(err, &e)
	return e.Code
}

// contextError returns the context's error when it explains a code. The transaction's
// timer and the context's are set to the same instant and may go off in either order.
func (a *attempt) contextError(ctx context.Context, code int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.deadline && code == codeTimedOut {
		return context.DeadlineExceeded
	}
	return nil
}

// commit returns nil when the attempt's writes are committed, by the answer or by
// evidence.
func (a *attempt) commit(ctx context.Context) error {
	err := a.tr.Commit().Get()
	if err == nil {
		return nil
	}
	code := errorCode(err)
	how := commitFate(code)
	switch how {
	case again:
		return retry{err}
	case hopeless:
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	if done := a.contextError(ctx, code); done != nil {
		err = done
	}
	v := a.observedSettle(ctx, how)
	switch v {
	case applied:
		return nil
	case refuted:
		return retry{err}
	default:
		return &registry.AmbiguousError{MayStillApply: how == pending && v != overtaken, Cause: err}
	}
}

// observedSettle is settle, and tells the observer.
func (a *attempt) observedSettle(ctx context.Context, how fate) verdict {
	began := time.Now()
	v := a.settle(how)
	if o := a.r.opts.Observer; o != nil {
		o.Settled(ctx, a.op, time.Since(began), fateOf(v))
	}
	return v
}

// settleAttempts bounds the transactions of one settle.
const settleAttempts = 5

// settle finds out what became of the attempt's commit. untouched means that it
// could not.
//
// A settled commit is in the past of every transaction that begins now, so reading
// what it would have written decides.
//
// A pending one can land after any read, so a read of an untouched key decides
// nothing. It decides together with a fence: a transaction that reads the key and
// claims to write it (a write conflict range, no mutation). When the fence is
// committed, the key was untouched from the fence's read version to its commit,
// so the pending commit is not there; and it cannot come later, because the key
// is in its read set, its read version is older than the fence (it was known
// before the fence began, and a commit's version is higher than every read version
// given out before), and so the fence conflicts with it. A fence whose own
// outcome is unknown proves nothing and changes nothing, and is tried again.
func (a *attempt) settle(how fate) verdict {
	for n := 1; n <= settleAttempts; n++ {
		v, err := a.inspect(how)
		if err == nil {
			return v
		}
		if c := errorCode(err); commitFate(c) != again && c != codeCommitUnknown {
			return untouched
		}
		_ = a.r.pause(context.Background(), n) // ends only by time
	}
	return untouched
}

// inspect makes one try at settle. Its error means that nothing was learned.
func (a *attempt) inspect(how fate) (verdict, error) {
	probe, err := a.r.begin(context.Background(), a.op, a.r.opts.SettleTimeout)
	if err != nil {
		return untouched, err
	}
	v, key, err := a.evidence(probe.tr)
	if err != nil || v != untouched {
		return v, err
	}
	if how == pending {
		if err := probe.tr.AddWriteConflictKey(key); err != nil {
			return untouched, err
		}
		if err := probe.tr.Commit().Get(); err != nil {
			return untouched, err
		}
	}
	return refuted, nil
}

// evidence reads what the attempt wrote and judges. The writes were one
// transaction: what one key proves holds for all. For untouched it returns the key.
func (a *attempt) evidence(tr fdb.Transaction) (verdict, fdb.Key, error) {
	values, floors := make([]fdb.FutureByteSlice, len(a.writes)), make([]fdb.FutureByteSlice, len(a.writes))
	for i, w := range a.writes {
		if values[i] = tr.Get(w.key); w.floor != nil {
			floors[i] = tr.Get(w.floor)
		}
	}
	v, key := overtaken, fdb.Key(nil)
	for i, w := range a.writes {
		said, err := w.says(values[i], floors[i], a.mark)
		switch {
		case err != nil:
			return untouched, nil, err
		case said == applied, said == refuted:
			return said, nil, nil
		case said == untouched:
			v, key = untouched, w.key
		}
	}
	return v, key, nil
}

// says is what the value at the written key, and the floor of the same version, prove
// of the attempt of mark k.
//
// Where a claim found no record and there is none now, the missing value proves nothing:
// the claim may have been applied and its record purged since. Only the floor tells, so
// it is asked and the value is not judged. Where there is a record, it decides as any
// other: base is the floor that the claim read, floors never fall, and whoever claims
// starts above the floor. So had this claim been applied and purged, the floor would
// have reached base+1, and no later record could have revision base+1 or less: another
// mark at base+1 still refutes it.
func (w written) says(value, floor fdb.FutureByteSlice, k mark) (verdict, error) {
	b, err := value.Get()
	if err != nil {
		return untouched, err
	}
	if b == nil && w.floor != nil {
		f, err := floor.Get()
		if err != nil {
			return untouched, err
		}
		now, err := floorAt(w.floor, f)
		return overtakenByFloor(w.base, uint64(now.Version)), err
	}
	found, err := w.stamp(b)
	if err != nil {
		return untouched, corrupt(w.key, err)
	}
	return judge(w.base, found, k), nil
}

// fateOf names a verdict of settle.
func fateOf(v verdict) Fate {
	switch v {
	case applied:
		return FateApplied
	case refuted:
		return FateRefuted
	case overtaken:
		return FateOvertaken
	default:
		return FateOpen
	}
}
