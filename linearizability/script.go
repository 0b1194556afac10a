package linearizability

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelpie-registry/registry"
)

// The kinds of a script's steps that are no operation.
const (
	KindClock Kind = "Clock" // a client's clock is set, or every client's
	KindCrash Kind = "Crash" // a client's process ends and starts again, or the cluster
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

// Step is one line of a script.
type Step struct {
	With   bool   // at the same time as the step before; operations only
	Client string // whose handle is called, whose clock is set, whose process ends; "" sets every clock, ends the cluster
	Kind   Kind   // an operation, KindClock or KindCrash
	Ask    Ask    // of an operation
	At     time.Duration
	Want   string // what an operation must answer, "ok" or the name of an error; "" leaves it to the specification
}

// ScriptOf returns the script that asks what h's clients asked, in the order of
// the calls, with overlapping operations at the same time, and each client's
// clock set to the first reading that each operation made. Carried out on the
// registry that left the history it may take another course: what overlapped
// can interleave differently, and unknown outcomes can differ.
func ScriptOf(h History) Script {
	s := Script{Config: h.Config}
	origin := newDescriber(&h).origin
	clocks := map[string]time.Duration{}
	var busy int64 // latest return so far in the group that runs together
	for i := range h.Ops {
		op := &h.Ops[i]
		with := i > 0 && op.Call < busy
		at, set := clocks[op.Client]
		if seen := op.Clock.Seen; len(seen) > 0 {
			at, set = seen[0].Sub(origin), at != seen[0].Sub(origin) || !set
		} else {
			set = false
		}
		if set {
			// A clock is set between groups: the group ends here, and what
			// overlapped runs one after the other.
			with = false
			clocks[op.Client] = at
			s.Steps = append(s.Steps, Step{Client: op.Client, Kind: KindClock, At: at})
		}
		if !with {
			busy = 0
		}
		s.Steps = append(s.Steps, Step{With: with, Client: op.Client, Kind: op.Kind, Ask: op.Ask})
		if op.Return != Never {
			busy = max(busy, op.Return)
		}
	}
	return s
}

// maxScriptLine bounds one line of a script, in bytes.
const maxScriptLine = 64 << 10

// ParseScript reads a script. Errors name the line and what was expected.
func ParseScript(r io.Reader) (Script, error) {
	s := Script{Config: registry.DefaultConfig()}
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 4<<10), maxScriptLine)
	line, config := 0, false
	for in.Scan() {
		line++
		words, err := fields(in.Text())
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

// fields splits a line at spaces outside string literals, up to a comment.
func fields(line string) ([]string, error) {
	var words []string
	for rest := strings.TrimLeft(line, " \t"); rest != "" && rest[0] != '#'; rest = strings.TrimLeft(rest, " \t") {
		n := 0
		for n < len(rest) && rest[n] != ' ' && rest[n] != '\t' {
			if rest[n] != '"' {
				n++
				continue
			}
			q, err := strconv.QuotedPrefix(rest[n:])
			if err != nil {
				return nil, fmt.Errorf("a string literal begins at %.20q and does not end", rest[n:])
			}
			n += len(q)
		}
		words, rest = append(words, rest[:n]), rest[n:]
	}
	return words, nil
}

func (s *Script) parseConfig(words []string) error {
	c := &s.Config
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%s is no duration, as in ttl=10s", w)
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
		client, err := parseName(strings.TrimSuffix(words[0], ":"))
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		step.Client, words = client, words[1:]
	}
	if len(words) == 0 {
		return errors.New("the step is missing: an operation, Clock or Crash")
	}
	step.Kind, words = Kind(words[0]), words[1:]
	var err error
	switch {
	case step.Kind == KindCrash && len(words) == 0:
	case step.Kind == KindClock && len(words) == 1:
		if step.At, err = time.ParseDuration(words[0]); err != nil {
			return fmt.Errorf("%s is no duration, as in Clock 9.5s", words[0])
		}
	case slices.Contains(kinds, step.Kind):
		if step.Client == "" {
			return fmt.Errorf("%s needs a client, as in n1: %s", step.Kind, step.Kind)
		}
		if words, step.Want, err = parseWant(words); err != nil {
			return fmt.Errorf("%s: %w", step.Kind, err)
		}
		if step.Ask, err = parseAsk(step.Kind, words); err != nil {
			return fmt.Errorf("%s: %w", step.Kind, err)
		}
	default:
		return fmt.Errorf("%q is no step: want an operation of the contract, Clock with a time, or Crash", strings.Join(append([]string{string(step.Kind)}, words...), " "))
	}
	if step.With && (!isOperation(step.Kind) || len(s.Steps) == 0 || !isOperation(s.Steps[len(s.Steps)-1].Kind)) {
		return errors.New("| is between two operations")
	}
	s.Steps = append(s.Steps, step)
	return nil
}

// wants are what an operation can be expected to answer.
var wants = func() []string {
	names := []string{"ok", "ErrInvalid"}
	for _, r := range reasons {
		names = append(names, string(r.name))
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
		return nil, "", fmt.Errorf("after -> comes one of %s", strings.Join(wants, ", "))
	}
	return words[:i], words[i+1], nil
}

func isOperation(k Kind) bool { return k != KindClock && k != KindCrash }

// argument is how one argument of an operation is written.
type argument struct {
	key   string
	print func(a *Ask) string // "" when it is zero
	parse func(a *Ask, s string) error
}

// integer is an argument that is a number.
func integer[T ~uint64 | ~int](key string, field func(*Ask) *T) argument {
	return argument{
		key: key,
		print: func(a *Ask) string {
			if v := *field(a); v != 0 {
				return fmt.Sprint(v)
			}
			return ""
		},
		parse: func(a *Ask, s string) error {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil || uint64(T(n)) != n || T(n) < 0 {
				return fmt.Errorf("%q is no number in range", s)
			}
			*field(a) = T(n)
			return nil
		},
	}
}

// choice is an argument that is one of a type's names.
func choice[T interface {
	~uint8
	String() string
	Validate() error
}](key string, field func(*Ask) *T) argument {
	return argument{
		key: key,
		print: func(a *Ask) string {
			if v := *field(a); v != 0 {
				return v.String()
			}
			return ""
		},
		parse: func(a *Ask, s string) error {
			for v := T(0); v.Validate() == nil; v++ {
				if v.String() == s {
					*field(a) = v
					return nil
				}
			}
			return fmt.Errorf("%q is none of its names", s)
		},
	}
}

func nodeRef(key string, field func(*Ask) *registry.NodeRef) argument {
	return argument{
		key: key,
		print: func(a *Ask) string {
			r := *field(a)
			switch {
			case r.IsZero():
				return ""
			case r.Epoch == 0:
				return printName(string(r.ID))
			}
			return printName(string(r.ID)) + "#" + fmt.Sprint(uint64(r.Epoch))
		},
		parse: func(a *Ask, s string) error {
			id, epoch, has := s, "0", false
			if i := strings.LastIndexByte(s, '#'); i >= 0 && !strings.HasSuffix(s, `"`) {
				id, epoch, has = s[:i], s[i+1:], true
			}
			name, err := parseName(id)
			n, err2 := strconv.ParseUint(epoch, 10, 64)
			if err != nil || err2 != nil || has && n == 0 {
				return fmt.Errorf("%q is no node: want a name, or name#epoch", s)
			}
			*field(a) = registry.NodeRef{ID: registry.NodeID(name), Epoch: registry.Epoch(n)}
			return nil
		},
	}
}

func text[T ~string](key string, field func(*Ask) *T) argument {
	return argument{
		key: key,
		print: func(a *Ask) string {
			if v := *field(a); v != "" {
				return printName(string(v))
			}
			return ""
		},
		parse: func(a *Ask, s string) error {
			v, err := parseName(s)
			*field(a) = T(v)
			return err
		},
	}
}

var (
	actorArgument = argument{
		key: "actor",
		print: func(a *Ask) string {
			if a.Actor == (registry.ActorID{}) {
				return ""
			}
			return printName(a.Actor.Namespace) + "/" + printName(a.Actor.Name)
		},
		parse: func(a *Ask, s string) error {
			head := s
			if strings.HasPrefix(s, `"`) {
				if q, err := strconv.QuotedPrefix(s); err == nil {
					head = q
				}
			} else if i := strings.IndexByte(s, '/'); i >= 0 {
				head = s[:i]
			}
			namespace, err := parseName(head)
			rest, ok := strings.CutPrefix(s[len(head):], "/")
			name, err2 := parseName(rest)
			if err != nil || err2 != nil || !ok {
				return fmt.Errorf("%q is no actor: want namespace/name", s)
			}
			a.Actor = registry.ActorID{Namespace: namespace, Name: name}
			return nil
		},
	}
	claimArgument = argument{
		key: "id",
		print: func(a *Ask) string {
			if a.ClaimID.IsZero() {
				return ""
			}
			return cmp.Or(strings.TrimLeft(a.ClaimID.String(), "0"), "0")
		},
		parse: func(a *Ask, s string) error {
			var err error
			a.ClaimID, err = registry.ParseClaimID(strings.Repeat("0", max(0, 32-len(s))) + s)
			return err
		},
	}
	nodeArgument   = nodeRef("node", func(a *Ask) *registry.NodeRef { return &a.Node })
	tokenArgument  = integer("token", func(a *Ask) *registry.Token { return &a.Token })
	toArgument     = nodeRef("to", func(a *Ask) *registry.NodeRef { return &a.To })
	seenArgument   = integer("seen", func(a *Ask) *registry.Version { return &a.Seen })
	infoArgument   = text("address", func(a *Ask) *string { return &a.Info.Address })
	modeArgument   = choice("mode", func(a *Ask) *registry.RegisterMode { return &a.Mode })
	statusArgument = choice("status", func(a *Ask) *registry.NodeStatus { return &a.Status })
	afterArgument  = text("after", func(a *Ask) *registry.Cursor { return &a.Page.After })
	limitArgument  = integer("limit", func(a *Ask) *int { return &a.Page.Limit })
)

// arguments are those that each operation takes, in the order in which they are printed.
var arguments = map[Kind][]argument{
	KindClaim:          {actorArgument, nodeArgument, claimArgument},
	KindRenew:          {actorArgument, nodeArgument, tokenArgument},
	KindRelease:        {actorArgument, nodeArgument, tokenArgument},
	KindTransfer:       {actorArgument, nodeArgument, tokenArgument, toArgument},
	KindLookup:         {actorArgument},
	KindValidate:       {actorArgument, tokenArgument},
	KindWatch:          {actorArgument, seenArgument},
	KindListActors:     {nodeArgument, afterArgument, limitArgument},
	KindRegisterNode:   {nodeArgument, infoArgument, modeArgument},
	KindHeartbeat:      {nodeArgument},
	KindMarkFailed:     {nodeArgument},
	KindDeregisterNode: {nodeArgument},
	KindGetNode:        {nodeArgument},
	KindListNodes:      {statusArgument, afterArgument, limitArgument},
}

func parseAsk(k Kind, words []string) (Ask, error) {
	var a Ask
	given := map[string]bool{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		i := slices.IndexFunc(arguments[k], func(arg argument) bool { return arg.key == key })
		if i < 0 || !ok || given[key] {
			var keys []string
			for _, arg := range arguments[k] {
				keys = append(keys, arg.key+"=")
			}
			return a, fmt.Errorf("%q is not understood, it takes each once: %s", w, strings.Join(keys, " "))
		}
		given[key] = true
		if err := arguments[k][i].parse(&a, value); err != nil {
			return a, fmt.Errorf("%s: %w", key, err)
		}
	}
	return a, nil
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
		line += printName(s.Client) + ": "
	}
	line += string(s.Kind)
	if s.Kind == KindClock {
		return line + " " + s.At.String()
	}
	for _, arg := range arguments[s.Kind] {
		if v := arg.print(&s.Ask); v != "" {
			line += " " + arg.key + "=" + v
		}
	}
	if s.Want != "" {
		line += " -> " + s.Want
	}
	return line
}

const bareName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

func printName(s string) string {
	if s == "" || strings.Trim(s, bareName) != "" {
		return strconv.QuoteToASCII(s)
	}
	return s
}

func parseName(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		v, err := strconv.Unquote(s)
		if err != nil {
			return "", fmt.Errorf("%s is no string literal", s)
		}
		return v, nil
	}
	if s == "" || strings.Trim(s, bareName) != "" {
		return "", fmt.Errorf("%q is no name: letters, digits and . _ - or a string literal", s)
	}
	return s, nil
}
