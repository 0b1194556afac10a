package fdbsim

import (
	"maps"
	"time"
)

// Faults are probabilities, drawn from the cluster's seed, of what goes wrong with a request. The
// zero value is a cluster where nothing does. At most one fault hits a request.
type Faults struct {
	Conflict          float64 // a commit is refused with not_committed
	UnknownApplied    float64 // a commit is processed and answered with commit_unknown_result
	UnknownNotApplied float64 // a commit is lost and answered with commit_unknown_result
	TimeoutLands      float64 // a commit outlives its transaction's timeout and lands within MaxDelay
	TimeoutLost       float64 // a commit outlives its transaction's timeout and is lost
	VersionLands      float64 // a commit is answered with cluster_version_changed and lands within MaxDelay
	VersionLost       float64 // a commit is answered with cluster_version_changed and is lost
	TooOld            float64 // a read or commit is refused with transaction_too_old
	FutureVersion     float64 // a read is refused with future_version
	ProcessBehind     float64 // a read is refused with process_behind
	Locked            float64 // a read version is refused with database_locked
	Throttled         float64 // a read version is refused with batch_transaction_throttled
	Recovery          float64 // the cluster recovers just before a commit is processed
	Delay             float64 // a request is put off by up to MaxDelay, behind later ones

	MaxDelay time.Duration // default 50 ms
}

// FaultKind names a fault in Stats.
type FaultKind string

// The kinds of faults.
const (
	FaultConflict          FaultKind = "conflict"
	FaultUnknownApplied    FaultKind = "unknown result, applied"
	FaultUnknownNotApplied FaultKind = "unknown result, not applied"
	FaultTimeoutLands      FaultKind = "timeout, lands later"
	FaultTimeoutLost       FaultKind = "timeout, never lands"
	FaultVersionLands      FaultKind = "version changed, lands later"
	FaultVersionLost       FaultKind = "version changed, never lands"
	FaultTooOld            FaultKind = "transaction too old"
	FaultFutureVersion     FaultKind = "future version"
	FaultProcessBehind     FaultKind = "process behind"
	FaultLocked            FaultKind = "database locked"
	FaultThrottled         FaultKind = "throttled"
	FaultRecovery          FaultKind = "recovery"
	FaultDelay             FaultKind = "delay"
)

// faultChoice is one row of the table of faults a kind of request can meet.
type faultChoice struct {
	kind        FaultKind
	probability float64
	verdict     func() Verdict
}

func (c *Cluster) faultChoices(r *Request) []faultChoice {
	f := &c.cfg.Faults
	always := func(v Verdict) func() Verdict { return func() Verdict { return v } }
	switch r.Kind {
	case KindCommit:
		choices := []faultChoice{
			{FaultConflict, f.Conflict, always(Fail(CodeNotCommitted))},
			{FaultUnknownApplied, f.UnknownApplied, always(CommitUnknown(true))},
			{FaultUnknownNotApplied, f.UnknownNotApplied, always(CommitUnknown(false))},
			{FaultVersionLands, f.VersionLands, func() Verdict { return VersionChanged(c.randomDelay().after) }},
			{FaultVersionLost, f.VersionLost, always(VersionChanged(-1))},
			{FaultTooOld, f.TooOld, always(Fail(CodeTransactionTooOld))},
			{FaultRecovery, f.Recovery, func() Verdict { c.recover(); return Deliver }},
			{FaultDelay, f.Delay, c.randomDelay},
		}
		if r.at.tr.opts.timeout > 0 {
			choices = append(choices,
				faultChoice{FaultTimeoutLands, f.TimeoutLands, func() Verdict { return TimeOut(c.randomDelay().after) }},
				faultChoice{FaultTimeoutLost, f.TimeoutLost, always(TimeOut(-1))})
		}
		return choices
	case KindReadVersion:
		return []faultChoice{
			{FaultLocked, f.Locked, always(Fail(CodeDatabaseLocked))},
			{FaultThrottled, f.Throttled, always(Fail(CodeBatchThrottled))},
			{FaultDelay, f.Delay, c.randomDelay},
		}
	case KindGet, KindGetKey, KindGetRange:
		return []faultChoice{
			{FaultTooOld, f.TooOld, always(Fail(CodeTransactionTooOld))},
			{FaultFutureVersion, f.FutureVersion, always(Fail(CodeFutureVersion))},
			{FaultProcessBehind, f.ProcessBehind, always(Fail(CodeProcessBehind))},
			{FaultDelay, f.Delay, c.randomDelay},
		}
	case KindWatch:
		return []faultChoice{{FaultDelay, f.Delay, c.randomDelay}}
	}
	return nil
}

func (c *Cluster) randomDelay() Verdict {
	most := c.cfg.Faults.MaxDelay
	if most <= 0 {
		most = 50 * time.Millisecond
	}
	return Delay(1 + time.Duration(c.rng.Int64N(int64(most))))
}

// verdictFor decides about a request that no Scheduler owns: the Intercept hook first, then chance.
func (c *Cluster) verdictFor(r *Request) Verdict {
	if r.state == requestDetached || r.delay > 0 {
		return Deliver // it met its fault already
	}
	if c.cfg.Intercept != nil {
		if v := c.cfg.Intercept(r); v != Deliver {
			c.stats.Intercepted++
			return c.noteDelay(r, v)
		}
	}
	if c.cfg.Faults == (Faults{}) {
		return Deliver
	}
	draw := c.rng.Float64()
	for _, choice := range c.faultChoices(r) {
		if draw < choice.probability {
			c.stats.Faults[choice.kind]++
			return c.noteDelay(r, choice.verdict())
		}
		draw -= choice.probability
	}
	return Deliver
}

func (c *Cluster) noteDelay(r *Request, v Verdict) Verdict {
	if v.kind == verdictDelay {
		r.delay = v.after
	}
	return v
}

// Stats counts what a cluster was asked and which faults it injected.
type Stats struct {
	Requests        [kinds]uint64 // by RequestKind
	ReadOnlyCommits uint64        // commits that never left the client
	CachedReads     uint64        // reads answered from the transaction's memory
	Intercepted     uint64
	Options         map[int]uint64 // of transactions, by their codes: how often each was set
	Faults          map[FaultKind]uint64
}

// Of is the number of requests of one kind.
func (s Stats) Of(k RequestKind) uint64 { return s.Requests[k] }

// Stats returns a copy of the counts since the cluster was made.
func (c *Cluster) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.stats
	out.Faults, out.Options = maps.Clone(c.stats.Faults), maps.Clone(c.stats.Options)
	return out
}
