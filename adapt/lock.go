package adapt

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/dialect"
	"github.com/kelpie-registry/registry/op"
)

// Tenure is what a lock library tells of a lock that is held.
type Tenure struct {
	Owner  string    // of Inspect: the owner that was passed to Acquire
	Name   string    // the store's own name of this tenure, such as its random value; "" where Token names it
	Token  uint64    // the fencing token; 0: there is none, and one is lent
	Expiry time.Time // until when its holder may rely on it; zero: TTL after the call began
}

// Lock is a lock library. T is what it gives to a holder and takes back. The functions
// are safe for concurrent use; they return when ctx ends.
type Lock[T any] struct {
	// Acquire tries once to take the lock for owner. It fails with registry.ErrHeld when
	// another has it.
	Acquire func(ctx context.Context, key, owner string) (T, Tenure, error)

	// Renew makes the tenure last for another TTL. It fails with registry.ErrNotHeld, or
	// registry.ErrLapsed, when the library says that it is over.
	Renew func(ctx context.Context, lock T) (Tenure, error)

	// Release gives the lock back. It fails with registry.ErrNotHeld when the library
	// says that it was not held any more.
	Release func(ctx context.Context, lock T) error

	// Inspect tells who holds the lock, and found false when nobody does.
	Inspect func(ctx context.Context, key string) (t Tenure, found bool, err error)

	Tokens      bool          // it has fencing tokens: revisions, sequence numbers
	HoldsLonger time.Duration // by how much it may hold longer than it told; see dialect.Dialect
	StoreClock  bool          // leases end by the server's clock alone
}

// Dialect is what a lock is judged in: records are bare, ended tenures are forgotten,
// claims have no id, there is no membership, transfer or listing, and tokens have
// gaps, or are lent.
func (l Lock[T]) Dialect() dialect.Dialect {
	return dialect.Dialect{
		BareRecords: true, NoClaimIDs: true, Forgets: true, NoMembership: true, NoTransfer: true, NoListing: true,
		SparseTokens: l.Tokens, NoTokens: !l.Tokens, HoldsLonger: l.HoldsLonger, StoreClock: l.StoreClock,
	}
}

// Cluster returns a cluster of handles that use the library.
func (l Lock[T]) Cluster(cfg registry.Config) *Cluster {
	a := &locks[T]{Lock: l, ttl: cfg.TTL, tenures: map[tenure]*lent[T]{}, tokens: map[string]registry.Token{}, last: map[registry.ActorID]registry.Token{}}
	return &Cluster{dialect: l.Dialect(), cfg: cfg, answer: a.answer}
}

// tenure names what was granted.
type tenure struct {
	actor registry.ActorID
	token registry.Token
}

// lent is what the library gave for a tenure, and the lease as it was told.
type lent[T any] struct {
	lock  T
	lease registry.Lease
}

// locks is a library with what is lent to it: a token for each name that the store
// has given to a tenure, and the expiry, which Inspect need not know.
type locks[T any] struct {
	Lock[T]
	ttl time.Duration

	mu      sync.Mutex // guards the rest
	tenures map[tenure]*lent[T]
	tokens  map[string]registry.Token           // lent, by the actor's key and the tenure's name
	last    map[registry.ActorID]registry.Token // lent
}

func (l *locks[T]) answer(ctx context.Context, clock registry.Clock, c *op.Call) op.Result {
	before := clock.Now() // an expiry counted from here is never later than the store's
	switch c.Kind {
	case op.Claim:
		lock, t, err := l.Acquire(ctx, key(c.Actor), owner(c.Node))
		if err != nil {
			return failed(c, err)
		}
		return l.granted(c, lock, t, before)
	case op.Renew, op.Release:
		return l.ofTenure(ctx, c, before)
	case op.Lookup, op.Watch:
		return l.inspect(ctx, c)
	case op.Validate:
		return l.validate(ctx, c)
	}
	return op.Failed(fmt.Errorf("%w: %v of a lock", registry.ErrUnavailable, c.Kind))
}

// granted tells a new tenure, or the one that the library has given again.
func (l *locks[T]) granted(c *op.Call, lock T, t Tenure, before registry.Instant) op.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := tenure{c.Actor, l.token(c.Actor, t)}
	if known, ok := l.tenures[name]; ok && known.lease.Holder == c.Node {
		return op.Result{Outcome: op.OK, Record: registry.Placement(known.lease)}
	}
	lease := registry.Lease{Actor: c.Actor, Holder: c.Node, Token: name.token, Version: 1, Expiry: l.expiry(t, before), ClaimID: c.ClaimID}
	l.tenures[name] = &lent[T]{lock, lease}
	return op.Result{Outcome: op.OK, Record: registry.Placement(lease)}
}

// ofTenure renews or releases. A tenure of which no Acquire has told cannot be shown
// to the library. It is not held, unless the store says that it is, while its Acquire
// is still under way: then nothing can be done.
func (l *locks[T]) ofTenure(ctx context.Context, c *op.Call, before registry.Instant) op.Result {
	l.mu.Lock()
	known, ok := l.tenures[tenure{c.Actor, c.Token}]
	l.mu.Unlock()
	if !ok || known.lease.Holder != c.Node {
		r := l.inspect(ctx, c)
		if r.Err == nil && r.Found && r.Record.Token == c.Token && r.Record.Holder == c.Node {
			return op.Failed(fmt.Errorf("%w: this tenure has not been told yet", registry.ErrUnavailable))
		}
		if r.Err != nil {
			return op.Failed(fmt.Errorf("%w: %w", registry.ErrUnavailable, r.Err)) // nothing was sent
		}
		return op.Failed(registry.ErrNotHeld)
	}
	if c.Kind == op.Release {
		if err := l.Release(ctx, known.lock); err != nil {
			return failed(c, err)
		}
		return op.Result{Outcome: op.OK}
	}
	t, err := l.Renew(ctx, known.lock)
	if err != nil {
		return failed(c, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known.lease.Expiry = max(known.lease.Expiry, l.expiry(t, before))
	return op.Result{Outcome: op.OK, Record: registry.Placement(known.lease)}
}

func (l *locks[T]) inspect(ctx context.Context, c *op.Call) op.Result {
	t, found, err := l.Inspect(ctx, key(c.Actor))
	switch {
	case err != nil:
		return failed(c, err)
	case !found:
		return op.Result{Outcome: op.OK}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// The expiry is left out: a renewal may be under way whose answer will tell another.
	return op.Result{Outcome: op.OK, Found: true,
		Record: registry.Placement{Actor: c.Actor, Holder: holder(t.Owner), Token: l.token(c.Actor, t), Version: 1}}
}

// validate is the check of a guarded write, by what Inspect finds.
func (l *locks[T]) validate(ctx context.Context, c *op.Call) op.Result {
	switch r := l.inspect(ctx, c); {
	case r.Err != nil:
		return r
	case r.Found && r.Record.Token == c.Token:
		return op.Result{Outcome: op.OK}
	case r.Found && r.Record.Token > c.Token:
		return op.Failed(registry.ErrFenced)
	}
	return op.Failed(registry.ErrNotHeld)
}

// token is the tenure's own, or one lent to its name. The caller holds the mutex.
func (l *locks[T]) token(a registry.ActorID, t Tenure) registry.Token {
	if l.Tokens {
		return registry.Token(t.Token)
	}
	name := key(a) + "\x00" + t.Name
	if l.tokens[name] == 0 {
		l.last[a]++
		l.tokens[name] = l.last[a]
	}
	return l.tokens[name]
}

func (l *locks[T]) expiry(t Tenure, before registry.Instant) registry.Instant {
	if t.Expiry.IsZero() {
		return before.Add(l.ttl)
	}
	return registry.InstantOf(t.Expiry)
}
