package plain

import (
	"time"

	"github.com/kelpie-registry/registry"
)

// Policy is how a plain client does what it does. The zero value is right.
type Policy struct {
	RenewAfter  time.Duration // from a renewal to the next; default TTL/3
	RetryAfter  time.Duration // pause after a failure, with jitter; default TTL/30; Hasty: none
	CallTimeout time.Duration // of one call; default TTL/6
	PollEvery   time.Duration // between looks at what another holds; default TTL/3
	Spread      time.Duration // of the waiters of one lapse; default TTL/10

	// Deadline is the reading at which the work stops: sent was read before the
	// request, answered when the answer came. The default is the earlier of sent +
	// TTL and the expiry in the answer, a twentieth of TTL before.
	Deadline func(sent, answered registry.Instant, l registry.Lease) registry.Instant

	// Failed returns the deadline after a renewal that failed: default, the same.
	Failed func(deadline, now registry.Instant) registry.Instant

	// Unusual, and right.
	NewIDs         bool          // each claim has an id of its own: a grant whose answer was lost runs out
	Undoes         bool          // a claim of unknown outcome is looked up and released
	StopsOnFailure bool          // it serves only while its last renewal was answered
	StopsToRenew   bool          // it does not serve while it renews
	WaitsOut       bool          // after a claim of unknown outcome it waits until a grant must have lapsed
	Adopts         bool          // a claim of unknown outcome is looked up, and served by what the look shows
	Hedges         bool          // each claim is sent twice at once, under one id
	Watches        bool          // it waits with a watch where there is one, and spreads after it
	LooksBetween   bool          // a renewal that failed is followed by a look before the next one
	Rotates        int           // it gives a lease up after so many renewals, and claims again at once
	ClaimJitter    time.Duration // of the pause after a claim that failed, beyond RetryAfter

	// Wrong.
	NoDeadline        bool          // the deadline passes and nothing stops
	Unbounded         bool          // a renewal may take for ever, and the work goes on meanwhile
	Failures          int           // it stops after so many failed renewals, whatever the time
	CoarseTicks       time.Duration // it looks at its deadline only so often
	Drains            time.Duration // it stops so long after it knew that it must
	RenewalDies       bool          // the first failure is the last attempt
	NeverRenews       bool
	IgnoresRefusals   bool // a renewal that is refused is only logged
	StartsLate        bool // it serves under an answer that came after the lease's end
	ServesEarly       bool // it serves when it has asked
	AssumesGranted    bool // a claim without an answer was granted
	KeepsFirstToken   bool // a later tenure is served under the first one's token
	AdoptsByName      bool // a lease of an earlier process of its name is its own
	ReleasesFirst     bool // it stops when its release was answered
	MovesFirst        bool // it stops when its transfer was answered
	ServesAfterMove   bool // it goes on when its transfer was not answered
	NeverReleases     bool
	DropWaits         bool // Drop has no end but its success
	Forgets           bool // what a claim may have got is forgotten
	RenewsWhatItHolds bool // it renews all that the registry says it holds, wanted or not
	Idle              bool // it holds and does not serve
	NeverAgain        bool // what was lost once is not claimed again
	RenewsWhatIsLost  bool // it renews what has lapsed instead of claiming it
	IgnoresMembership bool // it claims for a registration that is over
	Spins             bool // it claims again as soon as it was refused
	Hasty             bool // it asks again as soon as a call has failed
	Stampedes         bool // it claims in the instant in which the record can be claimed
	SaysNothing       bool // it loses its lease without a word
	LeavesGoroutine   bool
	LeavesTicker      bool
	ClosesLate        bool // it stops after Close has returned

	RenewsFor      time.Duration // it renews for so long after it was granted a lease
	BacksOff       bool          // the pause after a failed claim doubles each time
	Losses         int           // it gives an actor up after so many losses
	OneLossForAll  bool          // when one lease is lost nothing is renewed any more
	OneToken       bool          // whatever it serves, it serves under the first token it was granted
	RenewsFirst    bool          // it renews the first lease that it had of an actor
	IgnoresFenced  bool          // a renewal that is refused with ErrFenced is only logged
	NeverBeats     bool          // it sends no heartbeats
	BeatsDie       bool          // the first heartbeat that fails is the last one
	LooksForever   bool          // a look has no timeout
	Fights         bool          // it takes its name back from who superseded it
	StartsIfAbsent bool          // it waits until its former registration has ended
	ReleasesAny    bool          // it releases a lease, whoever has it
	DropsAtOnce    bool          // Drop does not wait for what is under way
	TrustsAdopted  bool          // it serves under a lease that it was told of
	WakesAll       bool          // it claims in the instant in which a watch wakes it
	TimerAfter     time.Duration // a timer fires so long after Close

	WaitsInTurn    bool // it waits for one actor at a time
	LooksLess      bool // the pause between two looks doubles each time
	WatchesAlone   bool // it waits by a watch, and looks when that has woken it
	ClosesInTurn   bool // Close gives back one lease after the other
	WantsTwice     bool // an actor that is asked for twice is served twice
	DropsWait      bool // what it does not have is given up when it is closed
	InstanceByName bool // its instance is made of its name
	HastyBatches   bool // a batch that failed is sent again at once
	BeatsLess      bool // each heartbeat that fails doubles the pause between them, for good
	AsksForever    bool // it asks for its registration without a timeout
}

func (p Policy) withDefaults(cfg registry.Config) Policy {
	ttl := cfg.TTL
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{{&p.RenewAfter, ttl / 3}, {&p.RetryAfter, ttl / 30}, {&p.CallTimeout, ttl / 6}, {&p.PollEvery, ttl / 3}, {&p.Spread, ttl / 10}} {
		if *d.field == 0 {
			*d.field = d.standard
		}
	}
	if p.Hasty {
		p.RetryAfter = 0
	}
	if p.Deadline == nil {
		p.Deadline = func(sent, _ registry.Instant, l registry.Lease) registry.Instant {
			return min(sent.Add(ttl), l.Expiry).Add(-ttl / 20)
		}
	}
	if p.Failed == nil {
		p.Failed = func(deadline, _ registry.Instant) registry.Instant { return deadline }
	}
	return p
}
