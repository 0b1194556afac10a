package fdbsim

// Future is the answer to one asynchronous call. It is completed exactly once, by the answer, by an
// error, or by Cancel. Safe for concurrent use.
type Future struct {
	c    *Cluster
	tr   *Transaction // whose timers may complete it; nil for a watch that outlives its transaction
	done bool
	code Code
	wake []func() // to call, unlocked, when it has ended
	// within is called when it ends, with the cluster locked.
	within []func()
	// onCancel frees what the future stands for, if anything is left to free.
	onCancel func()
	// isWatch: waiting for it must not make simulated time pass, it has no due time.
	isWatch bool

	result Result
}

// complete ends the future; the first end wins. Called with the cluster locked.
func (f *Future) complete(code Code) {
	if f.done {
		return
	}
	f.done, f.code = true, code
	f.c.wake = append(f.c.wake, f.wake...)
	within := f.within
	f.wake, f.within, f.onCancel = nil, nil, nil
	for _, w := range within {
		w()
	}
}

// Cancel ends the future with operation_cancelled unless it has ended. What was asked of the
// cluster goes on: a commit whose future is cancelled still commits.
func (f *Future) Cancel() {
	f.c.do(func() {
		cancel := f.onCancel
		if !f.done && cancel != nil {
			cancel()
		}
		f.complete(CodeOperationCancelled)
	})
}

// Ready reports whether the future has ended. Asking lets the cluster work off what it was sent.
func (f *Future) Ready() bool {
	f.c.do(f.c.drain)
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	return f.done
}

// OnReady calls wake once when the future has ended, at once if it has. It counts as waiting: the
// cluster works off what it was sent and, with ClockAuto, time advances to what the future waits for.
func (f *Future) OnReady(wake func()) {
	var now bool
	f.c.do(func() {
		if now = f.done; !now {
			f.await(wake)
		}
	})
	if now {
		wake()
		return
	}
	f.c.drive(f)
}

// await registers a waiter, and lets an observing scheduler count it. Called with the cluster locked.
func (f *Future) await(wake func()) {
	if f.isWatch {
		f.c.watchWaiters++
		f.wake = append(f.wake, func() { f.c.do(func() { f.c.watchWaiters-- }) })
	}
	if s, ok := f.c.cfg.Scheduler.(Observer); ok {
		s.Blocked()
		f.wake = append(f.wake, s.Unblocked)
	}
	f.wake = append(f.wake, wake)
}

// Wait blocks until the future has ended and returns its error, nil for success.
func (f *Future) Wait() error {
	ended := make(chan struct{})
	f.OnReady(func() { close(ended) })
	<-ended
	return f.Err()
}

// Err is the future's error code as an error: nil while it has not ended or when it succeeded.
func (f *Future) Err() error { return f.Code().err() }

// Code is the future's error code, zero while it has not ended or when it succeeded.
func (f *Future) Code() Code {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	return f.code
}

// Value waits for the answer of Get: the value, whether the key exists.
func (f *Future) Value() ([]byte, bool, error) {
	err := f.Wait()
	return f.result.Value, f.result.Present, err
}

// Key waits for the answer of GetKey or Versionstamp.
func (f *Future) Key() ([]byte, error) {
	err := f.Wait()
	return f.result.Value, err
}

// Rows waits for the answer of GetRange: one batch, and whether more may follow.
func (f *Future) Rows() ([]KeyValue, bool, error) {
	err := f.Wait()
	return f.result.Rows, f.result.More, err
}

// Int64 waits for the answer of ReadVersion or ApproximateSize.
func (f *Future) Int64() (int64, error) {
	err := f.Wait()
	return f.result.Int64, err
}

// Result is the answer of a future that has ended without an error. Which fields are set depends on
// the call.
type Result struct {
	Value   []byte // of Get; the key of GetKey, the stamp of Versionstamp
	Present bool   // whether Get found the key
	Rows    []KeyValue
	More    bool
	Int64   int64
}

// Result is the answer once the future has ended, zero before.
func (f *Future) Result() Result {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if !f.done {
		return Result{}
	}
	return f.result
}

// Abandon ends the future with code unless it has ended.
func (f *Future) Abandon(code Code) { f.c.do(func() { f.complete(code) }) }
