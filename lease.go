package registry

import "time"

// Instant is a reading of a clock in nanoseconds since 1970-01-01T00:00:00Z.
// It is comparable, has no zone and no monotonic part, and so means the same in
// a store, in a history and in another process.
type Instant int64

// InstantOf returns the reading that a wall-clock time stands for.
func InstantOf(t time.Time) Instant { return Instant(t.UnixNano()) }

// Add returns i shifted by d.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the distance from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Time returns i as a UTC time.
func (i Instant) Time() time.Time { return time.Unix(0, int64(i)).UTC() }

// String returns i in RFC 3339 form with nanoseconds.
func (i Instant) String() string { return i.Time().Format(time.RFC3339Nano) }

// Placement is the record of an actor. It is never deleted once written: after
// a release Holder is zero and Token, Version, Expiry and ClaimID stay, or a
// late message of an earlier tenure could not be told from a new one.
type Placement struct {
	Actor   ActorID
	Holder  NodeRef // zero: nobody
	Token   Token
	Version Version
	Expiry  Instant // end of the lease by the writer's clock
	ClaimID ClaimID // of the claim that began the tenure; zero when a transfer did
}

// Held reports whether the record has a holder.
func (p Placement) Held() bool { return !p.Holder.IsZero() }

// Lease returns the placement as the holder's lease.
func (p Placement) Lease() Lease { return Lease(p) }

// Lease is a tenure as granted: the actor, its holder, the fencing token, and
// the version and expiry at the time of the answer. It is a value: it does not
// change when the lease is renewed. Present it to Renew, Release and Transfer;
// they go by Actor, Holder and Token.
type Lease struct {
	Actor   ActorID
	Holder  NodeRef
	Token   Token
	Version Version
	Expiry  Instant
	ClaimID ClaimID
}

// Validate returns an [*InvalidError] when the lease cannot have been granted
// by any registry: bad names, epoch 0, token 0.
func (l Lease) Validate() error {
	if err := l.Actor.Validate(); err != nil {
		return err
	}
	if err := l.Holder.Validate(); err != nil {
		return err
	}
	return l.Token.Validate()
}

// Validate returns an [*InvalidError] for token 0, which was never granted.
func (t Token) Validate() error {
	if t == 0 {
		return &InvalidError{Field: "token", Problem: "is 0, which was never granted"}
	}
	return nil
}

// Validate returns an [*InvalidError] for the zero ClaimID.
func (id ClaimID) Validate() error {
	if id.IsZero() {
		return &InvalidError{Field: "claim id", Problem: "is zero"}
	}
	return nil
}

// Phase says what a clock reading means for a held record.
type Phase uint8

// The phases of a lease, in their order in time.
const (
	Live        Phase = iota + 1 // the holder may serve
	Grace                        // the holder must not serve, may renew
	Lapsed                       // the holder can no longer renew, nobody may claim yet
	Reclaimable                  // anybody may claim
)

// String returns the phase's name.
func (p Phase) String() string {
	return [...]string{"none", "live", "grace", "lapsed", "reclaimable"}[min(int(p), 4)]
}

// Phase returns the phase that reading now finds a record in that expires at
// expiry. Each boundary belongs to the later phase.
func (c Config) Phase(expiry, now Instant) Phase {
	switch lapse := expiry.Add(c.Grace); {
	case now < expiry:
		return Live
	case now < lapse:
		return Grace
	case now < lapse.Add(2*c.MaxClockSkew):
		return Lapsed
	default:
		return Reclaimable
	}
}
