package report

import (
	"fmt"
	"time"
)

// Margins are what a judgement in real time allows for: the suite does not hold the
// backend's clock, and knows a reading only from an answer, or as some time between
// call and return.
type Margins struct {
	Store    time.Duration `json:"store"`    // the least that a claim has to wait beyond expiry and grace
	Reading  time.Duration `json:"reading"`  // how far a reading may be from the time of its call
	Boundary time.Duration `json:"boundary"` // a call no farther from a boundary of a lease may be answered either way
	Call     time.Duration `json:"call"`     // a call that takes longer is not decided
	Expiry   time.Duration `json:"expiry"`   // how far an expiry may be from the one that was worked out
}

func (m Margins) String() string {
	return fmt.Sprintf("a claim waits %v after expiry and grace; readings are within %v of their calls; "+
		"not decided is what a call within %v of a boundary makes doubtful, or one that takes more than %v; an expiry counts as right within %v",
		m.Store, m.Reading, m.Boundary, m.Call, m.Expiry)
}
