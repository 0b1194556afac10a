package registry

import (
	"sync/atomic"
	"time"
)

// Clock gives a node's reading of the time. Readings must stay within the
// cluster's MaxClockSkew of true time; they may step backwards within that
// bound. Implementations are safe for concurrent use and do not block.
type Clock interface {
	Now() Instant
}

// SystemClock returns the machine's wall clock. Keeping it within MaxClockSkew
// of true time (NTP, PTP) is the operator's part of the contract.
func SystemClock() Clock { return systemClock{} }

type systemClock struct{}

func (systemClock) Now() Instant { return InstantOf(time.Now()) }

// ManualClock is a clock that moves only when told to. The zero value reads 0.
type ManualClock struct{ now atomic.Int64 }

// NewManualClock returns a clock that reads start.
func NewManualClock(start Instant) *ManualClock {
	c := new(ManualClock)
	c.Set(start)
	return c
}

// Now returns the reading last set.
func (c *ManualClock) Now() Instant { return Instant(c.now.Load()) }

// Set makes the clock read i, which may be earlier than before.
func (c *ManualClock) Set(i Instant) { c.now.Store(int64(i)) }

// Advance moves the clock by d, which may be negative, and returns the new reading.
func (c *ManualClock) Advance(d time.Duration) Instant { return Instant(c.now.Add(int64(d))) }

// SkewedClock reads another clock plus an offset that can be changed.
type SkewedClock struct {
	base   Clock
	offset atomic.Int64
}

// NewSkewedClock returns a clock that reads base plus offset.
func NewSkewedClock(base Clock, offset time.Duration) *SkewedClock {
	c := &SkewedClock{base: base}
	c.SetOffset(offset)
	return c
}

// Now returns the base clock's reading plus the offset.
func (c *SkewedClock) Now() Instant { return c.base.Now().Add(c.Offset()) }

// Offset returns the present offset.
func (c *SkewedClock) Offset() time.Duration { return time.Duration(c.offset.Load()) }

// SetOffset changes the offset; the clock steps by the difference.
func (c *SkewedClock) SetOffset(d time.Duration) { c.offset.Store(int64(d)) }
