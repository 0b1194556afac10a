package history

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/internal/wire"
	"github.com/kelpie-registry/registry/op"
)

// Event is a step of a script that is not an operation.
type Event string

// The events.
const (
	Clock Event = "Clock" // a client's clock is set, or every client's
	Crash Event = "Crash" // a client's process ends and starts again, or the cluster
	Purge Event = "Purge" // a process beside the client, with the same clock, calls registry.Purger
	Serve Event = "Serve" // the client begins to serve an actor under a token
	Stop  Event = "Stop"  // the client stops to serve an actor
)

// Script is a list of operations to carry out, one per line of text: what a
// history reproduces from, and what a person writes to try something.
//
//	config ttl=10s grace=2s skew=1s failure=6s
//	n1: RegisterNode node=n1
//	n2: RegisterNode node=n2
//	n1: Claim actor=room/42 node=n1#1 id=1
//	Clock 9s                                  # every clock reads start + 9 s
//	n2: Clock 9.5s                            # n2's reads start + 9.5 s
//	n2: Claim actor=room/42 node=n2#1 id=2 -> ErrHeld
//	| n1: Renew actor=room/42 node=n1#1 token=1   # at the same time as the line before
//	n1: Crash                                 # n1's process ends; another opens a handle
//	Crash                                     # the cluster stops at once and starts again
//	n1: Purge                                 # a process with n1's clock has the store forget
//	n2: Serve actor=room/42 token=2           # n2 serves, until it stops, crashes, or the script ends
//	n2: Stop actor=room/42
//
// A name is written bare when it consists of letters, digits and . _ - and as a
// Go string literal otherwise. What an operation needs beyond what is written
// is zero. Everything after # at the beginning of a word is a comment. What
// follows -> is what the author expects, "ok" or the name of an error; [Play]
// takes no notice of it.
type Script struct {
	Config registry.Config
	Steps  []Step
}

// Step is one line of a script: an operation, or an event.
type Step struct {
	With   bool    // at the same time as the step before; operations only
	Client string  // whose handle is called, whose clock is set, whose process ends; "" sets every clock, ends the cluster
	Event  Event   // "" for an operation
	Call   op.Call // of an operation; of Serve and Stop the actor and the token, and no kind
	At     time.Duration
	Want   string // what an operation must answer, "ok" or the name of an error; "" leaves it to the specification
}

// maxScriptLine bounds one line of a script, in bytes.
const maxScriptLine = 64 << 10

// ParseScript reads a script. Errors name the line and what was expected.
func ParseScript(r io.Reader) (Script, error) {
	s := Script{Config: registry.DefaultConfig()}
	in := wire.NewLines(r, maxScriptLine)
	line, config := 0, false
	for in.Scan() {
		line++
		words, err := op.Words(in.Text())
		if err == nil && len(words) > 0 {
			if words[0] == "config" && !config && len(s.Steps) == 0 {
				config = true
				err = s.parseConfig(words[1:])
			} else {
				err = s.parseStep(words)
			}
		}
		if err != nil {
			return Script{}, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := in.Err(); err != nil {
		return Script{}, fmt.Errorf("line %d: %w", line+1, err)
	}
	return s, nil
}

func (s *Script) parseConfig(words []string) error {
	c := &s.Config
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%s is not a duration, as in ttl=10s", w)
		}
		field := map[string]*time.Duration{"ttl": &c.TTL, "grace": &c.Grace, "skew": &c.MaxClockSkew, "failure": &c.FailureTimeout}[key]
		if field == nil {
			return fmt.Errorf("config has ttl, grace, skew and failure, not %q", key)
		}
		*field = d
	}
	c.AllowShortTTL = c.TTL < registry.MinTTL
	return c.Validate()
}

func (s *Script) parseStep(words []string) error {
	var step Step
	if words[0] == "|" {
		step.With, words = true, words[1:]
	}
	if len(words) > 0 && strings.HasSuffix(words[0], ":") {
		client, err := op.ParseName(strings.TrimSuffix(words[0], ":"))
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		step.Client, words = client, words[1:]
	}
	if len(words) == 0 {
		return errors.New("the step is missing: an operation, Clock, Crash, Purge, Serve or Stop")
	}
	var err error
	switch event := Event(words[0]); {
	case event == Crash && len(words) == 1:
		step.Event = Crash
	case event == Purge && len(words) == 1 && step.Client != "":
		step.Event = Purge
	case event == Serve || event == Stop:
		if err := s.parseService(&step, words); err != nil {
			return err
		}
	case event == Clock && len(words) == 2:
		step.Event = Clock
		if step.At, err = time.ParseDuration(words[1]); err != nil {
			return fmt.Errorf("%s is not a duration, as in Clock 9.5s", words[1])
		}
	case op.KindOf(words[0]).Known() && op.KindOf(words[0]) != op.Close:
		if step.Client == "" {
			return fmt.Errorf("%s needs a client, as in n1: %s", words[0], words[0])
		}
		if words, step.Want, err = parseWant(words); err != nil {
			return fmt.Errorf("%s: %w", words[0], err)
		}
		if step.Call, err = op.Parse(words); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%q is not a step: want an operation of the contract, Clock with a time, Crash, or Purge, Serve or Stop of a client", strings.Join(words, " "))
	}
	if step.With && (step.Event != "" || len(s.Steps) == 0 || s.Steps[len(s.Steps)-1].Event != "") {
		return errors.New("| is between two operations")
	}
	s.Steps = append(s.Steps, step)
	return nil
}

// serviceWords are how the arguments of Serve and Stop are read: as those of the
// operation that takes the same.
var serviceWords = map[Event]op.Kind{Serve: op.Validate, Stop: op.Lookup}

// parseService reads what is served, or no longer is.
func (s *Script) parseService(step *Step, words []string) error {
	step.Event = Event(words[0])
	if step.Client == "" {
		return fmt.Errorf("%s needs a client, as in n1: %s", words[0], words[0])
	}
	as := serviceWords[step.Event].String()
	call, err := op.Parse(append([]string{as}, words[1:]...))
	switch {
	case err != nil:
		return fmt.Errorf("%s%s", words[0], strings.TrimPrefix(err.Error(), as))
	case call.Actor == registry.ActorID{}:
		return fmt.Errorf("%s: actor= is missing", words[0])
	case step.Event == Serve && call.Token == 0:
		return errors.New("Serve: token= is missing: a service is under a token")
	}
	step.Call = op.Call{Actor: call.Actor, Token: call.Token}
	serves := s.serves(step)
	switch {
	case serves && step.Event == Serve:
		return fmt.Errorf("%s serves this actor already: a Stop comes first", step.Client)
	case !serves && step.Event == Stop:
		return fmt.Errorf("%s does not serve this actor", step.Client)
	}
	return nil
}

// serves reports whether the client of a step serves its actor before it.
func (s *Script) serves(step *Step) (yes bool) {
	for i := range s.Steps {
		switch o := &s.Steps[i]; {
		case o.Client != step.Client:
		case o.Event == Crash:
			yes = false
		case (o.Event == Serve || o.Event == Stop) && o.Call.Actor == step.Call.Actor:
			yes = o.Event == Serve
		}
	}
	return yes
}

// wants are what an operation can be expected to answer.
var wants = func() []string {
	names := []string{"ok", "ErrInvalid"}
	for _, r := range op.Refusals() {
		names = append(names, string(r))
	}
	return names
}()

// parseWant splits off what is expected of an operation.
func parseWant(words []string) (rest []string, want string, err error) {
	i := slices.Index(words, "->")
	switch {
	case i < 0:
		return words, "", nil
	case i != len(words)-2 || !slices.Contains(wants, words[i+1]):
		return words, "", fmt.Errorf("after -> comes one of %s", strings.Join(wants, ", "))
	}
	return words[:i], words[i+1], nil
}

// String prints the script in the form that ParseScript reads.
func (s Script) String() string {
	var b strings.Builder
	c := s.Config
	fmt.Fprintf(&b, "config ttl=%v grace=%v skew=%v failure=%v\n", c.TTL, c.Grace, c.MaxClockSkew, c.FailureTimeout)
	for i := range s.Steps {
		b.WriteString(s.Steps[i].String() + "\n")
	}
	return b.String()
}

// String prints the step as a line of a script.
func (s *Step) String() string {
	line := ""
	if s.With {
		line = "| "
	}
	if s.Client != "" {
		line += op.QuoteName(s.Client) + ": "
	}
	switch s.Event {
	case Clock:
		return line + "Clock " + s.At.String()
	case Crash, Purge:
		return line + string(s.Event)
	case Serve, Stop:
		as := op.Call{Kind: serviceWords[s.Event], Actor: s.Call.Actor, Token: s.Call.Token}
		return line + string(s.Event) + strings.TrimPrefix(as.Script(), as.Kind.String())
	}
	line += s.Call.Script()
	if s.Want != "" {
		line += " -> " + s.Want
	}
	return line
}
