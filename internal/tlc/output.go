package tlc

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Verdict is how a run of TLC ended.
type Verdict string

// The verdicts. Every one but OK and Failed comes with a counterexample or the
// name of what was violated.
const (
	OK         Verdict = "ok"         // the whole state space was searched and nothing was violated
	Invariant  Verdict = "invariant"  // a state violates an invariant
	Action     Verdict = "action"     // a step violates a property of the form [][A]_v, or a property fails in an initial state
	Temporal   Verdict = "temporal"   // a behaviour violates a liveness property
	Deadlock   Verdict = "deadlock"   // a state without successor
	Assertion  Verdict = "assertion"  // Assert(FALSE, ...) was evaluated
	Assumption Verdict = "assumption" // an ASSUME is false
	Failed     Verdict = "error"      // TLC could not do its work: a parse error, a bad configuration, an evaluation error
)

// State is one step of a counterexample.
type State struct {
	Number   int    // from 1
	Action   string // the action that led here; empty for an initial state
	Location string // where the action stands in the module, as TLC prints it
	Text     string // the variables, one conjunct "/\ v = value" each
}

// Coverage says how often an action of the next-state relation was taken.
type Coverage struct {
	Action    string
	Distinct  int64 // states first found through it
	Generated int64 // times it was taken; 0 means that the action is dead
}

// Output is what one run of TLC said.
type Output struct {
	Version   string // of TLC
	Verdict   Verdict
	Violated  string  // name of the property or invariant, place of the assumption; empty where TLC does not tell
	Message   string  // TLC's own words on what went wrong; empty for OK
	Trace     []State // the counterexample
	LoopsTo   int     // number of the state that the counterexample returns to; 0 when it does not
	Stutters  bool    // the counterexample stays in its last state for ever
	Generated int64   // states generated
	Distinct  int64   // distinct states found
	Left      int64   // states still queued when the run ended
	Depth     int     // of the search; 0 where TLC does not report it
	Coverage  []Coverage
	Places    map[string]int64 // expressions, by where they stand, with how often TLC evaluated them at most in one context
	CPU       time.Duration    // processor time of the run; set by [Run]
}

// Dead returns the actions that were never taken.
func (o Output) Dead() []string {
	var dead []string
	for _, c := range o.Coverage {
		if c.Generated == 0 {
			dead = append(dead, c.Action)
		}
	}
	return dead
}

// attribute names the violated property where TLC does not, which is possible
// when the configuration has only one. TLC never names a liveness property, and
// for a property that is another module's Spec, as a refinement is, it prints a
// place in that module.
func (o *Output) attribute(cfg Config) {
	if (o.Verdict == Temporal || o.Verdict == Action) && o.Violated == "" && len(cfg.Properties) == 1 {
		o.Violated = cfg.Properties[0]
	}
}

// TLC's message codes, from its -tool mode.
const (
	codeGeneral         = 1000
	codeUnexpected      = 2102
	codeAssumption      = 2104
	codeInvariantInit   = 2107
	codePropertyInit    = 2108
	codeUnderspecified  = 2109
	codeInvariant       = 2110
	codeActionProperty  = 2112
	codeDeadlock        = 2114
	codeTemporal        = 2116
	codeBackToState     = 2122
	codeAssert          = 2132
	codeSuccess         = 2193
	codeDepth           = 2194
	codeCounts          = 2199
	codeState           = 2217
	codeStuttering      = 2218
	codeCoverageExpr    = 2221
	codeMissingConstant = 2222
	codeUnknownInv      = 2229
	codeInvariantConst  = 2230 // an invariant without variables is false
	codeVersion         = 2262
	codeCoverageNext    = 2772
	codeParse           = 3002
	codeBadConfigFile   = 5006
)

// severity of a message, after the colon of its frame.
const severityError = 1

var (
	frameStart   = regexp.MustCompile(`^(?:: )?@!@!@STARTMSG (\d{1,6}):(\d) @!@!@$`)
	frameEnd     = regexp.MustCompile(`^@!@!@ENDMSG (\d{1,6}) @!@!@$`)
	countsLine   = regexp.MustCompile(`^([\d,]+) states generated, ([\d,]+) distinct states found, ([\d,]+) states left on queue\.$`)
	depthLine    = regexp.MustCompile(`^The depth of the complete state graph search is (\d+)\.$`)
	violatedLine = regexp.MustCompile(`^(?:(?:Invariant|Action property|Property) (\S+) is violated|The invariant of (\S+) is equal to FALSE)`)
	assumeLine   = regexp.MustCompile(`^Assumption (.*) is false\.$`)
	stateHead    = regexp.MustCompile(`^(\d+): <(.*)>$`)
	actionPlace  = regexp.MustCompile(`^(\S+) (line .*)$`)
	coverageLine = regexp.MustCompile(`^<(\S+) line .*>: (\d+):(\d+)$`)
	placeLine    = regexp.MustCompile(`^ *\|*(line .* of module \S+): (\d+)$`)
	backLine     = regexp.MustCompile(`^(\d+): Back to state`)
)

// verdicts by the code of the message that announces them.
var verdicts = map[int]Verdict{
	codeAssumption:      Assumption,
	codeInvariantInit:   Invariant,
	codeInvariantConst:  Invariant,
	codePropertyInit:    Action,
	codeInvariant:       Invariant,
	codeActionProperty:  Action,
	codeDeadlock:        Deadlock,
	codeTemporal:        Temporal,
	codeAssert:          Assertion,
	codeGeneral:         Failed,
	codeUnexpected:      Failed,
	codeUnderspecified:  Failed,
	codeMissingConstant: Failed,
	codeUnknownInv:      Failed,
	codeParse:           Failed,
	codeBadConfigFile:   Failed,
}

// exitCodes by verdict, so that what was printed and how the process ended must
// agree. A failed run may end with any code but 0.
var exitCodes = map[Verdict]int{
	OK: 0, Assumption: 10, Deadlock: 11, Invariant: 12, Action: 13, Temporal: 13, Assertion: 14,
}

// Parse reads what TLC printed in -tool mode and the code it exited with. It
// never fails: output that does not show a clear verdict is [Failed].
func Parse(text string, exitCode int) Output {
	p := parser{loose: &strings.Builder{}}
	var open []frame
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := frameStart.FindStringSubmatch(line); m != nil {
			code, _ := strconv.Atoi(m[1])
			severity, _ := strconv.Atoi(m[2])
			open = append(open, frame{code: code, severity: severity})
			continue
		}
		if m := frameEnd.FindStringSubmatch(line); m != nil && len(open) > 0 {
			p.message(open[len(open)-1])
			open = open[:len(open)-1]
			continue
		}
		if len(open) == 0 {
			p.unframed(line)
			continue
		}
		top := &open[len(open)-1]
		top.lines = append(top.lines, line)
	}
	return p.finish(exitCode)
}

// frame is a message: its code and its lines.
type frame struct {
	code     int
	severity int
	lines    []string
}

func (f frame) text() string { return strings.TrimSpace(strings.Join(f.lines, "\n")) }

// first returns the message's first line.
func (f frame) first() string {
	if len(f.lines) == 0 {
		return ""
	}
	return f.lines[0]
}

// rest returns what follows the first line. A message may be empty: TLC was
// killed, or what was read is not TLC's.
func (f frame) rest() string {
	if len(f.lines) == 0 {
		return ""
	}
	return strings.TrimSpace(strings.Join(f.lines[1:], "\n"))
}

type parser struct {
	out      Output
	success  bool             // TLC said that it found no error
	counted  bool             // it reported its final counts
	constant bool             // what is violated has no variables
	loose    *strings.Builder // unframed lines: the parser's complaints
}

// unframed keeps what SANY says, except which files it reads.
func (p *parser) unframed(line string) {
	if line == "" || strings.HasPrefix(line, "Parsing file") || strings.HasPrefix(line, "Semantic processing") {
		return
	}
	fmt.Fprintln(p.loose, line)
}

func (p *parser) message(f frame) {
	switch f.code {
	case codeVersion:
		p.out.Version = f.text()
	case codeSuccess:
		p.success = true
	case codeCounts:
		if m := countsLine.FindStringSubmatch(f.first()); m != nil {
			p.counted = true
			p.out.Generated, p.out.Distinct, p.out.Left = count(m[1]), count(m[2]), count(m[3])
		}
	case codeDepth:
		if m := depthLine.FindStringSubmatch(f.first()); m != nil {
			p.out.Depth = int(count(m[1]))
		}
	case codeState:
		p.state(f)
	case codeStuttering:
		p.out.Stutters = true
	case codeBackToState:
		if m := backLine.FindStringSubmatch(f.first()); m != nil {
			p.out.LoopsTo = int(count(m[1]))
		}
	case codeCoverageNext:
		if m := coverageLine.FindStringSubmatch(f.first()); m != nil {
			p.out.Coverage = append(p.out.Coverage, Coverage{Action: m[1], Distinct: count(m[2]), Generated: count(m[3])})
		}
	case codeCoverageExpr:
		// Of an action that is never taken TLC lists places that it does not list of
		// one that is; that the action is dead is said already.
		if n := len(p.out.Coverage); n > 0 && p.out.Coverage[n-1].Generated == 0 {
			return
		}
		if m := placeLine.FindStringSubmatch(f.first()); m != nil {
			if p.out.Places == nil {
				p.out.Places = map[string]int64{}
			}
			p.out.Places[m[1]] = max(p.out.Places[m[1]], count(m[2]))
		}
	default:
		p.complaint(f)
	}
}

// complaint takes the first message that announces a verdict; what follows it
// explains. An error message that is not known here means that the run failed.
func (p *parser) complaint(f frame) {
	v, known := verdicts[f.code]
	if !known && f.severity != severityError {
		return
	}
	if !known {
		v = Failed
	}
	if p.out.Verdict != "" {
		return
	}
	p.out.Verdict, p.out.Message = v, f.text()
	switch {
	case f.code == codeAssumption:
		if m := assumeLine.FindStringSubmatch(f.first()); m != nil {
			p.out.Violated = m[1]
		}
	case v == Invariant || v == Action:
		if m := violatedLine.FindStringSubmatch(f.first()); m != nil {
			p.out.Violated = m[1] + m[2]
		}
		p.constant = f.code == codeInvariantConst
		if f.code == codeInvariantInit || f.code == codePropertyInit {
			p.out.Message = f.first()
			p.out.Trace = []State{{Number: 1, Text: f.rest()}}
		}
	}
}

func (p *parser) state(f frame) {
	m := stateHead.FindStringSubmatch(f.first())
	if m == nil {
		return
	}
	s := State{Number: int(count(m[1])), Text: f.rest()}
	if place := actionPlace.FindStringSubmatch(m[2]); place != nil {
		s.Action, s.Location = place[1], place[2]
	}
	p.out.Trace = append(p.out.Trace, s)
}

// finish decides. A pass needs TLC's word and its exit code, and a search that
// left nothing: an unfinished search is not a pass.
func (p *parser) finish(exitCode int) Output {
	out := p.out
	loose := strings.TrimSpace(p.loose.String())
	if out.Verdict == "" {
		out.Verdict = Failed
		if p.success && p.counted && out.Left == 0 {
			out.Verdict = OK
		}
	}
	want, fixed := exitCodes[out.Verdict]
	if p.constant {
		want = exitConfig
	}
	switch {
	case fixed && exitCode != want:
		out.Message = strings.TrimSpace(fmt.Sprintf("TLC exited with %d, which does not go with verdict %q: %s", exitCode, out.Verdict, out.Message))
		out.Verdict, out.Violated = Failed, ""
	case out.Verdict == Failed && out.Message == "":
		out.Message = fmt.Sprintf("TLC exited with %d and gave no verdict", exitCode)
	}
	if out.Verdict == Failed && loose != "" {
		out.Message += "\n" + loose
	}
	return out
}

// exitConfig is TLC's exit code where it takes the configuration for wrong.
const exitConfig = 151

// count reads a number that may be written with thousands separators. The
// callers' patterns admit only digits and commas; a number too large is the
// largest.
func count(s string) int64 {
	n, _ := strconv.ParseInt(strings.ReplaceAll(s, ",", ""), 10, 64)
	return n
}
