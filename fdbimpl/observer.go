package fdbimpl

import (
	"context"
	"time"
)

// Observer is told what the operations of a handle do in FoundationDB, for metrics and
// spans; packages fdbprom and fdbotel have one each. Its methods are called on the
// goroutine of the operation, so they must be quick, and from many at a time.
type Observer interface {
	// Begin is told that an operation begins: its name is that of the method, as
	// "Claim". A long one is told several times: a RenewBatch for each hundred
	// leases, a Watch for each time it looks. The context returned is the
	// operation's from then on, and must be derived from ctx. end is called once,
	// with what the operation returns.
	Begin(ctx context.Context, operation string) (_ context.Context, end func(error))

	// Attempted is told that one of the operation's transactions has ended, after
	// how long, and with which of FoundationDB's codes: 1020 is a conflict, 1021
	// and 1031 may have been committed, 0 is no error of FoundationDB's.
	Attempted(ctx context.Context, operation string, took time.Duration, code int)

	// Settled is told what was found out of a commit whose outcome was unknown, and
	// how long that took. It is called between the end of the commit and that of
	// its attempt.
	Settled(ctx context.Context, operation string, took time.Duration, fate Fate)
}

// Fate is what was found out of a commit whose outcome was unknown.
type Fate string

// The fates. After the first two the operation knows what happened; after the others
// it fails with registry.ErrAmbiguous.
const (
	FateApplied   Fate = "applied"
	FateRefuted   Fate = "refuted"   // it was not applied and never will be
	FateOvertaken Fate = "overtaken" // later writes hide it; it is settled
	FateOpen      Fate = "open"      // no evidence in time
)
