package explain

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

// Tenures collects tenures from answers in their order.
type Tenures struct {
	List  []Tenure
	Began registry.Instant // of the history; the first reading noted, where it is 0
}

// Granted notes a lease granted or renewed at true time at, by a clock that
// was ahead of it by offset.
func (ts *Tenures) Granted(l registry.Placement, at registry.Instant, offset int64) {
	until := int64(l.Expiry-ts.Began) - offset
	for i := range ts.List {
		t := &ts.List[i]
		if t.Actor == l.Actor.Name && t.Holder == l.Holder.String() && t.Token == l.Token {
			t.Until = until
			return
		}
	}
	ts.List = append(ts.List, Tenure{Actor: l.Actor.Name, Holder: l.Holder.String(), Token: l.Token, From: int64(at - ts.Began), Until: until})
}

// Ended notes that the tenure of a token was released or handed over.
func (ts *Tenures) Ended(actor string, token registry.Token, at registry.Instant) {
	for i := range ts.List {
		t := &ts.List[i]
		if t.Actor == actor && t.Token == token && int64(at-ts.Began) < t.Until {
			t.Until, t.Ended = int64(at-ts.Began), true
		}
	}
}

// TenuresOf reads them off a concurrent history, whose only times are the
// clocks' readings.
func TenuresOf(h history.History) []Tenure {
	var ts Tenures
	for _, o := range h.Ops {
		if len(o.Clock.Seen) == 0 {
			continue
		}
		at := o.Clock.Seen[len(o.Clock.Seen)-1]
		if ts.Began == 0 {
			ts.Began = at
		}
		if o.Result.Outcome != op.OK {
			continue
		}
		if e := o.Call.Kind.Effect(); e == op.Passes || e == op.Ends {
			ts.Ended(o.Call.Actor.Name, o.Call.Token, at)
		}
		if o.Call.Kind.Grants() {
			ts.Granted(o.Result.Record, at, 0)
		}
	}
	return ts.List
}
