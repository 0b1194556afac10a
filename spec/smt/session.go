package smt

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Verdict is a solver's answer to a satisfiability question.
type Verdict string

// The verdicts.
const (
	Sat     Verdict = "sat"
	Unsat   Verdict = "unsat"
	Unknown Verdict = "unknown"
)

// Session is a running solver with a stack of assertions. It is not safe for
// concurrent use. After an error it is of no use but to be closed.
type Session struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	levels []level
	script io.Writer // gets a copy of what the solver is told; may be nil
}

// level is what was declared since a push.
type level struct {
	symbols  map[string]bool
	literals []*Term
}

// Start runs the solver; limit bounds each question. The process ends with
// [Session.Close] or with ctx.
func (s Solver) Start(ctx context.Context, limit time.Duration, script io.Writer) (*Session, error) {
	cmd := exec.CommandContext(ctx, s.Path, s.args(limit)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSolver, err)
	}
	ses := &Session{cmd: cmd, in: in, out: bufio.NewReader(out), levels: []level{{}}, script: script}
	if err := ses.send("(set-option :print-success false)\n(set-option :produce-models true)\n(set-logic ALL)\n(declare-sort Str 0)"); err != nil {
		ses.Close()
		return nil, err
	}
	return ses, nil
}

// Close ends the solver.
func (s *Session) Close() {
	s.in.Close()
	_ = s.cmd.Process.Kill() // what it might still say is of no interest
	_ = s.cmd.Wait()
}

func (s *Session) send(text string) error {
	if s.script != nil {
		fmt.Fprintln(s.script, text)
	}
	_, err := io.WriteString(s.in, text+"\n")
	return err
}

// Bound bounds each question by what z3 counts as its work, which does not depend on
// how busy the machine is: about two million are a second.
func (s *Session) Bound(work int64) error {
	return s.send(fmt.Sprintf("(set-option :rlimit %d)", work))
}

// Push opens a level of the stack.
func (s *Session) Push() error {
	s.levels = append(s.levels, level{})
	return s.send("(push 1)")
}

// Pop drops what was asserted since the last Push.
func (s *Session) Pop() error {
	s.levels = s.levels[:len(s.levels)-1]
	return s.send("(pop 1)")
}

// Assert adds assertions, and declares what is new in them.
func (s *Session) Assert(terms ...*Term) error {
	for _, x := range terms {
		if err := s.Declare(x); err != nil {
			return err
		}
		if err := s.send("(assert " + x.String() + ")"); err != nil {
			return err
		}
	}
	return nil
}

// Declare declares what is new in a term whose value is to be asked for.
func (s *Session) Declare(x *Term) error {
	var text []string
	x.free(func(y *Term) {
		name := y.Name
		if y.Op == Literal {
			name = y.String()
		}
		for _, l := range s.levels {
			if l.symbols[name] {
				return
			}
		}
		top := &s.levels[len(s.levels)-1]
		if top.symbols == nil {
			top.symbols = map[string]bool{}
		}
		top.symbols[name] = true
		if y.Op == Symbol {
			text = append(text, declare(y))
			return
		}
		text = append(text, "(declare-fun "+name+" () Str)")
		for _, l := range s.levels {
			for _, other := range l.literals {
				text = append(text, "(assert (distinct "+name+" "+other.String()+"))")
			}
		}
		top.literals = append(top.literals, y)
	})
	if len(text) == 0 {
		return nil
	}
	return s.send(strings.Join(text, "\n"))
}

// Check asks whether the assertions can be satisfied together.
func (s *Session) Check() (Verdict, error) {
	if err := s.send("(check-sat)"); err != nil {
		return "", err
	}
	answer, err := s.read()
	if err != nil {
		return "", err
	}
	switch v := Verdict(answer); v {
	case Sat, Unsat, Unknown:
		return v, nil
	}
	if strings.Contains(answer, "timeout") || strings.Contains(answer, "interrupted") {
		return Unknown, nil
	}
	return "", fmt.Errorf("the solver says %s", answer)
}

// Values returns what the terms are in the model of the last Check, which said
// Sat: a number, "true", "false", or a name for an element of Str.
func (s *Session) Values(terms []*Term) ([]string, error) {
	values := make([]string, len(terms))
	for i, x := range terms {
		if err := s.send("(get-value (" + x.String() + "))"); err != nil {
			return nil, err
		}
		answer, err := s.read()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(answer, "(error") {
			return nil, fmt.Errorf("the solver says %s", answer)
		}
		values[i] = lastItem(answer)
	}
	return values, nil
}

// lastItem takes the value out of "((term value))".
func lastItem(answer string) string {
	inner := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(answer), "))"))
	if strings.HasSuffix(inner, ")") { // (- 5), (as @x Str)
		depth := 0
		for i := len(inner) - 1; i >= 0; i-- {
			switch inner[i] {
			case ')':
				depth++
			case '(':
				depth--
			}
			if depth == 0 {
				return normal(inner[i:])
			}
		}
	}
	return normal(inner[strings.LastIndexAny(inner, " \n\t)")+1:])
}

// normal writes (- 5) as -5.
func normal(v string) string {
	if n, ok := strings.CutPrefix(v, "(- "); ok {
		return "-" + strings.TrimSuffix(n, ")")
	}
	return v
}

// read reads one answer: a word or a parenthesised list.
func (s *Session) read() (string, error) {
	var b strings.Builder
	depth := 0
	for {
		line, err := s.out.ReadString('\n')
		b.WriteString(line)
		depth += balance(line)
		if depth <= 0 && strings.TrimSpace(b.String()) != "" {
			return strings.TrimSpace(b.String()), nil
		}
		if err != nil {
			return "", fmt.Errorf("the solver ended: %w: %s", err, strings.TrimSpace(b.String()))
		}
	}
}

// balance counts parentheses outside of quotes.
func balance(line string) int {
	n, quote := 0, rune(0)
	for _, c := range line {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '|' || c == '"':
			quote = c
		case c == '(':
			n++
		case c == ')':
			n--
		}
	}
	return n
}
