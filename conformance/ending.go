package conformance

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

// ending says when the context of a call ends, while the call is under way.
type ending int

const (
	never     ending = iota
	atLook1          // when the backend looks at the context for the first time
	atLook2          // or for the second
	atLook3          //
	atLook4          //
	atReading        // when the handle reads its clock
	atOnce           // while the call begins, from another goroutine
	soon             // a little later
	already          // before the call
	nEndings
)

var endingNames = [nEndings]string{
	"never", "at the first look at it", "at the second look at it", "at the third look at it", "at the fourth look at it",
	"when the handle read its clock", "while the call began", "while the call was under way", "before the call",
}

func (e ending) String() string { return endingNames[e] }

// looks is after how many looks the context ends, 0 for other endings.
func (e ending) looks() int {
	if atLook1 <= e && e <= atLook4 {
		return int(e - atLook1 + 1)
	}
	return 0
}

// endingContext is a context that ends when it is looked at for the given time,
// or when it is told to. A look is a call of Err or Done: so a context can end
// between any two steps of a backend that looks at it.
type endingContext struct {
	context.Context
	looks int // until it ends; 0: it does not end by being looked at
	cause error

	mu   sync.Mutex
	err  error
	done chan struct{}
	stop func() bool
}

// newEnding returns a context that ends with its parent, after so many looks, or
// by end, with the cause context.Canceled or context.DeadlineExceeded.
func newEnding(parent context.Context, looks int, cause error) *endingContext {
	c := &endingContext{Context: parent, looks: looks, cause: cause, done: make(chan struct{})}
	c.stop = context.AfterFunc(parent, func() { c.endWith(parent.Err()) })
	return c
}

func (c *endingContext) endWith(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

func (c *endingContext) end() { c.endWith(c.cause) }

// ended reports whether it has ended, and is not a look.
func (c *endingContext) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// hasEnded reports whether a context has ended. Of the suite's own contexts it
// is not a look.
func hasEnded(ctx context.Context) bool {
	if own, ok := ctx.(interface{ ended() bool }); ok {
		return own.ended()
	}
	return ctx.Err() != nil
}

func (c *endingContext) look() {
	c.mu.Lock()
	c.looks--
	now := c.looks == 0
	c.mu.Unlock()
	if now {
		c.end()
	}
}

// Err implements context.Context.
func (c *endingContext) Err() error {
	c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done implements context.Context.
func (c *endingContext) Done() <-chan struct{} {
	c.look()
	return c.done
}

// readings are the contexts that end when a clock is read. The zero value has none.
type readings struct {
	mu    sync.Mutex
	armed []*endingContext
}

func (r *readings) arm(c *endingContext) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = append(r.armed, c)
}

func (r *readings) disarm(c *endingContext) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = slices.DeleteFunc(r.armed, func(other *endingContext) bool { return other == c })
}

// read ends them.
func (r *readings) read() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.armed {
		c.end()
	}
}

// causeOf alternates between the two ways in which contexts end.
func causeOf(i int) error {
	if i%2 == 0 {
		return context.Canceled
	}
	return context.DeadlineExceeded
}

// under returns the context of a call that ends in that way. free disarms it and
// reports whether it has ended.
func (e ending) under(ctx context.Context, reads *readings, cause error) (ends context.Context, free func() bool) {
	if e == never {
		return ctx, func() bool { return false }
	}
	c := newEnding(ctx, e.looks(), cause)
	switch e {
	case already:
		c.end()
	case atReading:
		reads.arm(c)
	case atOnce, soon:
		go func() {
			for range 1 + 8*int(e-atOnce) {
				runtime.Gosched()
			}
			c.end()
		}()
	}
	return c, func() bool {
		reads.disarm(c)
		c.stop()
		return c.ended()
	}
}
