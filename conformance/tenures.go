package conformance

import (
	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/history"
	"github.com/kelpie-registry/registry/op"
)

// Tenure is one stretch of time for which a backend granted an actor to a
// holder, as the history of a conviction shows it. Times are nanoseconds from
// the beginning of the history.
type Tenure struct {
	Actor  string         `json:"actor"`
	Holder string         `json:"holder"`
	Token  registry.Token `json:"token"`
	From   int64          `json:"from"`
	Until  int64          `json:"until"` // the holder's clock reads Expiry, or it let go
	Ended  bool           `json:"ended"` // it let go before Expiry
}

// tenures collects tenures from answers in their order.
type tenures struct {
	list  []Tenure
	began registry.Instant
}

// granted notes a lease granted or renewed at true time at, by a clock that
// was ahead of it by offset.
func (ts *tenures) granted(l registry.Placement, at registry.Instant, offset int64) {
	until := int64(l.Expiry-ts.began) - offset
	for i := range ts.list {
		t := &ts.list[i]
		if t.Actor == l.Actor.Name && t.Holder == l.Holder.String() && t.Token == l.Token {
			t.Until = until
			return
		}
	}
	ts.list = append(ts.list, Tenure{Actor: l.Actor.Name, Holder: l.Holder.String(), Token: l.Token, From: int64(at - ts.began), Until: until})
}

// ended notes that the tenure of a token was released or handed over.
func (ts *tenures) ended(actor string, token registry.Token, at registry.Instant) {
	for i := range ts.list {
		t := &ts.list[i]
		if t.Actor == actor && t.Token == token && int64(at-ts.began) < t.Until {
			t.Until, t.Ended = int64(at-ts.began), true
		}
	}
}

// tenures reads them off the steps of a world.
func (w *lockstep) tenures() []Tenure {
	ts := tenures{began: w.began}
	for _, s := range w.steps {
		if !s.replay || s.event != "" || s.result.Err != nil {
			continue
		}
		c := &s.call
		if c.Kind == op.Transfer || c.Kind == op.Release {
			ts.ended(c.Actor.Name, c.Token, s.at)
		}
		if c.Kind.Grants() {
			ts.granted(s.result.Record, s.at, int64(s.clock-s.at))
		}
	}
	return ts.list
}

// historyTenures reads them off a concurrent history, whose only times are the
// clocks' readings.
func historyTenures(h history.History) []Tenure {
	var ts tenures
	for _, o := range h.Ops {
		if len(o.Clock.Seen) == 0 {
			continue
		}
		at := o.Clock.Seen[len(o.Clock.Seen)-1]
		if ts.began == 0 {
			ts.began = at
		}
		if o.Result.Outcome != op.OK {
			continue
		}
		if o.Call.Kind == op.Transfer || o.Call.Kind == op.Release {
			ts.ended(o.Call.Actor.Name, o.Call.Token, at)
		}
		switch o.Call.Kind {
		case op.Claim, op.Renew, op.Transfer:
			ts.granted(o.Result.Record, at, 0)
		}
	}
	return ts.list
}
