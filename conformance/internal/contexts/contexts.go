// Package contexts has contexts that end while a call is under way: when the backend
// looks at them, when it reads its clock, or a moment after the call began.
package contexts

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Ending says when the context of a call ends, while the call is under way.
type Ending int

const (
	Never     Ending = iota
	AtLook1          // when the backend looks at the context for the first time
	atLook2          // or for the second
	atLook3          //
	atLook4          //
	AtReading        // when the handle reads its clock
	atOnce           // while the call begins, from another goroutine
	soon             // a little later
	Already          // before the call
	NEndings
)

var endingNames = [NEndings]string{
	"never", "at the first look at it", "at the second look at it", "at the third look at it", "at the fourth look at it",
	"when the handle read its clock", "while the call began", "while the call was under way", "before the call",
}

func (e Ending) String() string { return endingNames[e] }

// Looks is after how many looks the context ends, 0 for other endings.
func (e Ending) Looks() int {
	if AtLook1 <= e && e <= atLook4 {
		return int(e - AtLook1 + 1)
	}
	return 0
}

// EndingContext is a context that ends when it is looked at for the given time,
// or when it is told to. A look is a call of Err or Done: so a context can end
// between any two steps of a backend that looks at it.
type EndingContext struct {
	context.Context
	looks int // until it ends; 0: it does not end by being looked at
	cause error

	mu   sync.Mutex
	err  error
	done chan struct{}
	stop func() bool
}

// NewEnding returns a context that ends with its parent, after so many looks, or
// by end, with the cause context.Canceled or context.DeadlineExceeded.
func NewEnding(parent context.Context, looks int, cause error) *EndingContext {
	c := &EndingContext{Context: parent, looks: looks, cause: cause, done: make(chan struct{})}
	c.stop = context.AfterFunc(parent, func() { c.endWith(parent.Err()) })
	return c
}

func (c *EndingContext) endWith(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

func (c *EndingContext) End() { c.endWith(c.cause) }

// Ended reports whether it has ended, and is not a look.
func (c *EndingContext) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// HasEnded reports whether a context has ended. Of the suite's own contexts it
// is not a look.
func HasEnded(ctx context.Context) bool {
	if own, ok := ctx.(interface{ Ended() bool }); ok {
		return own.Ended()
	}
	return ctx.Err() != nil
}

func (c *EndingContext) look() {
	c.mu.Lock()
	c.looks--
	now := c.looks == 0
	c.mu.Unlock()
	if now {
		c.End()
	}
}

// Err implements context.Context.
func (c *EndingContext) Err() error {
	c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done implements context.Context.
func (c *EndingContext) Done() <-chan struct{} {
	c.look()
	return c.done
}

// Value implements context.Context. A context that has ended has a cause beside its
// error, which is where context.Cause looks for it.
func (c *EndingContext) Value(key any) any {
	if v := gone.Value(key); v != nil && c.Ended() {
		return v
	}
	return c.Context.Value(key)
}

// gone is a context that has ended for a reason of its caller's.
var gone = func() context.Context {
	ctx, cancel := WithCancel(context.Background())
	cancel()
	return ctx
}()

// errGone is the cause of the contexts that the suite ends. A cause is for those who
// share the context: a call is answered with the context's error.
var errGone = errors.New("whoever asked has gone")

// WithCancel is context.WithCancel with a cause.
func WithCancel(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	return ctx, func() { cancel(errGone) }
}

// WithTimeout is context.WithTimeout with a cause.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(parent, d, errGone)
}

// Readings are the contexts that end when a clock is read. The zero value has none.
type Readings struct {
	mu    sync.Mutex
	armed []*EndingContext
}

func (r *Readings) arm(c *EndingContext) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = append(r.armed, c)
}

func (r *Readings) disarm(c *EndingContext) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = slices.DeleteFunc(r.armed, func(other *EndingContext) bool { return other == c })
}

// Read ends them.
func (r *Readings) Read() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.armed {
		c.End()
	}
}

// CauseOf alternates between the two ways in which contexts end.
func CauseOf(i int) error {
	if i%2 == 0 {
		return context.Canceled
	}
	return context.DeadlineExceeded
}

// Under returns the context of a call that ends in that way. free disarms it and
// reports whether it has ended.
func (e Ending) Under(ctx context.Context, reads *Readings, cause error) (ends context.Context, free func() bool) {
	if e == Never {
		return ctx, func() bool { return false }
	}
	c := NewEnding(ctx, e.Looks(), cause)
	switch e {
	case Already:
		c.End()
	case AtReading:
		reads.arm(c)
	case atOnce, soon:
		go func() {
			for range 1 + 8*int(e-atOnce) {
				runtime.Gosched()
			}
			c.End()
		}()
	}
	return c, func() bool {
		reads.disarm(c)
		c.stop()
		return c.Ended()
	}
}
