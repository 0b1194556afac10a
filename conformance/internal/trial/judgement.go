package trial

import (
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance/backend"
	"github.com/kelpie-registry/registry/conformance/report"
	"github.com/kelpie-registry/registry/contract"
	"github.com/kelpie-registry/registry/dialect"
)

// Judgement is what the trials of one judgement have in common: the backend and
// what is known of it, and how it is to be judged.
type Judgement struct {
	Backend backend.Backend
	Dialect dialect.Dialect             // of the backend
	Found   map[backend.Capability]bool // what the backend was seen to have
	Opts    *Settings
	Strict  strictness // which differences of the dialect were needed
	Maxima  *Maxima    // how far it went
	Idle    Idle       // nil: none ever
	Silence Silence    // what it never answers
}

// Settings are the options that trials go by.
type Settings struct {
	Cfg         registry.Config
	Histories   int // that a drawing case executes; 0: as many as its level wants
	Level       report.Effort
	OutDir      string            // where the histories of convictions are saved; "": nowhere
	KeepDir     string            // where all histories are kept; "": nowhere
	Waived      []contract.RuleID // whose breaches are gone past
	CallTimeout time.Duration
	Reproduce   func(section, name string, seed uint64) string // the line that replays a case
}

// CheckTimeout bounds the check of one history. A short one needs milliseconds.
const CheckTimeout = 5 * time.Second
